package objects

import (
	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/runtime/schema"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// workspaceLabel names the workspace an object belongs to.
const workspaceLabel = `metadata.labels.kubesphere\.io/workspace`

// addPlatform adds the types of the platform itself.
func (c *Catalog) addPlatform() {
	iam := schema.GroupVersion{Group: "iam.kubesphere.io", Version: "v1alpha2"}
	workspace := Column{Name: "workspace", Derive: path(workspaceLabel), Match: exactly}
	users := c.cluster(iam, "users", "User",
		Column{
			Name: "email", Match: func(value Value, wanted string) bool { return value.Text == iamv1alpha2.NormalizeEmail(wanted) },
			Derive: func(o gjson.Result) Value {
				return Value{Text: iamv1alpha2.NormalizeEmail(o.Get("spec.email").String())}
			},
		},
		pathColumn("status", "status.state"),
	)
	users.remove = append(users.remove, "spec.password", lastApplied)
	c.cluster(iam, "globalroles", "GlobalRole")
	c.cluster(iam, "globalrolebindings", "GlobalRoleBinding")
	c.cluster(iam, "rolebases", "RoleBase")
	c.cluster(iam, "workspaceroles", "WorkspaceRole", workspace)
	c.cluster(iam, "workspacerolebindings", "WorkspaceRoleBinding", workspace, Column{Name: "rolename", Derive: path("roleRef.name"), Match: exactly})
	c.cluster(iam, "groups", "Group", workspace)
	c.cluster(iam, "groupbindings", "GroupBinding", workspace, Column{Name: "user", Derive: elements("users"), Match: element})
	c.cluster(iam, "loginrecords", "LoginRecord", pathColumn("type", "spec.type"),
		Column{Name: "user", Derive: path(`metadata.labels.iam\.kubesphere\.io/user-ref`), Match: exactly})
	sessions := c.cluster(iam, "sessions", "Session", Column{Name: "user", Derive: path("spec.user"), Match: exactly})
	sessions.remove = append(sessions.remove, "spec.refreshTokenHash", "spec.previousTokenHash", "spec.rotationNonce", "spec.refreshTokenKey", "spec.code", lastApplied)
	tokens := c.cluster(iam, "personalaccesstokens", "PersonalAccessToken", Column{Name: "user", Derive: path("spec.user"), Match: exactly})
	tokens.remove = append(tokens.remove, "spec.tokenHash", lastApplied)
	devices := c.cluster(iam, "deviceauthorizations", "DeviceAuthorization")
	devices.remove = append(devices.remove, "spec.deviceCodeHash", lastApplied)
	c.cluster(iam, "consents", "Consent", Column{Name: "user", Derive: path("spec.user"), Match: exactly})

	c.cluster(schema.GroupVersion{Group: "tenant.kubesphere.io", Version: "v1alpha1"}, "workspaces", "Workspace")
	c.cluster(schema.GroupVersion{Group: "tenant.kubesphere.io", Version: "v1alpha2"}, "workspacetemplates", "WorkspaceTemplate")
	extensions := schema.GroupVersion{Group: "extensions.kubesphere.io", Version: "v1alpha1"}
	c.cluster(extensions, "apiservices", "APIService", pathColumn("status", "status.state"))
	c.cluster(extensions, "reverseproxies", "ReverseProxy", pathColumn("status", "status.state"))
	clusters := c.cluster(schema.GroupVersion{Group: "cluster.kubesphere.io", Version: "v1alpha1"}, "clusters", "Cluster")
	clusters.remove = append(clusters.remove, "spec.connection.kubeconfig", "spec.connection.token", lastApplied)
}
