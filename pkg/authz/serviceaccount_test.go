package authz

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// TestServiceAccountGroups: what everybody who is logged in has on the platform is
// not for service accounts; what Kubernetes' bindings give their groups is.
func TestServiceAccountGroups(t *testing.T) {
	robot := &user.DefaultInfo{Name: "system:serviceaccount:n:s", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:n", user.AllAuthenticated}}
	person := &user.DefaultInfo{Name: "jane", Groups: []string{user.AllAuthenticated}}
	everything := rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"*"}}
	for _, test := range []struct {
		name    string
		subject rbacv1.Subject
		who     user.Info
		want    bool
	}{
		{"a person by a global role for all", rbacv1.Subject{Kind: "Group", Name: user.AllAuthenticated}, person, true},
		{"a service account by a global role for all", rbacv1.Subject{Kind: "Group", Name: user.AllAuthenticated}, robot, false},
		{"by a global role for all service accounts", rbacv1.Subject{Kind: "Group", Name: "system:serviceaccounts"}, robot, false},
		{"by a global role of its own", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "n", Name: "s"}, robot, true},
	} {
		d := &directory{}
		d.role("r", everything)
		d.bind("r", test.subject)
		request := path("get", "/")
		request.User = test.who
		if got := allowed(t, &RBAC{Source: d}, request); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if !IsServiceAccount(robot) || IsServiceAccount(person) || IsServiceAccount(nil) || IsServiceAccount(&user.DefaultInfo{Name: "system:serviceaccount:n"}) {
		t.Error("service accounts are told by their names")
	}
}
