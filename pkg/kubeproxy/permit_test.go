package kubeproxy

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// roleless are the rights of a user who holds no rule that a role has.
type roleless struct{ nothing }

func (roleless) MayWriteRole(_ context.Context, _ user.Info, _ authz.Scope, resource schema.GroupResource, name string, _ []rbacv1.PolicyRule) error {
	return status.Forbidden(resource, name, "written")
}

func (roleless) MayNarrow(_ context.Context, _ user.Info, _ authz.Scope, resource schema.GroupResource, name string, rules []rbacv1.PolicyRule) error {
	if len(rules) == 0 {
		return nil
	}
	return status.Forbidden(resource, name, "narrowed")
}

// TestAggregatedRoles: a label of a cluster role gives its rules to other roles.
func TestAggregatedRoles(t *testing.T) {
	role := func(kind, metadata, aggregation string) string {
		return `{"kind":"` + kind + `","metadata":{"name":"r"` + metadata + `},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]}]` + aggregation + `}`
	}
	const selects = `,"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]}`
	for _, test := range []struct {
		name, resource, before, after string
		may                           bool // who holds no rule of the role
	}{
		{"an annotation", "clusterroles", role("ClusterRole", ``, ``), role("ClusterRole", `,"annotations":{"a":"b"}`, ``), true},
		{"a label of Kubernetes' roles", "clusterroles", role("ClusterRole", ``, ``), role("ClusterRole", `,"labels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}`, ``), false},
		{"a label of another role", "clusterroles", role("ClusterRole", ``, ``), role("ClusterRole", `,"labels":{"example.com/aggregate":"true"}`, ``), false},
		{"without the label", "clusterroles", role("ClusterRole", `,"labels":{"a":"b"}`, ``), role("ClusterRole", ``, ``), false},
		{"another selector", "clusterroles", role("ClusterRole", ``, `,"aggregationRule":{}`), role("ClusterRole", ``, selects), false},
		{"a first selector", "clusterroles", role("ClusterRole", ``, ``), role("ClusterRole", ``, selects), false},
		{"the same selector", "clusterroles", role("ClusterRole", ``, selects), role("ClusterRole", `,"annotations":{"a":"b"}`, selects), true},
		{"a label of a role that none selects", "roles", role("Role", ``, ``), role("Role", `,"labels":{"a":"b"}`, ``), true},
	} {
		info := &request.Info{APIGroup: rbacv1.GroupName, Resource: test.resource, Verb: "patch", Name: "r"}
		for rights, want := range map[Rights]bool{roleless{}: test.may, &authz.RBAC{All: true}: true} {
			err := (&Proxy{rights: rights}).permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, parse(t, test.before), parse(t, test.after))
			if (err == nil) != want {
				t.Errorf("%s by %T: %v", test.name, rights, err)
			}
		}
	}
}
