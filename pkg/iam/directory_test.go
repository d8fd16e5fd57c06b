package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// newDirectory returns a directory over a cluster with the given objects by
// the plural name of their type, and a channel of watch events for all types.
func newDirectory(t testing.TB, lists map[string][]string) (*Directory, map[string]chan string) {
	t.Helper()
	cache, events := objectstest.NewCache(t, lists)
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return &Directory{Cache: cache, Catalog: objects.NewCatalog(), Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "admin"}, Spec: iamv1alpha2.UserSpec{EncryptedPassword: "hash"}},
	).Build()}, events
}

func user(name, email, state string, groups ...string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,"resourceVersion":"1"},"spec":{"email":%q,"password":"hash","groups":[%s]},"status":{"state":%q}}`, name, name, email, strings.Join(groups, ","), state)
}

func TestUsers(t *testing.T) {
	d, _ := newDirectory(t, map[string][]string{"users": {
		user("admin", "admin@example.com", "Active", `"a"`, `"b"`), user("bob", "bob@example.com", "Disabled"),
		user("twin-1", "twin@example.com", "Active"), user("twin-2", "twin@example.com", "Active"),
	}})
	t.Run("by e-mail", func(t *testing.T) {
		for email, want := range map[string]string{
			"admin@example.com": "admin", "bob@example.com": "bob",
			"ADMIN@example.com": "", "admin@example": "", "dmin@example.com": "",
			"twin@example.com": "", // whose password is it?
			"a\x00b@c":         "",
		} {
			if got, found := d.NameByEmail(t.Context(), email); got != want || found != (want != "") {
				t.Errorf("%q: %q, %v, want %q", email, got, found, want)
			}
		}
	})
	t.Run("account", func(t *testing.T) {
		got, found, err := d.Account(t.Context(), "admin")
		if err != nil || !found || got.State != iamv1alpha2.UserActive || !slices.Equal(got.Groups, []string{"a", "b"}) || got.Name != "admin" {
			t.Errorf("got %+v, %v, %v", got, found, err)
		}
		if got, found, err := d.Account(t.Context(), "nobody"); err != nil || found {
			t.Errorf("nobody: %+v, %v, %v", got, found, err)
		}
	})
	t.Run("with the password, from Kubernetes", func(t *testing.T) {
		if got, err := d.Get(t.Context(), "admin"); err != nil || got.Spec.EncryptedPassword != "hash" {
			t.Errorf("got %v, %v", got, err)
		}
		if got, err := d.Get(t.Context(), "nobody"); !apierrors.IsNotFound(err) || got != nil {
			t.Errorf("nobody: %v, %v", got, err)
		}
	})
}

func role(name, version, verb string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,"resourceVersion":%q},"rules":[{"verbs":[%q],"apiGroups":["*"],"resources":["*"]}]}`, name, name, version, verb)
}

// TestDecoded: objects are decoded once; a change decodes what changed.
func TestDecoded(t *testing.T) {
	d, events := newDirectory(t, map[string][]string{"globalroles": {role("a", "1", "get"), role("b", "2", "get")}, "globalrolebindings": {}})
	globalRoles := func() (Objects[Role], error) {
		all, err := d.Rights(t.Context())
		return all.GlobalRoles, err
	}
	first, err := globalRoles()
	if err != nil || len(first.Items) != 2 || first.Items[0].Name != "a" || first.Items[1].Rules[0].Verbs[0] != "get" {
		t.Fatalf("got %+v, %v", first, err)
	}
	again, err := globalRoles()
	if err != nil || again.Revision != first.Revision || again.Items[0] != first.Items[0] {
		t.Errorf("decoded twice: %v", err)
	}
	events["globalroles"] <- `{"type":"MODIFIED","object":` + role("b", "3", "delete") + `}`
	wait.Until(t, "the change to arrive", func() bool {
		if again, err = globalRoles(); err != nil {
			t.Fatal(err)
		}
		return again.Revision != first.Revision
	})
	if again.Items[0] != first.Items[0] || again.Items[1] == first.Items[1] || again.Items[1].Rules[0].Verbs[0] != "delete" {
		t.Errorf("after a change of b: %+v", again.Items)
	}
	if first.Items[1].Rules[0].Verbs[0] != "get" {
		t.Error("what was handed out before has changed")
	}
	if all, err := d.Rights(t.Context()); err != nil || len(all.GlobalRoleBindings.Items) != 0 {
		t.Errorf("bindings: %v, %v", all, err)
	}
}

// TestUnchangedRights: what a write leaves as it was for decisions does not make a new state
// of rights, which all users would pay for: one who patched an annotation in a loop made
// everything that was remembered of others be worked out again.
func TestUnchangedRights(t *testing.T) {
	namespace := func(version, workspace, note string) string {
		return fmt.Sprintf(`{"metadata":{"name":"n","uid":"n","resourceVersion":%q,"labels":{"kubesphere.io/workspace":%q},"annotations":{"note":%q}}}`, version, workspace, note)
	}
	binding := func(version, role, subject string) string {
		return fmt.Sprintf(`{"metadata":{"name":"b","uid":"b","resourceVersion":%q},"roleRef":{"kind":"GlobalRole","name":%q},"subjects":[{"kind":"User","name":%q}]}`, version, role, subject)
	}
	for _, test := range []struct {
		name, resource, before, event string
		changes                       bool
	}{
		{"an annotation of a namespace", "namespaces", namespace("1", "w", ""), `{"type":"MODIFIED","object":` + namespace("2", "w", "x") + `}`, false},
		{"the workspace of a namespace", "namespaces", namespace("1", "w", ""), `{"type":"MODIFIED","object":` + namespace("2", "v", "") + `}`, true},
		{"a further namespace", "namespaces", namespace("1", "w", ""), `{"type":"ADDED","object":{"metadata":{"name":"o","uid":"o","resourceVersion":"2"}}}`, true},
		{"one namespace less", "namespaces", namespace("1", "w", ""), `{"type":"DELETED","object":` + namespace("2", "w", "") + `}`, true},
		{"a role written again", "globalroles", role("r", "1", "get"), `{"type":"MODIFIED","object":` + role("r", "2", "get") + `}`, false},
		{"the rules of a role", "globalroles", role("r", "1", "get"), `{"type":"MODIFIED","object":` + role("r", "2", "list") + `}`, true},
		{"a binding written again", "globalrolebindings", binding("1", "r", "jane"), `{"type":"MODIFIED","object":` + binding("2", "r", "jane") + `}`, false},
		{"the subjects of a binding", "globalrolebindings", binding("1", "r", "jane"), `{"type":"MODIFIED","object":` + binding("2", "r", "john") + `}`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, events := newDirectory(t, map[string][]string{test.resource: {test.before}})
			first, err := d.Rights(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			kind := d.Catalog.Type(test.resource)
			before, err := d.Cache.View(t.Context(), kind)
			if err != nil {
				t.Fatal(err)
			}
			events[test.resource] <- test.event
			wait.Until(t, "the change to arrive", func() bool {
				now, err := d.Cache.View(t.Context(), kind)
				return err == nil && now.Snapshot != before.Snapshot
			})
			second, err := d.Rights(t.Context())
			if err != nil || first.Same(&second) == test.changes {
				t.Errorf("the same rights: %v, %v", first.Same(&second), err)
			}
			// Who knows the state before finds what it is made of in the next one: a binding
			// that is taken away later would else not be found among what it gave.
			if !test.changes && (!slices.Equal(first.Namespaces.Items, second.Namespaces.Items) || !slices.Equal(first.GlobalRoles.Items, second.GlobalRoles.Items) ||
				!slices.Equal(first.GlobalRoleBindings.Items, second.GlobalRoleBindings.Items)) {
				t.Error("the values are others")
			}
		})
	}
}

func TestDecodedProblems(t *testing.T) {
	// ks#6149: one bad object took everything down.
	d, _ := newDirectory(t, map[string][]string{"globalroles": {`{"metadata":{"name":"odd"},"rules":"none"}`, `{"metadata":{"name":"plain"},"rules":[]}`}})
	all, err := d.Rights(t.Context())
	if roles := all.GlobalRoles.Items; err != nil || len(roles) != 1 || roles[0].Name != "plain" {
		t.Errorf("a role that cannot be decoded: %v, %v", roles, err)
	}
	// Service accounts of a project wrote roles of 1 MB past this server, until every
	// replica was beyond its memory.
	long := func(namespace, field string) string {
		return fmt.Sprintf(`{"metadata":{"name":"long","namespace":%q},%q:[{"name":%q}]}`, namespace, field, strings.Repeat("x", maxDecoded))
	}
	d, _ = newDirectory(t, map[string][]string{
		"roles": {long("n", "rules"), `{"metadata":{"name":"plain","namespace":"n"},"rules":[]}`}, "rolebindings": {long("n", "subjects")}, "clusterroles": {long("", "rules")},
	})
	all, err = d.Rights(t.Context())
	if err != nil || len(all.Roles.Items) != 1 || len(all.RoleBindings.Items) != 0 || len(all.ClusterRoles.Items) != 1 {
		t.Errorf("long roles and bindings: %v, %v", all, err)
	}
	if len(all.GlobalRoleBindings.Items) != 0 {
		t.Errorf("a type that is not installed: %v", all.GlobalRoleBindings)
	}
	if _, found := d.NameByEmail(t.Context(), "a@b"); found {
		t.Error("users are not installed")
	}
}
