package kubeproxy

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// TestBindingsForEverybody: who may bind a role does not give it to callers nobody knows;
// such subjects stay, and are removed, as others are.
func TestBindingsForEverybody(t *testing.T) {
	binding := func(role, subjects string) string {
		return `{"kind":"WorkspaceRoleBinding","metadata":{"name":"b","labels":{"kubesphere.io/workspace":"w"}},"roleRef":{"apiGroup":"iam.kubesphere.io","kind":"WorkspaceRole","name":"` + role + `"},"subjects":[` + subjects + `]}`
	}
	const (
		jane = `{"kind":"User","name":"jane"}`
		zoe  = `{"kind":"User","name":"zoe"}`
		anon = `{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"system:anonymous"}`
		open = `{"kind":"Group","name":"system:unauthenticated"}`
		all  = `{"kind":"Group","name":"system:authenticated"}`
		pods = `{"kind":"Group","name":"system:serviceaccounts"}`
		role = `{"kind":"Group","name":"kubesphere:global:anonymous"}`
	)
	for _, test := range []struct {
		name, before, after string
		allowed             bool
	}{
		{"a new one for visitors", "", binding("small", anon), false},
		{"a new one for visitors behind a user", "", binding("small", jane+","+open), false},
		{"a new one for all users", "", binding("small", all), false},
		{"a new one for all service accounts", "", binding("small", pods), false},
		{"a new one for visitors by their role", "", binding("small", zoe+","+role), false},
		{"holders of a role of the platform too", binding("small", zoe), binding("small", zoe+","+role), false},
		{"holders of a role of the platform no more", binding("small", zoe+","+role), binding("small", zoe), true},
		{"a user beside holders of a role of the platform", binding("small", role), binding("small", role+","+zoe), true},
		{"a new one for a user", "", binding("small", zoe), true},
		{"visitors too", binding("small", zoe), binding("small", zoe+","+anon), false},
		{"all users instead of a user", binding("small", zoe), binding("small", all), false},
		{"visitors for all users", binding("small", all), binding("small", open), false},
		{"visitors no more", binding("small", zoe+","+anon+","+open), binding("small", zoe), true},
		{"a user beside visitors", binding("small", anon), binding("small", anon+","+zoe), true},
		{"what visitors have stays as it is", binding("small", anon), binding("small", anon), true},
		{"another role for visitors", binding("tiny", anon), binding("small", anon), false},
		{"another workspace for visitors", binding("small", anon), strings.Replace(binding("small", anon), `:"w"`, `:"x"`, 1), false},
	} {
		var before *unstructured.Unstructured
		if test.before != "" {
			before = parse(t, test.before)
		}
		resource := schema.GroupResource{Group: groupIAM, Resource: "workspacerolebindings"}
		for administers, allowed := range map[bool]bool{false: test.allowed, true: true} {
			p := &Proxy{rights: anyRole{administers: administers}}
			err := p.permitBinding(t.Context(), &user.DefaultInfo{Name: "jane"}, resource, before, parse(t, test.after))
			if (err == nil) != allowed || err != nil && !strings.Contains(err.Error(), "stands for ") {
				t.Errorf("%s, an administrator: %v: %v", test.name, administers, err)
			}
		}
	}
}

// anyRole are the rights of a user who may give and take every role.
type anyRole struct {
	nothing
	administers bool
}

func (a anyRole) Administers(context.Context, user.Info) (bool, error) { return a.administers, nil }

func (anyRole) MayBind(context.Context, user.Info, authz.Scope, rbacv1.RoleRef) error { return nil }

func (anyRole) MayRevoke(context.Context, user.Info, authz.Scope, rbacv1.RoleRef) error { return nil }
