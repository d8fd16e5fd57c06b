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
