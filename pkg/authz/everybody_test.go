package authz

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

type administers bool

func (a administers) Administers(context.Context, user.Info) (bool, error) { return bool(a), nil }

// TestCheckSubjects: administrators of the platform alone give roles to everybody.
func TestCheckSubjects(t *testing.T) {
	subject := func(kind, name string) rbacv1.Subject { return rbacv1.Subject{Kind: kind, Name: name} }
	for _, test := range []struct {
		name     string
		subjects []rbacv1.Subject
		allowed  bool
	}{
		{"none", nil, true},
		{"visitors by name", []rbacv1.Subject{subject("User", "system:anonymous")}, false},
		{"visitors by group", []rbacv1.Subject{subject("Group", "system:unauthenticated")}, false},
		{"all who are logged in", []rbacv1.Subject{subject("Group", "system:authenticated")}, false},
		{"all service accounts", []rbacv1.Subject{subject("Group", "system:serviceaccounts")}, false},
		{"behind another subject", []rbacv1.Subject{subject("User", "jane"), subject("User", "system:anonymous")}, false},
		{"by a kind that this server does not know", []rbacv1.Subject{subject("group", "system:authenticated")}, false},
		{"with a namespace", []rbacv1.Subject{{Kind: "User", Namespace: "n", Name: "system:anonymous"}}, false},
		{"service accounts of a project", []rbacv1.Subject{subject("Group", "system:serviceaccounts:n")}, true},
		{"a service account by its user", []rbacv1.Subject{subject("User", "system:serviceaccount:n:s")}, true},
		{"a user named like the kind of visitor", []rbacv1.Subject{subject("User", "anonymous")}, true},
		{"persons without an account", []rbacv1.Subject{subject("User", "system:pre-registration")}, false},
		{"visitors by their role", []rbacv1.Subject{subject("Group", "kubesphere:global:anonymous")}, false},
		{"holders of a role in a workspace", []rbacv1.Subject{subject("User", "jane"), subject("Group", WorkspaceGroup("w", "uid", "w-viewer"))}, false},
		{"administrators by their group", []rbacv1.Subject{subject("Group", AdministratorsGroup)}, false},
		{"a user named like a group of this server", []rbacv1.Subject{subject("User", "kubesphere:global:anonymous")}, false},
		{"a group of this server in another case", []rbacv1.Subject{subject("Group", "KubeSphere:global:anonymous")}, false},
		{"nothing but the prefix", []rbacv1.Subject{subject("Group", "kubesphere:")}, false},
		{"a group named like the platform", []rbacv1.Subject{subject("Group", "kubesphere")}, true},
		{"a group named like the platform's namespace", []rbacv1.Subject{subject("Group", "system:serviceaccounts:kubesphere-system")}, true},
		{"a group", []rbacv1.Subject{subject("Group", "ops")}, true},
	} {
		resource := schema.GroupResource{Group: rbacv1.GroupName, Resource: "rolebindings"}
		err := CheckSubjects(t.Context(), administers(false), &user.DefaultInfo{Name: "jane"}, resource, "b", test.subjects)
		if (err == nil) != test.allowed || err != nil && status.Of(err).Code != 403 {
			t.Errorf("%s: %v", test.name, err)
		}
		if err := CheckSubjects(t.Context(), administers(true), &user.DefaultInfo{Name: "admin"}, resource, "b", test.subjects); err != nil {
			t.Errorf("%s by an administrator: %v", test.name, err)
		}
	}
}

// TestVisitorsDoNotConnect: whatever a role that visitors have permits, they reach nothing
// that runs behind Kubernetes' API.
func TestVisitorsDoNotConnect(t *testing.T) {
	d := &directory{}
	d.role("open", Everything()...)
	d.bind("open", rbacv1.Subject{Kind: "User", Name: user.Anonymous}, rbacv1.Subject{Kind: "User", Name: "system:pre-registration"}, rbacv1.Subject{Kind: "User", Name: "jane"})
	r := &RBAC{Source: d}
	visitors := map[string]user.Info{
		"a visitor":                   &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}},
		"a visitor without groups":    &user.DefaultInfo{Name: user.Anonymous},
		"a person without an account": &user.DefaultInfo{Name: "system:pre-registration", Groups: []string{"pre-registration", user.AllUnauthenticated}},
	}
	for _, text := range []string{
		`get "" services/proxy s`, `create "" services/proxy s`, `update "" services/proxy s`, `get "" pods/proxy p`, `get "" nodes/proxy n`, `create "" nodes/proxy n`, `proxy "" services s`, `proxy "" nodes n`,
		`create "" pods/exec p`, `create "" pods/attach p`, `create "" pods/portforward p`, `create terminal.kubesphere.io pods/exec p`, `get example.io things/proxy t`,
	} {
		for name, who := range visitors {
			request := to(text)
			request.User = who
			if allowed(t, r, request) {
				t.Errorf("%s may %s", name, text)
			}
		}
	}
	for name, who := range visitors {
		request := to(`get "" pods/log p`)
		request.User = who
		if !allowed(t, r, request) {
			t.Errorf("%s may not read what the role permits", name)
		}
	}
	request := to(`create "" services/proxy s`)
	request.User = &user.DefaultInfo{Name: "jane", Groups: []string{user.AllAuthenticated}}
	if !allowed(t, r, request) {
		t.Error("a user connects to nothing")
	}
}
