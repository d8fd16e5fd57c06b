//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const whoAmI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

// whom asks Kubernetes whom it sees.
func whom(t *testing.T, options ...option) (reply, authenticationv1.UserInfo) {
	t.Helper()
	review := `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`
	got := shared.do(t, http.MethodPost, whoAmI, strings.NewReader(review), append(options, header("Content-Type", "application/json"))...)
	return got, decode[authenticationv1.SelfSubjectReview](t, got).Status.UserInfo
}

// Kubernetes sees the person, whatever identity the client claims, and a claim
// that is not allowed is refused rather than forgotten (CVE-2021-31999,
// capsule-proxy#188).
func TestIdentityCannotBeClaimed(t *testing.T) {
	t.Parallel()
	member, admin := user(t, "claims"), bearer(shared.login(t).AccessToken)
	workspace(t, "claims")
	inNamespace(t, "claims", "claims-project", "operator")
	answers(t, "GET", "/api/v1/namespaces/claims-project/pods", member, 200)
	got, who := whom(t, admin, header("X-Remote-User", "somebody"), header("X-Remote-Group", "system:masters"), header("X-Remote-Extra-Scopes", "all"),
		header("Connection", "Authorization, X-Remote-User, Impersonate-User"), header("Cookie", "a=b"))
	if got.code != 201 || who.Username != "admin" || who.UID != "" || len(who.Extra) != 0 || strings.Contains(strings.Join(who.Groups, " "), "masters") {
		t.Errorf("got %d %+v", got.code, who)
	}
	const pods = "/api/v1/namespaces/claims-project/pods"
	for _, test := range []struct {
		name, path string
		options    []option
		code       int
	}{
		{"somebody else", pods, []option{header("Impersonate-User", "admin")}, 403},
		{"somebody else, dropped by the connection", pods, []option{header("Impersonate-User", "admin"), header("Connection", "Impersonate-User")}, 403},
		{"oneself in a group", pods, []option{header("Impersonate-User", "claims"), header("Impersonate-Group", "system:masters")}, 403},
		{"a group", pods, []option{header("Impersonate-Group", "system:masters")}, 400},
		{"a UID", pods, []option{header("Impersonate-Uid", "1")}, 400},
		{"an extra", pods, []option{header("Impersonate-Extra-Scopes", "all")}, 400},
		{"something unknown", pods, []option{header("Impersonate-Everybody", "1")}, 400},
		{"a service account of the project", pods, []option{header("Impersonate-User", "system:serviceaccount:claims-project:default")}, 403}, // which may not list pods
		{"a service account elsewhere", pods, []option{header("Impersonate-User", "system:serviceaccount:kube-system:default")}, 403},
		{"at our own APIs", viewer + "/namespaces", []option{header("Impersonate-User", "claims")}, 400},
		{"discovery", "/apis", []option{header("Impersonate-User", "admin")}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := shared.get(t, test.path, append(test.options, bearer(member))...)
			if err := expect(r, test.code); err != nil {
				t.Error(err)
			}
		})
	}
}

// Who may impersonate acts as whom was asked for, with the rights of that one,
// and Kubernetes is told who it is.
func TestImpersonation(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	admin := bearer(token)
	_ = user(t, "played")
	workspace(t, "played")
	inNamespace(t, "played", "played-project", "viewer")
	helper := user(t, "understudy")
	c := kubernetes(t, "")
	create(t, c, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "understudies"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"users"}, ResourceNames: []string{"played"}, Verbs: []string{"impersonate"}},
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"userextras/example.com/reason", "userextras/reason"}, Verbs: []string{"impersonate"}},
	}})
	create(t, c, &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "understudies"}, Subjects: []rbacv1.Subject{subjectUser("understudy")},
		RoleRef: rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "GlobalRole", Name: "understudies"},
	})
	create(t, c, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "played-readers"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "played-readers"}},
	})
	as := func(name string) option { return header("Impersonate-User", name) }
	const pods, elsewhere = "/api/v1/namespaces/played-project/pods", "/api/v1/namespaces/default/pods"
	answers(t, "GET", pods, helper, 403)
	wait.For(t, "the right to impersonate to take effect", func() error { return expect(shared.get(t, pods, bearer(helper), as("played")), 200) })
	for _, test := range []struct {
		name, path string
		options    []option
		code       int
	}{
		{"the rights of the other", pods, []option{bearer(helper), as("played")}, 200},
		{"no more than these", elsewhere, []option{bearer(helper), as("played")}, 403},
		{"nobody else", pods, []option{bearer(helper), as("admin")}, 403},
		{"an extra that is allowed", pods, []option{bearer(helper), as("played"), header("Impersonate-Extra-Example.com%2freason", "support")}, 200},
		{"an extra that Kubernetes refuses", pods, []option{bearer(helper), as("played"), header("Impersonate-Extra-Reason", "support")}, 403},
		{"an extra that is not", pods, []option{bearer(helper), as("played"), header("Impersonate-Extra-Scopes", "all")}, 403},
		{"a group that is not", pods, []option{bearer(helper), as("played"), header("Impersonate-Group", "developers")}, 403},
		{"less than the administrator", elsewhere, []option{admin, as("played")}, 403},
		{"a name without an account", elsewhere, []option{admin, as("jane")}, 403},
		{"a name in a group with rights", elsewhere, []option{admin, as("jane"), header("Impersonate-Group", "played-readers")}, 200},
		{"a group that Kubernetes refuses", elsewhere, []option{admin, as("jane"), header("Impersonate-Group", "system:masters")}, 403},
		{"the group of this server", pods, []option{admin, as("jane"), header("Impersonate-Group", "kubesphere:authorized")}, 403},
		{"what this server says of users", pods, []option{admin, as("jane"), header("Impersonate-Extra-Ks-Apiserver.kubesphere.io%2fscopes", "all")}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := expect(shared.get(t, test.path, test.options...), test.code); err != nil {
				t.Error(err)
			}
		})
	}
	if t.Failed() { // somebody may have given the account of the server more than it is deployed with
		bindings := &rbacv1.ClusterRoleBindingList{}
		if err := c.List(t.Context(), bindings); err != nil {
			t.Error(err)
		}
		for _, binding := range bindings.Items {
			for _, subject := range binding.Subjects {
				if subject.Name == "ks-apiserver" || strings.HasPrefix(subject.Name, "system:serviceaccount") || subject.Name == "system:authenticated" {
					t.Logf("%s gives %s to %s %s", binding.Name, binding.RoleRef.Name, subject.Kind, subject.Name)
				}
			}
		}
	}
	t.Run("what Kubernetes sees", func(t *testing.T) {
		output, code := through(t, token, "default").run(t.Context(), "", "auth", "whoami", "--as=jane", "--as-group=developers", "--as-uid=4711", "--as-user-extra=example.com/reason=support", "-o", "json")
		if code != 0 || !strings.Contains(output, `"jane"`) {
			t.Fatalf("%d %s", code, output)
		}
		got, who := whom(t, admin, as("jane"), header("Impersonate-Group", "developers"), header("Impersonate-Uid", "4711"), header("Impersonate-Extra-Example.com%2fReason", "support"))
		if got.code != 201 || who.Username != "jane" || who.UID != "4711" || !slices.Contains(who.Groups, "developers") || !slices.Contains(who.Groups, "system:authenticated") {
			t.Errorf("got %d %+v", got.code, who)
		}
		if !slices.Equal(who.Extra["example.com/reason"], authenticationv1.ExtraValue{"support"}) || !slices.Equal(who.Extra["ks-apiserver.kubesphere.io/impersonator"], authenticationv1.ExtraValue{"admin"}) {
			t.Errorf("extras %v", who.Extra)
		}
		_, who = whom(t, admin, as("system:serviceaccount:played-project:default"))
		if !slices.Contains(who.Groups, "system:serviceaccounts:played-project") {
			t.Errorf("a service account: %+v", who)
		}
	})
	t.Run("kubectl", func(t *testing.T) {
		s := through(t, token, "played-project")
		for _, test := range []struct{ args, want string }{
			{"auth can-i list pods --as=played", "yes"},
			{"auth can-i create pods --as=played", "no"},
			{"get pods --as=played", "No resources found"},
			{"get nodes --as=played", `User "played" cannot list resource "nodes"`},
			{"get namespaces -o name --as=played", "namespace/played-project"},
			{"create configmap a --as=played", "forbidden"},
		} {
			output, _ := s.run(t.Context(), "", strings.Fields(test.args)...)
			if !strings.Contains(output, test.want) || strings.Contains(output, "kube-system") {
				t.Errorf("kubectl %s: %s", test.args, output)
			}
		}
		output, code := through(t, helper, "played-project").run(t.Context(), "", "get", "nodes", "--as=admin")
		if code == 0 || !strings.Contains(output, "Forbidden") {
			t.Errorf("who may not is told %s", output)
		}
		r := shared.get(t, "/api/v1/nodes", bearer(helper), as("admin"))
		if want := `users "admin" is forbidden: User "understudy" cannot impersonate resource "users" in API group "" at the cluster scope`; decode[metav1.Status](t, r).Message != want {
			t.Errorf("who may not is told %s", r.body)
		}
	})
}
