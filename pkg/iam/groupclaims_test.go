package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// TestClaimedGroups: whoever may create workspaces made a group with the name of a company's
// and had a token that said so.
func TestClaimedGroups(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	group := func(name, workspace string) *iamv1alpha2.Group {
		return &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{iamv1alpha2.LabelWorkspace: workspace}}}
	}
	bound := func(user, group, workspace, provider string) *iamv1alpha2.GroupBinding {
		binding := membership(workspace, user, group)
		binding.Name = user + "-" + group
		if provider != "" {
			binding.Labels[iamv1alpha2.LabelIdentityProvider] = provider
		}
		return binding
	}
	external := bound("jane", "ops", "", "")
	external.Labels = map[string]string{iamv1alpha2.LabelUserReference: "jane", iamv1alpha2.LabelExternalMember: "true"}
	joined := bound("jane", "ops", "w", "")
	joined.Name = "joined"
	existing := []client.Object{
		external, joined,
		group("argocd-admins", "w"), group("ops", "w"), group("platform", ""),
		bound("mallory", "argocd-admins", "w", ""), bound("jane", "argocd-admins", "w", "ldap"), bound("mallory", "ops", "w", ""), bound("john", "platform", "", ""),
	}
	var many, claimed []string
	for n := range 2 * maxGroupReads {
		existing = append(existing, group(fmt.Sprint("many-", n), "v"))
		many, claimed = append(many, fmt.Sprint("many-", n)), append(claimed, fmt.Sprint("workspace:v:many-", n))
	}
	d := &Directory{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(existing...).Build()}
	for _, test := range []struct {
		name, user   string
		groups, want []string
	}{
		{"nobody's", "mallory", nil, nil},
		{"a company's name in a workspace", "mallory", []string{"argocd-admins", "ops"}, []string{"workspace:w:argocd-admins", "workspace:w:ops"}},
		{"of an identity provider", "jane", []string{"argocd-admins"}, []string{"argocd-admins"}},
		{"one the user had before it was a workspace's", "jane", []string{"ops"}, []string{"ops"}},
		{"whose binding is gone already", "jill", []string{"argocd-admins"}, []string{"workspace:w:argocd-admins"}},
		{"of no workspace", "john", []string{"platform"}, []string{"platform"}},
		{"of a provider, without an object", "john", []string{"urn:corp:admins", "staff"}, []string{"urn:corp:admins", "staff"}},
		{"one that would look like a workspace's", "john", []string{"workspace:w:ops", "staff"}, []string{"staff"}},
		{"many, without bindings", "john", append(slices.Clone(many), "staff"), append(slices.Clone(claimed), "staff")},
	} {
		if got, err := d.ClaimedGroups(t.Context(), test.user, test.groups); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

// TestGroupOrder: groups that members of any workspace put a user into crowded out those
// that a token or a request has no room for then.
func TestGroupOrder(t *testing.T) {
	object := func(name, labels, fields string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,"resourceVersion":"1","labels":{%s}}%s}`, name, name, labels, fields)
	}
	const inWorkspace = `"kubesphere.io/workspace":"w"`
	var groups, unwanted []string
	for n := range 400 {
		name := fmt.Sprintf("unwanted-%s-%d", strings.Repeat("x", 40), n)
		unwanted, groups = append(unwanted, name), append(groups, object(name, inWorkspace, ""))
	}
	names := append(slices.Clone(unwanted), "provided", "bound", "elsewhere", "platform")
	quoted := make([]string, len(names))
	for n, name := range names {
		quoted[n] = fmt.Sprintf("%q", name)
	}
	groups = append(groups, object("provided", inWorkspace, ""), object("bound", inWorkspace, ""), object("platform", "", ""))
	d, _ := newDirectory(t, map[string][]string{
		"users": {user("admin", "", "Active", quoted...), user("jane", "", "Active", `"bound"`)}, "groups": groups,
		"groupbindings":      {object("b", inWorkspace+`,"iam.kubesphere.io/user-ref":"admin","iam.kubesphere.io/group-ref":"provided","iam.kubesphere.io/identify-provider":"ldap"`, `,"users":["admin"]`)},
		"globalrolebindings": {object("r", "", `,"roleRef":{"kind":"GlobalRole","name":"x"},"subjects":[{"kind":"Group","name":"bound"}]`)},
	})
	want := append([]string{"provided", "bound", "elsewhere", "platform"}, unwanted...)
	for range 2 {
		account, found, err := d.Account(t.Context(), "admin")
		if err != nil || !found || !slices.Equal(account.Groups, want) {
			t.Errorf("%.200q, %v, %v", account.Groups, found, err)
		}
	}
	if claimed, err := d.ClaimedGroups(t.Context(), "admin", names); err != nil || len(claimed) != len(names) || claimed[3] != "platform" {
		t.Errorf("%.200q, %v", claimed, err)
	}
}
