package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// isolationEnv is a reconciler with the objects there are, and the writes it makes.
type isolationEnv struct {
	client    client.Client
	events    *events.FakeRecorder
	writes    int
	isolation *networkIsolation
}

func newIsolationEnv(t *testing.T, enabled bool, objects ...client.Object) *isolationEnv {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	e := &isolationEnv{events: events.NewFakeRecorder(100)}
	base := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&networkv1alpha1.NamespaceNetworkPolicy{}).
		WithIndex(&networkingv1.NetworkPolicy{}, byPurpose, policyPurpose).Build()
	e.client = interceptor.NewClient(base, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			e.writes++
			return c.Create(ctx, o, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			e.writes++
			return c.Update(ctx, o, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			e.writes++
			return c.SubResource(name).Patch(ctx, o, p, options...)
		},
	})
	e.isolation = &networkIsolation{client: e.client, events: e.events, config: config.Network{EnableNetworkPolicy: enabled, NSNPOptions: config.NSNPOptions{AllowedIngressNamespaces: []string{"gateways"}}}}
	return e
}

// reconcile reconciles twice all keys there are: the second time changes nothing.
func (e *isolationEnv) reconcile(t *testing.T) {
	t.Helper()
	for n := range 2 {
		e.writes = 0
		for _, step := range []struct {
			reconciler reconcile.Reconciler
			keys       func(context.Context, []string) []reconcile.Request
		}{
			{&namespaceIsolation{e.isolation}, func(_ context.Context, names []string) []reconcile.Request { return named(names...) }},
			{&policyIsolation{e.isolation}, e.isolation.policiesIn},
			{&policyIsolation{e.isolation}, func(ctx context.Context, _ []string) (keys []reconcile.Request) {
				for _, policy := range e.policies(t) {
					keys = append(keys, madeOf(ctx, &policy)...)
				}
				return keys
			}},
			{&policyWarnings{e.isolation}, e.isolation.networkPoliciesIn},
		} {
			for _, key := range step.keys(t.Context(), []string{"n"}) {
				if _, err := step.reconciler.Reconcile(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n == 1 && e.writes != 0 {
			t.Errorf("%d writes the second time", e.writes)
		}
	}
}

func (e *isolationEnv) policies(t *testing.T) map[string]networkingv1.NetworkPolicy {
	t.Helper()
	list := &networkingv1.NetworkPolicyList{}
	if err := e.client.List(t.Context(), list, client.InNamespace("n")); err != nil {
		t.Fatal(err)
	}
	all := map[string]networkingv1.NetworkPolicy{}
	for _, policy := range list.Items {
		all[policy.Name] = policy
	}
	return all
}

func (e *isolationEnv) annotate(t *testing.T, value string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	if err := e.client.Patch(t.Context(), namespace, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"kubesphere.io/network-isolate":"`+value+`"}}}`))); err != nil {
		t.Fatal(err)
	}
}

func isolatedNamespace() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "1a2b3c4d-0000", Labels: map[string]string{"kubesphere.io/workspace": "w"}, Annotations: map[string]string{"kubesphere.io/network-isolate": "enabled"}}}
}

func allowsNamespace(name string) *networkv1alpha1.NamespaceNetworkPolicy {
	return &networkv1alpha1.NamespaceNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID(name)}, Spec: networkv1alpha1.NamespaceNetworkPolicySpec{
		Ingress: []networkv1alpha1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{{}}, From: []networkv1alpha1.NetworkPolicyPeer{{NamespaceSelector: &networkv1alpha1.NamespaceSelector{Name: "m"}}}}},
	}}
}

func reasonOf(t *testing.T, c client.Client, name string) string {
	t.Helper()
	policy := &networkv1alpha1.NamespaceNetworkPolicy{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: name}, policy); err != nil {
		t.Fatal(err)
	}
	condition := meta.FindStatusCondition(policy.Status.Conditions, networkv1alpha1.ConditionEnforced)
	if condition == nil {
		return ""
	}
	return condition.Reason
}

func TestIsolation(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}}}}
	workspace := &tenantv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "w"}, Spec: tenantv1alpha1.WorkspaceSpec{NetworkIsolation: new(true)}}
	e := newIsolationEnv(t, true, isolatedNamespace(), node, workspace, allowsNamespace("m"))
	e.reconcile(t)
	got := e.policies(t)
	isolate, exception := got["network-isolate"], got["nsnp-m"]
	if len(got) != 2 || isolate.Spec.Ingress[0].From[0].PodSelector == nil || isolate.OwnerReferences[0].UID != "1a2b3c4d-0000" || exception.OwnerReferences[0].UID != "m" {
		t.Fatalf("%+v", got)
	}
	if from := isolate.Spec.Ingress[0].From; from[len(from)-1].IPBlock.CIDR != "192.0.2.1/32" {
		t.Errorf("%+v", from)
	}
	if reason := reasonOf(t, e.client, "m"); reason != "Enforced" {
		t.Errorf("reason %q", reason)
	}

	// The annotation alone does not end what the workspace says.
	e.annotate(t, "disabled")
	e.reconcile(t)
	got = e.policies(t)
	if isolate = got["network-isolate"]; len(got) != 1 || isolate.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels["kubesphere.io/workspace"] != "w" {
		t.Errorf("%+v", got)
	}
	if reason := reasonOf(t, e.client, "m"); reason != "IsolationDisabled" {
		t.Errorf("reason %q", reason)
	}

	// Nor does whoever changes the policy, or makes it go.
	isolate.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	if err := e.client.Update(t.Context(), &isolate); err != nil {
		t.Fatal(err)
	}
	e.reconcile(t)
	if isolate = e.policies(t)["network-isolate"]; len(isolate.Spec.Ingress[0].From) == 0 {
		t.Error("a policy that lets everybody in stays")
	}

	workspace.Spec.NetworkIsolation = new(false)
	if err := e.client.Update(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}
	e.reconcile(t)
	if got := e.policies(t); len(got) != 0 {
		t.Errorf("left are %+v", got)
	}
}

func TestIsolationOfOthersPolicies(t *testing.T) {
	open := networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}
	theirs := func(name string, labels map[string]string) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, Labels: labels}, Spec: open}
	}
	ours := map[string]string{"app.kubernetes.io/managed-by": "ks-apiserver"}
	e := newIsolationEnv(t, true, isolatedNamespace(), allowsNamespace("m"), allowsNamespace("labelled"),
		theirs("network-isolate", nil), theirs("nsnp-m", nil), theirs("nsnp-labelled", ours), theirs("open", ours), theirs("nsnp-left", ours))
	e.reconcile(t)
	got := e.policies(t)
	for _, name := range []string{"network-isolate", "nsnp-m", "nsnp-labelled", "open", "nsnp-left"} {
		if policy := got[name]; len(policy.Spec.Ingress) != 1 || len(policy.Spec.Ingress[0].From) != 0 {
			t.Errorf("%s was changed: %+v", name, policy)
		}
	}
	if policy := got["network-isolate-1a2b3c4d"]; len(got) != 6 || len(policy.Spec.Ingress) != 1 || policy.Spec.Ingress[0].From[0].PodSelector == nil {
		t.Errorf("the namespace is not isolated: %+v", got)
	}
	for _, name := range []string{"m", "labelled"} {
		if reason := reasonOf(t, e.client, name); reason != "NameTaken" {
			t.Errorf("%s: reason %q", name, reason)
		}
	}
	var reasons []string
	for len(e.events.Events) > 0 {
		reasons = append(reasons, strings.Fields(<-e.events.Events)[1])
	}
	slices.Sort(reasons)
	if reasons = slices.Compact(reasons); !slices.Equal(reasons, []string{"ExceedsNetworkIsolation", "NetworkPolicyNameTaken"}) {
		t.Errorf("events %q", reasons)
	}
}

// TestIsolationDisabled: what was made goes, also what was made for objects that
// are gone, and nothing else.
func TestIsolationDisabled(t *testing.T) {
	made := func(name, apiVersion, kind, owner string) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{ObjectMeta: policyMeta("n", name, metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: owner, UID: "x"})}
	}
	for _, enabled := range []bool{true, false} {
		namespace := isolatedNamespace()
		if enabled {
			namespace.Annotations = nil
		}
		e := newIsolationEnv(t, enabled, namespace, made("network-isolate", "v1", "Namespace", "n"), made("network-isolate-1a2b3c4d", "v1", "Namespace", "n"),
			made("nsnp-gone", "network.kubesphere.io/v1alpha1", "NamespaceNetworkPolicy", "gone"), made("another", "v1", "Namespace", "n"), made("nsnp-other", "apps/v1", "Deployment", "other"))
		e.reconcile(t)
		got := e.policies(t)
		if _, another := got["another"]; len(got) != 2 || !another {
			t.Errorf("enabled %v: left are %v", enabled, got)
		}
	}
}

func TestServicesOf(t *testing.T) {
	peer := func(name string) networkv1alpha1.NetworkPolicyPeer {
		return networkv1alpha1.NetworkPolicyPeer{ServiceSelector: &networkv1alpha1.ServiceSelector{Namespace: "m", Name: name}}
	}
	policy := &networkv1alpha1.NamespaceNetworkPolicy{Spec: networkv1alpha1.NamespaceNetworkPolicySpec{
		Ingress: []networkv1alpha1.NetworkPolicyIngressRule{{From: []networkv1alpha1.NetworkPolicyPeer{peer("a"), {}}}},
		Egress:  []networkv1alpha1.NetworkPolicyEgressRule{{To: []networkv1alpha1.NetworkPolicyPeer{peer("b")}}},
	}}
	if got := policyServices(policy); !slices.Equal(got, []string{"m/", "m/a", "m/b"}) {
		t.Errorf("%v", got)
	}
}

// TestServicesOfOthers: a policy showed its author the pods of services of other tenants,
// which this server alone may read, and whether there are such.
func TestServicesOfOthers(t *testing.T) {
	namespace := func(name, workspace string) *corev1.Namespace {
		labels := map[string]string{}
		if workspace != "" {
			labels["kubesphere.io/workspace"] = workspace
		}
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	service := func(namespace string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "hidden"}}}
	}
	for _, test := range []struct {
		name             string
		workspace, other string
		peer             string
		shown            bool
	}{
		{"its own", "w", "v", "n", true},
		{"its own, in no workspace", "", "", "n", true},
		{"of the workspace", "w", "w", "m", true},
		{"of another workspace", "w", "v", "m", false},
		{"of no workspace", "w", "", "m", false},
		{"of a namespace that is not there", "w", "w", "gone", false},
		{"of a workspace, in no workspace", "", "w", "m", false},
		{"of no workspace, in no workspace", "", "", "m", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			messages := make(map[string]bool)
			for _, exists := range []bool{true, false} {
				objects := []client.Object{namespace("n", test.workspace), namespace("m", test.other)}
				if exists {
					objects = append(objects, service("n"), service("m"))
				}
				policy := allowsNamespace("spy")
				policy.Spec.Ingress[0].From[0] = networkv1alpha1.NetworkPolicyPeer{ServiceSelector: &networkv1alpha1.ServiceSelector{Namespace: test.peer, Name: "web"}}
				e := newIsolationEnv(t, true, append(objects, policy)...)
				e.reconcile(t)
				made := e.policies(t)["nsnp-spy"]
				if shown := len(made.Spec.Ingress) == 1; shown != (test.shown && exists) {
					t.Errorf("exists %v: %+v", exists, made.Spec.Ingress)
				}
				found := &networkv1alpha1.NamespaceNetworkPolicy{}
				if err := e.client.Get(t.Context(), client.ObjectKeyFromObject(policy), found); err != nil {
					t.Fatal(err)
				}
				condition := meta.FindStatusCondition(found.Status.Conditions, networkv1alpha1.ConditionEnforced)
				messages[condition.Message] = true
			}
			if told := len(messages) == 2; told != test.shown {
				t.Errorf("the status says %v", messages)
			}
		})
	}
}
