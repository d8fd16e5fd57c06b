package access

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// TestTemplatesAreGiven: who has everything in a scope makes roles of all templates
// of it, so that none names a power, and makes no role that does.
func TestTemplatesAreGiven(t *testing.T) {
	rights := &authz.RBAC{Source: world(t), Platform: authz.NewPlatform(nil)}
	administrators := map[string]struct {
		name  string
		scope authz.Scope
	}{
		"GlobalRole": {"platform-admin", authz.Scope{}}, "ClusterRole": {"cluster-admin", authz.Scope{Cluster: authz.ThisCluster}},
		"WorkspaceRole": {"workspace-admin", authz.Scope{Workspace: "w"}}, "Role": {"project-admin", authz.Scope{Namespace: "p"}},
	}
	for _, scope := range scopesOfRoles(t) {
		by := administrators[scope.kind]
		give := func(name string, rules []rbacv1.PolicyRule) error {
			return rights.MayWriteRole(t.Context(), &user.DefaultInfo{Name: by.name}, by.scope, schema.GroupResource{Resource: "roles"}, name, rules)
		}
		for _, role := range scope.roles {
			if err := give(role.name, role.rules); err != nil && role.template {
				t.Errorf("%s does not give %s: %v", by.name, role.name, err)
			}
		}
		power := []rbacv1.PolicyRule{{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}}}
		if err := give("power", power); (err == nil) != (scope.kind == "GlobalRole") {
			t.Errorf("%s gives a power: %v", by.name, err)
		}
	}
}
