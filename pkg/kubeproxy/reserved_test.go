package kubeproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// clusterRights are the rights of a user with all rights in the cluster, and none
// on the platform.
type clusterRights struct{ Rights }

func (clusterRights) Covers(_ context.Context, _ user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if scope.Cluster != "" || scope.Namespace != "" || scope.Workspace != "" {
		return nil, nil
	}
	return rules, nil
}

func (clusterRights) Names() *reserved.Register { return nil }

func (clusterRights) MayWriteRole(context.Context, user.Info, authz.Scope, schema.GroupResource, string, []rbacv1.PolicyRule) error {
	return nil
}

func (clusterRights) MayNarrow(context.Context, user.Info, authz.Scope, schema.GroupResource, string, []rbacv1.PolicyRule) error {
	return nil
}

func (clusterRights) MayBind(context.Context, user.Info, authz.Scope, rbacv1.RoleRef) error {
	return nil
}

func (nothing) MayBind(context.Context, user.Info, authz.Scope, rbacv1.RoleRef) error { return nil }

func (nothing) MayWriteRole(context.Context, user.Info, authz.Scope, schema.GroupResource, string, []rbacv1.PolicyRule) error {
	return nil
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	if text == "" {
		return nil
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// TestReserved: what reconcilers act on is written by who holds what follows.
func TestReserved(t *testing.T) {
	const (
		platform = "platform"
		cluster  = "cluster"
		anyone   = "any"
		never    = "never"
	)
	const project = `{"metadata":{"name":"p","labels":{"kubesphere.io/workspace":"w","kubesphere.io/namespace":"p"},"annotations":{"kubesphere.io/creator":"zoe"}},"spec":{"finalizers":["kubernetes"]}}`
	const part = `{"metadata":{"name":"workspace-q","labels":{"quota.kubesphere.io/resourcequota":"q"}},"spec":{"hard":{"pods":"1"}},"status":{"used":{"pods":"1"}}}`
	for _, test := range []struct {
		name, group, resource, subresource, before, after string
		want                                              string // who may
	}{
		{"another annotation", "", "namespaces", "", project, `{"metadata":{"name":"p","labels":{"kubesphere.io/workspace":"w","kubesphere.io/namespace":"p"},"annotations":{"kubesphere.io/creator":"zoe","a":"b"}},"spec":{"finalizers":["kubernetes"]}}`, anyone},
		{"the creator", "", "namespaces", "", project, `{"metadata":{"name":"p","labels":{"kubesphere.io/workspace":"w"},"annotations":{"kubesphere.io/creator":"jane"}},"spec":{"finalizers":["kubernetes"]}}`, cluster},
		{"the creator by status", "", "namespaces", "status", project, `{"metadata":{"name":"p","labels":{"kubesphere.io/workspace":"w","kubesphere.io/namespace":"p"},"annotations":{"kubesphere.io/creator":"jane"}},"spec":{"finalizers":["kubernetes"]}}`, cluster},
		{"that the creator had a turn", "", "namespaces", "", project, `{"metadata":{"name":"p","labels":{"kubesphere.io/workspace":"w"},"annotations":{"kubesphere.io/creator":"zoe"}},"spec":{"finalizers":["kubernetes"]}}`, cluster},
		{"finalizing by force", "", "namespaces", "finalize", project, `{"metadata":{"name":"p","labels":{"kubesphere.io/workspace":"w","kubesphere.io/namespace":"p"},"annotations":{"kubesphere.io/creator":"zoe"}},"spec":{}}`, cluster},
		{"what pods may do", "", "namespaces", "", project, `{"metadata":{"name":"p","labels":{"kubesphere.io/workspace":"w","kubesphere.io/namespace":"p","pod-security.kubernetes.io/enforce":"privileged"},"annotations":{"kubesphere.io/creator":"zoe"}},"spec":{"finalizers":["kubernetes"]}}`, cluster},
		{"a new namespace of one's own", "", "namespaces", "", "", `{"metadata":{"name":"n","annotations":{"kubesphere.io/creator":"jane"}}}`, anyone},
		{"a new namespace of another", "", "namespaces", "", "", `{"metadata":{"name":"n","annotations":{"kubesphere.io/creator":"zoe"}}}`, cluster},
		{"a namespace of Kubernetes", "", "namespaces", "", "", `{"metadata":{"name":"kube-x"}}`, cluster},
		{"a namespace of the platform", "", "namespaces", "", "", `{"metadata":{"name":"kubesphere-terminals"}}`, platform},
		{"a namespace of the platform into a workspace", "", "namespaces", "", `{"metadata":{"name":"kubesphere-system"}}`, `{"metadata":{"name":"kubesphere-system","labels":{"kubesphere.io/workspace":"w"}}}`, platform},
		{"a quota", "", "resourcequotas", "", `{"metadata":{"name":"q"},"spec":{"hard":{"pods":"1"}}}`, `{"metadata":{"name":"q"},"spec":{"hard":{"pods":"2"}}}`, anyone},
		{"a part of a quota", "", "resourcequotas", "", part, `{"metadata":{"name":"workspace-q","labels":{"quota.kubesphere.io/resourcequota":"q"}},"spec":{"hard":{"pods":"9"}},"status":{"used":{"pods":"1"}}}`, cluster},
		{"what of it is used", "", "resourcequotas", "status", part, `{"metadata":{"name":"workspace-q","labels":{"quota.kubesphere.io/resourcequota":"q"}},"spec":{"hard":{"pods":"1"}},"status":{"used":{"pods":"0"}}}`, cluster},
		{"that it is one", "", "resourcequotas", "", part, `{"metadata":{"name":"workspace-q"},"spec":{"hard":{"pods":"1"}},"status":{"used":{"pods":"1"}}}`, cluster},
		{"a forged part", "", "resourcequotas", "", "", `{"metadata":{"name":"x","labels":{"quota.kubesphere.io/resourcequota":"q"}}}`, cluster},
		{"a group", groupIAM, "groups", "", "", `{"metadata":{"name":"ops"}}`, platform},
		{"a group of everybody", groupIAM, "groups", "", "", `{"metadata":{"name":"pre-registration"}}`, never},
		{"a group's parent", groupIAM, "groups", "", `{"metadata":{"name":"a"}}`, `{"metadata":{"name":"a","labels":{"iam.kubesphere.io/group-parent":"a"}}}`, platform},
		{"a group's description", groupIAM, "groups", "", `{"metadata":{"name":"a"}}`, `{"metadata":{"name":"a","annotations":{"b":"c"}}}`, anyone},
		{"a workspace of the platform", groupTenant, "workspacetemplates", "", "", `{"metadata":{"name":"system-workspace"}}`, never},
		{"what becomes of namespaces", groupTenant, "workspacetemplates", "", `{"metadata":{"name":"w"}}`, `{"metadata":{"name":"w","annotations":{"kubesphere.io/deletion-propagation":"Orphan"}}}`, platform},
		{"a template in a project", "rbac.authorization.k8s.io", "roles", "", "", `{"kind":"Role","metadata":{"name":"role-template-x","namespace":"p"}}`, cluster},
		{"a role of the platform in a project", "rbac.authorization.k8s.io", "roles", "", "", `{"kind":"Role","metadata":{"name":"r","namespace":"p","annotations":{"kubesphere.io/creator":"system"}}}`, platform},
		{"a role in a project", "rbac.authorization.k8s.io", "roles", "", "", `{"kind":"Role","metadata":{"name":"operator","namespace":"p"}}`, anyone},
		{"a role in a project that stays when it is deleted", "rbac.authorization.k8s.io", "roles", "", "", `{"kind":"Role","metadata":{"name":"operator","namespace":"p","finalizers":["a/b"]}}`, cluster},
		{"a binding in a project that stays when a member is removed", "rbac.authorization.k8s.io", "rolebindings", "", "", `{"kind":"RoleBinding","roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"metadata":{"name":"b","namespace":"p","finalizers":["a/b"]}}`, cluster},
		{"a binding in a project that stays from now on", "rbac.authorization.k8s.io", "rolebindings", "", `{"kind":"RoleBinding","roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"metadata":{"name":"b","namespace":"p"}}`, `{"kind":"RoleBinding","roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"metadata":{"name":"b","namespace":"p","finalizers":["a/b"]}}`, cluster},
		{"a binding in a project with an owner", "rbac.authorization.k8s.io", "rolebindings", "", "", `{"kind":"RoleBinding","roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"metadata":{"name":"b","namespace":"p","ownerReferences":[{"apiVersion":"v1","kind":"X","name":"x","uid":"1"}]}}`, cluster},
		{"a binding in the cluster that stays", "rbac.authorization.k8s.io", "clusterrolebindings", "", "", `{"kind":"ClusterRoleBinding","roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"metadata":{"name":"b","finalizers":["a/b"]}}`, cluster},
		{"rights of visitors", groupIAM, "globalroles", "", `{"kind":"GlobalRole","metadata":{"name":"anonymous"}}`, `{"kind":"GlobalRole","metadata":{"name":"anonymous"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}`, platform},
		{"an annotation of a reserved global role", groupIAM, "globalroles", "", `{"kind":"GlobalRole","metadata":{"name":"platform-regular"}}`, `{"kind":"GlobalRole","metadata":{"name":"platform-regular","annotations":{"a":"b"}}}`, platform},
		{"a label of a role of Kubernetes", "rbac.authorization.k8s.io", "clusterroles", "", `{"kind":"ClusterRole","metadata":{"name":"system:public-info-viewer"}}`, `{"kind":"ClusterRole","metadata":{"name":"system:public-info-viewer","labels":{"a":"b"}}}`, cluster},
		{"rules of a template", "rbac.authorization.k8s.io", "clusterroles", "", `{"kind":"ClusterRole","metadata":{"name":"role-template-view-nodes"}}`, `{"kind":"ClusterRole","metadata":{"name":"role-template-view-nodes"},"rules":[]}`, platform},
		{"that a role is a template", groupIAM, "workspaceroles", "", `{"kind":"WorkspaceRole","metadata":{"name":"t","labels":{"iam.kubesphere.io/role-template":"true"}}}`, `{"kind":"WorkspaceRole","metadata":{"name":"t"}}`, platform},
		{"an annotation of a template", groupIAM, "workspaceroles", "", `{"kind":"WorkspaceRole","metadata":{"name":"t","labels":{"iam.kubesphere.io/role-template":"true"}}}`, `{"kind":"WorkspaceRole","metadata":{"name":"t","labels":{"iam.kubesphere.io/role-template":"true"},"annotations":{"a":"b"}}}`, platform},
		{"a new template", groupIAM, "globalroles", "", "", `{"kind":"GlobalRole","metadata":{"name":"t","labels":{"iam.kubesphere.io/role-template":"true"}}}`, platform},
		{"a role of the platform in a project, changed", "rbac.authorization.k8s.io", "roles", "", `{"kind":"Role","metadata":{"name":"viewer","namespace":"p","annotations":{"kubesphere.io/creator":"system"}}}`, `{"kind":"Role","metadata":{"name":"viewer","namespace":"p","annotations":{"kubesphere.io/creator":"system"},"labels":{"a":"b"}}}`, cluster},
		{"a binding of this server, changed", "rbac.authorization.k8s.io", "clusterrolebindings", "", `{"kind":"ClusterRoleBinding","metadata":{"name":"kubesphere-authorized"}}`, `{"kind":"ClusterRoleBinding","metadata":{"name":"kubesphere-authorized","labels":{"a":"b"}}}`, platform},
		{"a base of roles, narrowed", groupIAM, "rolebases", "", `{"kind":"RoleBase","metadata":{"name":"b"},"role":{"rules":[{}]}}`, `{"kind":"RoleBase","metadata":{"name":"b"},"role":{}}`, platform},
		// A workspace that finds the names of its roles taken is a conflict.
		{"the name of a role of another workspace", groupIAM, "workspaceroles", "", "", `{"kind":"WorkspaceRole","metadata":{"name":"bank-viewer","labels":{"kubesphere.io/workspace":"x"}}}`, anyone},
		{"a role with many rules", "rbac.authorization.k8s.io", "roles", "", "", `{"kind":"Role","metadata":{"namespace":"n","name":"r"},"rules":[` + strings.Repeat(`{},`, 1000) + `{}]}`, cluster},
		{"a role with many rules, as it was", "rbac.authorization.k8s.io", "roles", "", `{"kind":"Role","metadata":{"namespace":"n","name":"r"},"rules":[` + strings.Repeat(`{},`, 1000) + `{}]}`,
			`{"kind":"Role","metadata":{"namespace":"n","name":"r","labels":{"a":"b"}},"rules":[` + strings.Repeat(`{},`, 1000) + `{}]}`, anyone},
		{"a finalizer of a workspace role", groupIAM, "workspaceroles", "", `{"kind":"WorkspaceRole","metadata":{"name":"r"}}`, `{"kind":"WorkspaceRole","metadata":{"name":"r","finalizers":["a/b"]}}`, platform},
		{"an owner of a binding", groupIAM, "workspacerolebindings", "", `{"kind":"WorkspaceRoleBinding","metadata":{"name":"r"}}`, `{"kind":"WorkspaceRoleBinding","metadata":{"name":"r","ownerReferences":[{"apiVersion":"v1","kind":"X","name":"x","uid":"1"}]}}`, platform},
		{"the user a binding goes with", groupIAM, "globalrolebindings", "", `{"kind":"GlobalRoleBinding","metadata":{"name":"r"}}`, `{"kind":"GlobalRoleBinding","metadata":{"name":"r","labels":{"iam.kubesphere.io/user-ref":"nobody"}}}`, platform},
	} {
		t.Run(test.name, func(t *testing.T) {
			info := &request.Info{APIGroup: test.group, Resource: test.resource, Subresource: test.subresource}
			before := parse(t, test.before)
			for name, rights := range map[string]Rights{anyone: nothing{}, cluster: clusterRights{}, platform: &authz.RBAC{All: true}} {
				want := test.want == anyone || test.want == cluster && name != anyone || test.want == platform && name == platform
				err := (&Proxy{rights: rights}).permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, before, parse(t, test.after))
				if (err == nil) != want {
					t.Errorf("with rights of %s: %v, want %v", name, err, want)
				}
			}
		})
	}
}

// TestReservedNamesThatExist: a reserved name has the same answer at Kubernetes' API
// whether an object has it or not.
func TestReservedNamesThatExist(t *testing.T) {
	for name, code := range map[string]int{"kube-system": 403, "kubesphere-system": 403, "project": 409} {
		f := newFront(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusConflict)
			_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"it already exists","reason":"AlreadyExists","details":{"name":%q,"kind":"namespaces"},"code":409}`, name)
		})
		f.proxy.rights = nothing{}
		if got, text := f.send(t, http.MethodPost, "/api/v1/namespaces", "application/json", `{"metadata":{"name":"`+name+`"}}`); got != code {
			t.Errorf("%s: %d %s, want %d", name, got, text, code)
		}
	}
}
