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

// lesserRights are those of a user who may give and take the role "small" only.
type lesserRights struct{ nothing }

func (lesserRights) MayBind(_ context.Context, _ user.Info, _ authz.Scope, ref rbacv1.RoleRef) error {
	if ref.Name == "small" {
		return nil
	}
	return status.Forbidden(schema.GroupResource{}, ref.Name, "bound")
}

func (l lesserRights) MayRevoke(ctx context.Context, who user.Info, scope authz.Scope, ref rbacv1.RoleRef) error {
	return l.MayBind(ctx, who, scope, ref)
}

// TestGroupWarnings: a wide role of a group that a workspace owns is worth a warning.
func TestGroupWarnings(t *testing.T) {
	p := &Proxy{options: Options{GroupWorkspace: func(_ context.Context, group string) (string, error) {
		return map[string]string{"sre": "w1"}[group], nil
	}}}
	for _, test := range []struct {
		kind, subject, name string
		want                int
	}{
		{"ClusterRoleBinding", "Group", "sre", 1}, {"GlobalRoleBinding", "Group", "sre", 1}, {"ClusterRoleBinding", "Group", "ops", 0},
		{"ClusterRoleBinding", "User", "sre", 0}, {"WorkspaceRoleBinding", "Group", "sre", 0}, {"RoleBinding", "Group", "sre", 0},
	} {
		object := parse(t, `{"kind":"`+test.kind+`","metadata":{"name":"b"},"roleRef":{"name":"cluster-admin"},"subjects":[{"kind":"`+test.subject+`","name":"`+test.name+`"}]}`)
		if got, err := p.groupWarnings(t.Context(), object); err != nil || len(got) != test.want {
			t.Errorf("%s for %s %s: %q, %v", test.kind, test.subject, test.name, got, err)
		}
	}
}

// TestChangedBindings: an update that takes a role from a subject is a revocation.
func TestChangedBindings(t *testing.T) {
	binding := func(role, subjects string) string {
		return `{"kind":"WorkspaceRoleBinding","metadata":{"name":"b","labels":{"kubesphere.io/workspace":"w"}},"roleRef":{"apiGroup":"iam.kubesphere.io","kind":"WorkspaceRole","name":"` + role + `"},"subjects":[` + subjects + `]}`
	}
	const (
		jane = `{"kind":"User","name":"jane"}`
		zoe  = `{"kind":"User","name":"zoe"}`
		yan  = `{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"yan"}`
		ops  = `{"kind":"Group","name":"ops"}`
	)
	for _, test := range []struct {
		name, before, after string
		allowed             bool
	}{
		{"a lesser role instead", binding("big", zoe), binding("small", zoe), false},
		{"a lesser role instead of the own one", binding("big", jane), binding("small", jane), true},
		{"a subject less", binding("big", zoe+","+yan), binding("big", zoe), false},
		{"no subjects", binding("big", zoe), binding("big", ""), false},
		{"a group less", binding("big", ops), binding("big", ""), false},
		{"the caller less", binding("big", jane+","+zoe), binding("big", zoe), true},
		{"one user instead of another", binding("big", zoe), binding("big", jane), false},
		{"one more", binding("big", zoe), binding("big", zoe+","+yan), false},
		{"a subject less of a role that is held", binding("small", zoe+","+yan), binding("small", yan), true},
		{"another subject of a role that is held", binding("small", zoe), binding("small", yan), true},
		{"a wider role", binding("small", zoe), binding("big", zoe), false},
		{"the same", binding("big", zoe), binding("big", zoe), true},
	} {
		for _, resource := range []string{"workspacerolebindings", "globalrolebindings", "rolebindings", "clusterrolebindings"} {
			group := groupIAM
			if resource == "rolebindings" || resource == "clusterrolebindings" {
				group = rbacv1.GroupName
			}
			info := &request.Info{APIGroup: group, Resource: resource}
			err := (&Proxy{rights: lesserRights{}}).permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, parse(t, test.before), parse(t, test.after))
			if (err == nil) != test.allowed {
				t.Errorf("%s of %s: %v", test.name, resource, err)
			}
		}
	}
}
