package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
)

// administrators hold all rights when they are called admin, and none otherwise.
type administrators struct{}

func (administrators) Covers(_ context.Context, who user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if who.GetName() == "admin" {
		return nil, nil
	}
	return rules, nil
}

func newTestLimits(t *testing.T, values config.Limits) *Limits {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	labelled := func(names ...string) (all []string) {
		for _, name := range names {
			all = append(all, fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,"resourceVersion":"1","labels":{"kubesphere.io/workspace":"w"}}}`, name, name))
		}
		return append(all, `{"metadata":{"name":"other","uid":"other","resourceVersion":"1","labels":{"kubesphere.io/workspace":"v"}}}`)
	}
	inNamespace := func(namespace, name string) string {
		return fmt.Sprintf(`{"metadata":{"namespace":%q,"name":%q,"uid":%q,"resourceVersion":"1"}}`, namespace, name, namespace+name)
	}
	withUser := func(name string, all []string) []string {
		for n := range all {
			all[n] = strings.TrimSuffix(all[n], "}") + `,"users":["other",` + fmt.Sprintf("%q", name) + `]}`
		}
		return all
	}
	created := func(name, creator string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,"resourceVersion":"1","annotations":{"kubesphere.io/creator":%q}}}`, name, name, creator)
	}
	grouped := func(name, groups string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,"resourceVersion":"1"},"spec":{"groups":[%s]}}`, name, name, groups)
	}
	left := func(name, workspace, creator string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,"resourceVersion":"1","annotations":{"ks-apiserver.kubesphere.io/former-workspace":%q,"ks-apiserver.kubesphere.io/former-workspace-creator":%q}}}`, name, name, workspace, creator)
	}
	withSubjects := func(namespace string) string {
		return fmt.Sprintf(`{"metadata":{"namespace":%q,"name":"s","uid":"%[1]ss","resourceVersion":"1"},"subjects":[{"kind":"User","name":"a"},{"kind":"User","name":"b"}]}`, namespace)
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{
		"workspacetemplates": {created("a", "jane"), created("b", "jane"), created("c", "john"), created("w", "mallory"), created("v", "joe"), created("of-admin", "admin"), created("of-system", "system")},
		"namespaces":         append(labelled("p", "q"), left("left-a", "1", "jill"), left("left-b", "1", "jill"), left("left-c", "2", "jill"), left("left-d", "3", "john"), created("lone", "")),
		"groups":             labelled("g", "h"), "groupbindings": withUser("full", labelled("m", "n")),
		"workspaceroles": labelled("r", "s"), "workspacerolebindings": labelled("x", "y"),
		"roles": {inNamespace("w", "a"), inNamespace("w", "b"), inNamespace("v", "a")},
		"rolebindings": {
			inNamespace("w", "a"), inNamespace("w", "b"), inNamespace("v", "a"),
			withSubjects("p"), withSubjects("left-a"), withSubjects("lone"),
		},
		"users": {grouped("full", `"a","b"`), grouped("room", `"a"`)},
	})
	quota := func(name string) *quotav1alpha2.ResourceQuota {
		return &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: of("w")}}
	}
	unlabelled := &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q2"}, Spec: quotav1alpha2.ResourceQuotaSpec{LabelSelector: of("w")}}
	policy := func(name string) *networkv1alpha1.NamespaceNetworkPolicy {
		return &networkv1alpha1.NamespaceNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "w", Name: name}}
	}
	return &Limits{
		Cache: cache, Catalog: objects.NewCatalog(), Rights: administrators{}, Values: values,
		Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(quota("q1"), unlabelled, policy("a"), policy("b")).Build(),
	}
}

// TestLimits: whoever has as many objects as there may be is refused one more, and
// told of the limit.
func TestLimits(t *testing.T) {
	l := newTestLimits(t, config.Limits{
		WorkspacesPerUser: 2, NamespacesPerWorkspace: 2, GroupsPerWorkspace: 2, GroupBindingsPerWorkspace: 2,
		GroupsPerMember: 2, GroupsPerUser: 2,
		RolesPerWorkspace: 2, RoleBindingsPerWorkspace: 2, QuotasPerWorkspace: 2, PoliciesPerNamespace: 2,
		RolesPerNamespace: 2, RoleBindingsPerNamespace: 2, SubjectsPerWorkspace: 2, RuleBytesPerWorkspace: 900,
	})
	for _, test := range []struct {
		limit             *Limit
		full, room, names string
	}{
		{WorkspacesPerUser, "jane", "joe", "limits.workspacesPerUser"},
		{WorkspacesPerUser, "jill", "joe", "limits.workspacesPerUser"}, // two that are deleted, of which namespaces are left
		{WorkspacesPerUser, "john", "joe", "limits.workspacesPerUser"}, // one, and one that is deleted
		{NamespacesPerWorkspace, "w", "v", "limits.namespacesPerWorkspace"},
		{GroupsPerWorkspace, "w", "v", "limits.groupsPerWorkspace"},
		{GroupBindingsPerWorkspace, "w", "v", "limits.groupBindingsPerWorkspace"},
		{RolesPerWorkspace, "w", "v", "limits.rolesPerWorkspace"},
		{RoleBindingsPerWorkspace, "w", "v", "limits.roleBindingsPerWorkspace"},
		{QuotasPerWorkspace, "w", "v", "limits.quotasPerWorkspace"},
		{GroupsPerMember, Member("w", "full"), Member("v", "full"), "limits.groupsPerMember"},
		{GroupsPerUser, MemberOf("mallory", "full"), MemberOf("joe", "full"), "limits.groupsPerUser"},
		{PoliciesPerNamespace, "w", "v", "limits.policiesPerNamespace"},
		{RolesPerNamespace, "w", "v", "limits.rolesPerNamespace"},
		{RoleBindingsPerNamespace, "w", "v", "limits.roleBindingsPerNamespace"},
		{SubjectsPerWorkspace, "w", "v", "limits.subjectsPerWorkspace"},
	} {
		who := &user.DefaultInfo{Name: "jane"}
		if _, err := l.Reserve(t.Context(), who, test.limit, test.full, 1); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), test.names) || !strings.Contains(err.Error(), "the maximum is 2") {
			t.Errorf("%s: %v", test.names, err)
		}
		release, err := l.Reserve(t.Context(), who, test.limit, test.room, 1)
		if err != nil {
			t.Errorf("%s, with room: %v", test.names, err)
		}
		if _, err := l.Reserve(t.Context(), who, test.limit, test.room, 2); !apierrors.IsForbidden(err) {
			t.Errorf("%s, more than there is room for: %v", test.names, err)
		}
		release()
		if _, err := l.Reserve(t.Context(), &user.DefaultInfo{Name: "admin"}, test.limit, test.full, 1); err != nil {
			t.Errorf("%s of an administrator: %v", test.names, err)
		}
	}
	for _, test := range []struct {
		object string
		full   bool
	}{
		{`{"metadata":{"namespace":"p"},"subjects":[{}]}`, true},
		{`{"metadata":{"namespace":"q"},"subjects":[{}]}`, true},
		{`{"metadata":{"namespace":"q","labels":{"kubesphere.io/workspace":"v"}},"subjects":[{}]}`, true},
		{`{"metadata":{"namespace":"q"},"subjects":[]}`, false},
		{`{"metadata":{"namespace":"other"},"subjects":[{}]}`, false},
		{`{"metadata":{"namespace":"gone"},"subjects":[{}]}`, false},
		// Roles and bindings in no workspace had no limit: a workspace was deleted without its
		// namespaces, and another one made.
		{`{"metadata":{"namespace":"left-a"},"subjects":[{}]}`, true},
		{`{"metadata":{"namespace":"left-b"},"subjects":[{}]}`, true},
		{`{"metadata":{"namespace":"left-c"},"subjects":[{}]}`, false},
		{`{"metadata":{"namespace":"lone"},"subjects":[{}]}`, true},
		{`{"metadata":{"namespace":"left-b"},"rules":[{"verbs":["` + strings.Repeat("x", 5000) + `"]}]}`, true},
		{`{"metadata":{"labels":{"kubesphere.io/workspace":"w"}},"subjects":[{}]}`, true},
		{`{"metadata":{"namespace":"q"},"rules":[{"verbs":["get"]}]}`, false},
		{`{"metadata":{"namespace":"q"},"rules":[{"verbs":["` + strings.Repeat("x", 5000) + `"]}]}`, true},
	} {
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(test.object), &object.Object); err != nil {
			t.Fatal(err)
		}
		if err := l.CheckRights(t.Context(), &user.DefaultInfo{Name: "jane"}, nil, object); apierrors.IsForbidden(err) != test.full {
			t.Errorf("%.80s: %v", test.object, err)
		}
		if err := l.CheckRights(t.Context(), &user.DefaultInfo{Name: "jane"}, object, object); err != nil {
			t.Errorf("%.80s, unchanged: %v", test.object, err)
		}
	}
	// Quotas times projects: there are two of each in w.
	for _, test := range []struct {
		most         int
		quota, space bool // fit
	}{{4, false, false}, {5, false, false}, {6, true, true}} {
		l.Values = config.Limits{QuotasPerWorkspace: 10, NamespacesPerWorkspace: 10, ProjectQuotasPerWorkspace: test.most}
		for limit, fits := range map[*Limit]bool{QuotasPerWorkspace: test.quota, NamespacesPerWorkspace: test.space} {
			release, err := l.Reserve(t.Context(), &user.DefaultInfo{Name: "jane"}, limit, "w", 1)
			release()
			if (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "limits.projectQuotasPerWorkspace") {
				t.Errorf("%s, %d: %v", limit.key, test.most, err)
			}
		}
	}
	l.Values = config.Limits{}
	if _, err := l.Reserve(t.Context(), &user.DefaultInfo{Name: "jane"}, WorkspacesPerUser, "jane", 1); err != nil {
		t.Errorf("without a bound: %v", err)
	}
	if _, err := (*Limits)(nil).Reserve(t.Context(), &user.DefaultInfo{Name: "jane"}, WorkspacesPerUser, "jane", 1); err != nil {
		t.Errorf("without limits: %v", err)
	}
}

// TestLimitsAtOnce: of requests that come at once no more are let through than there
// is room for.
func TestLimitsAtOnce(t *testing.T) {
	l := newTestLimits(t, config.Limits{WorkspacesPerUser: 5})
	var passed atomic.Int64
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			if _, err := l.Reserve(t.Context(), &user.DefaultInfo{Name: "jane"}, WorkspacesPerUser, "jane", 1); err == nil {
				passed.Add(1) // and is being created for ever
			} else if !apierrors.IsForbidden(err) {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if got := passed.Load(); got < 1 || got > 3 {
		t.Errorf("%d were let through", got)
	}
	if len(l.pending) != 1 || l.pending[pendingKey{WorkspacesPerUser, "jane"}] != int(passed.Load()) {
		t.Errorf("pending %v", l.pending)
	}
}

// TestBoundedCreators: the groups of one creator's workspaces count together, but for those
// of administrators, so that nobody uses up the groups a user may have elsewhere.
func TestBoundedCreators(t *testing.T) {
	l := newTestLimits(t, config.Limits{GroupsPerUser: 2})
	for workspace, want := range map[string]string{"w": "mallory", "v": "joe", "of-admin": "", "of-system": "", "unknown": ""} {
		if got, err := l.BoundedCreator(t.Context(), workspace); err != nil || got != want {
			t.Errorf("%s: %q, %v", workspace, got, err)
		}
	}
}

// TestOwnerOf: what a namespace counts for, and whom that is of.
func TestOwnerOf(t *testing.T) {
	l := newTestLimits(t, config.Limits{})
	for namespace, want := range map[string][2]string{
		"p": {"mallory", "w"}, "q": {"mallory", "w"}, "other": {"joe", "v"}, // in workspaces
		"left-a": {"jill", "former/1"}, "left-b": {"jill", "former/1"}, // of one that is gone
		"lone": {"", "namespace/lone"}, "unknown": {"", ""},
	} {
		if creator, home := l.OwnerOf(t.Context(), namespace); creator != want[0] || home != want[1] {
			t.Errorf("%s: %q, %q", namespace, creator, home)
		}
	}
}
