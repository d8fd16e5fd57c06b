package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestRights asks Kubernetes what the deployment allows to whom. The second half
// of the table is the more important one.
func TestRights(t *testing.T) {
	server := account("ks-apiserver")
	user := subject{"jane", []string{"system:authenticated"}}
	neighbour := account("default")

	tests := []struct {
		who       subject
		verb      string
		resource  string // resource[/subresource][.group]
		namespace string // empty: all, or none
		name      string // empty: any
		want      bool
	}{
		// The list engine reads everything, CRDs of others included.
		{server, "list", "pods", "", "", true},
		{server, "watch", "nodes", "", "", true},
		{server, "get", "deployments.apps", "default", "", true},
		{server, "list", "secrets", "", "", true},
		{server, "watch", "volumesnapshots.snapshot.storage.k8s.io", "", "", true},
		{server, "get", "pods/log", "default", "", true},
		// It owns its API groups.
		{server, "create", "users.iam.kubesphere.io", "", "", true},
		{server, "patch", "globalroles.iam.kubesphere.io", "", "", true},
		{server, "update", "workspaces/status.tenant.kubesphere.io", "", "", true},
		{server, "update", "resourcequotas/status.quota.kubesphere.io", "", "", true},
		{server, "delete", "clusters.cluster.kubesphere.io", "", "", true},
		// Who serves a part of the API people say, through it, and it whether they answer.
		{server, "patch", "apiservices/status.extensions.kubesphere.io", "", "", true},
		{server, "patch", "reverseproxies/status.extensions.kubesphere.io", "", "", true},
		{server, "create", "apiservices.extensions.kubesphere.io", "", "", true},
		{server, "patch", "apiservices.extensions.kubesphere.io", "", "", true},
		// It installs its CRDs.
		{server, "create", "customresourcedefinitions.apiextensions.k8s.io", "", "", true},
		// It keeps keys, and elects a leader.
		{server, "create", "secrets", "kubesphere-system", "", true},
		{server, "patch", "secrets", "kubesphere-system", "", true},
		{server, "create", "leases.coordination.k8s.io", "kubesphere-system", "", true},
		{server, "update", "leases.coordination.k8s.io", "kubesphere-system", "", true},
		{server, "create", "configmaps", "kubesphere-system", "", true},
		{server, "create", "events.events.k8s.io", "default", "", true}, // about policies of projects
		{server, "update", "configmaps", "kubesphere-system", "ks-apiserver-role-templates", true},
		{server, "delete", "secrets", "kubesphere-system", "", false},
		{server, "deletecollection", "rolebindings.rbac.authorization.k8s.io", "", "", false},
		// Projects, their roles, members and quotas are written after its own decision.
		{server, "create", "namespaces", "", "", true},
		{server, "delete", "namespaces", "", "", true},
		{server, "create", "rolebindings.rbac.authorization.k8s.io", "default", "", true},
		{server, "create", "clusterrolebindings.rbac.authorization.k8s.io", "", "", true},
		{server, "escalate", "clusterroles.rbac.authorization.k8s.io", "", "", true},
		{server, "bind", "roles.rbac.authorization.k8s.io", "default", "", true},
		{server, "create", "resourcequotas", "default", "", true},
		{server, "update", "networkpolicies.networking.k8s.io", "default", "", true},
		{server, "patch", "configmaps", "kubesphere-system", "ks-console-theme", true},
		// It acts as its users, whose name, groups, uid and extra are anything.
		{server, "impersonate", "users", "", "", true},
		{server, "impersonate", "groups", "", "", true},
		// A service account's token is accepted here too, and its requests are sent
		// as its own. RBAC could limit this by namespace only, not except one.
		{server, "impersonate", "serviceaccounts", "default", "", true},
		{server, "impersonate", "uids.authentication.k8s.io", "", "", true},
		{server, "impersonate", "userextras/anything.authentication.k8s.io", "", "", true},
		// By the group of earlier versions nobody has anything.
		{subject{"jane", []string{"kubesphere:authorized", "system:authenticated"}}, "get", "pods", "default", "", false},

		// As itself it changes nothing of anybody else's: a bug in it that
		// forgets to impersonate shall fail.
		{server, "create", "pods", "default", "", false},
		{server, "create", "pods/exec", "default", "", false},
		{server, "create", "pods", "kubesphere-system", "", false},
		{server, "patch", "deployments.apps", "kubesphere-system", "", false},
		{server, "delete", "nodes", "", "", false},
		{server, "update", "namespaces/finalize", "default", "", false},
		{server, "create", "serviceaccounts", "default", "", false},
		{server, "create", "deployments.apps", "default", "", false},
		{server, "create", "configmaps", "default", "", false},
		{server, "update", "configmaps", "kubesphere-system", "kubesphere-config", false},
		{server, "create", "secrets", "default", "", false},
		{server, "patch", "secrets", "kube-system", "", false},
		{server, "delete", "customresourcedefinitions.apiextensions.k8s.io", "", "", false},
		{server, "patch", "customresourcedefinitions.apiextensions.k8s.io", "", "volumesnapshots.snapshot.storage.k8s.io", false},
		{server, "create", "serviceaccounts/token", "kube-system", "", false},
		{server, "update", "leases.coordination.k8s.io", "kube-node-lease", "", false},
		{server, "create", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "", false},
		// Who wasn't authorised has nothing, and nobody else may impersonate.
		{user, "list", "pods", "default", "", false},
		{user, "impersonate", "groups", "", "", false},
		{neighbour, "impersonate", "groups", "", "", false},
		{neighbour, "impersonate", "users", "", "", false},
		{neighbour, "get", "secrets", "kubesphere-system", "", false},
	}
	for _, test := range tests {
		t.Run(strings.Join([]string{test.who.name, test.verb, test.resource, test.namespace, test.name}, " "), func(t *testing.T) {
			if got := may(t, test.who, test.verb, test.resource, test.namespace, test.name); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// writtenByUsers has the groups whose objects users write; the server as itself
// writes at most their status.
var writtenByUsers = map[string]bool{
	"network.kubesphere.io": true,
}

// TestRightsForEachCRD: patching CRDs is granted by name, so a new kind needs a
// new name there.
func TestRightsForEachCRD(t *testing.T) {
	files, err := filepath.Glob("../../config/crds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs found: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd object
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := field[string](t, field[object](t, crd, "metadata"), "name")
		if !may(t, account("ks-apiserver"), "patch", "customresourcedefinitions.apiextensions.k8s.io", "", name) {
			t.Errorf("may not apply the CRD %s", name)
		}
		// name is PLURAL.GROUP: the resource, as may takes it.
		_, group, _ := strings.Cut(name, ".")
		if got, want := may(t, account("ks-apiserver"), "patch", name, "", ""), !writtenByUsers[group]; got != want {
			t.Errorf("may patch %s: got %t, want %t", name, got, want)
		}
	}
}

// subject is who asks, as Kubernetes sees them once authenticated.
type subject struct {
	name   string
	groups []string
}

// account is a ServiceAccount of the server's namespace.
func account(name string) subject {
	return subject{
		name: "system:serviceaccount:" + namespace + ":" + name,
		groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace,
			"system:authenticated"},
	}
}

// may asks with a SubjectAccessReview: kubectl auth can-i can't ask for resources
// discovery doesn't list, such as those that exist only to be impersonated.
func may(t *testing.T, who subject, verb, resource, namespace, name string) bool {
	t.Helper()
	resource, group, _ := strings.Cut(resource, ".")
	resource, subresource, _ := strings.Cut(resource, "/")
	review, err := json.Marshal(object{
		"apiVersion": "authorization.k8s.io/v1",
		"kind":       "SubjectAccessReview",
		"spec": object{
			"user":   who.name,
			"groups": who.groups,
			"resourceAttributes": object{
				"verb": verb, "group": group, "resource": resource, "subresource": subresource,
				"namespace": namespace, "name": name,
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := run(t.Context(), string(review), kubectlPath,
		"create", "-f", "-", "-o", "jsonpath={.status.allowed}")
	if err != nil {
		t.Fatal(err)
	}
	return answer == "true"
}
