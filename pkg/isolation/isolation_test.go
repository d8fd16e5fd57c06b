package isolation

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
)

func newWorkspace(isolated *bool) *tenantv1alpha1.Workspace {
	return &tenantv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "w"}, Spec: tenantv1alpha1.WorkspaceSpec{NetworkIsolation: isolated}}
}

func newTemplate(isolated *bool) *tenantv1alpha2.WorkspaceTemplate {
	template := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w"}}
	template.Spec.Template.Spec.NetworkIsolation = isolated
	return template
}

func TestForNamespace(t *testing.T) {
	enabled, disabled := map[string]string{"kubesphere.io/network-isolate": "enabled"}, map[string]string{"kubesphere.io/network-isolate": "disabled"}
	for _, test := range []struct {
		name        string
		workspace   string
		annotations map[string]string
		objects     []client.Object
		want        State
	}{
		{"nothing", "", nil, nil, State{}},
		{"the namespace", "", enabled, nil, State{Project: true}},
		{"turned off", "", disabled, nil, State{Suspended: true}},
		{"an empty value, as the console writes it", "", map[string]string{"kubesphere.io/network-isolate": ""}, nil, State{Suspended: true}},
		{"a workspace there is not", "w", nil, nil, State{Workspace: "w"}},
		{"a workspace that says nothing", "w", nil, []client.Object{newWorkspace(nil)}, State{Workspace: "w"}},
		{"a workspace that is not isolated", "w", nil, []client.Object{newWorkspace(new(false)), newTemplate(new(true))}, State{Workspace: "w"}},
		{"an isolated workspace", "w", nil, []client.Object{newWorkspace(new(true))}, State{Workspace: "w", WorkspaceWide: true}},
		{"the annotation does not turn the workspace's off", "w", disabled, []client.Object{newWorkspace(new(true))}, State{Workspace: "w", WorkspaceWide: true, Suspended: true}},
		{"both", "w", enabled, []client.Object{newWorkspace(new(true))}, State{Workspace: "w", WorkspaceWide: true, Project: true}},
		{"a workspace that is made anew", "w", nil, []client.Object{newTemplate(new(true))}, State{Workspace: "w", WorkspaceWide: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{tenantv1alpha1.AddToScheme, tenantv1alpha2.AddToScheme} {
				if err := add(scheme); err != nil {
					t.Fatal(err)
				}
			}
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: test.annotations}}
			if test.workspace != "" {
				namespace.Labels = map[string]string{"kubesphere.io/workspace": test.workspace}
			}
			test.want.Namespace = "n"
			got, err := ForNamespace(t.Context(), fake.NewClientBuilder().WithScheme(scheme).WithObjects(test.objects...).Build(), namespace)
			if err != nil || got != test.want {
				t.Errorf("%+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// accepts reports whether a policy of namespace "n" lets traffic of a pod of a
// namespace in.
func accepts(t *testing.T, spec *networkingv1.NetworkPolicySpec, namespace string, namespaceLabels, podLabels map[string]string) bool {
	t.Helper()
	namespaceLabels["kubernetes.io/metadata.name"] = namespace
	matches := func(selector *metav1.LabelSelector, set map[string]string) bool {
		compiled, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Matches(labels.Set(set))
	}
	for _, rule := range spec.Ingress {
		if len(rule.From) == 0 {
			return true
		}
		for _, peer := range rule.From {
			if peer.IPBlock != nil || peer.PodSelector != nil && !matches(peer.PodSelector, podLabels) {
				continue
			}
			if peer.NamespaceSelector == nil && namespace == "n" || peer.NamespaceSelector != nil && matches(peer.NamespaceSelector, namespaceLabels) {
				return true
			}
		}
	}
	return false
}

func TestPolicy(t *testing.T) {
	project, wide := State{Namespace: "n", Workspace: "w", Project: true}, State{Namespace: "n", Workspace: "w", WorkspaceWide: true}
	both := wide
	both.Project = true
	for _, test := range []struct {
		name      string
		state     State
		namespace string
		labels    map[string]string
		want      bool
	}{
		{"the namespace itself", project, "n", map[string]string{"kubesphere.io/workspace": "w"}, true},
		{"another project", project, "m", map[string]string{"kubesphere.io/workspace": "w"}, false},
		{"one that calls itself the namespace", project, "m", map[string]string{"kubesphere.io/namespace": "n"}, false},
		{"the workspace", wide, "m", map[string]string{"kubesphere.io/workspace": "w"}, true},
		{"another workspace", wide, "m", map[string]string{"kubesphere.io/workspace": "v"}, false},
		{"no workspace", wide, "m", map[string]string{}, false},
		{"the narrower of both", both, "m", map[string]string{"kubesphere.io/workspace": "w"}, false},
		{"the platform", wide, "gateways", map[string]string{}, true},
		{"the platform's workspace", project, "gateways", map[string]string{"kubesphere.io/workspace": "system-workspace"}, true},
		{"a tenant's namespace of that name", project, "gateways", map[string]string{"kubesphere.io/workspace": "v"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := test.state.Policy([]string{"gateways"}, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/31")})
			if got := accepts(t, &spec, test.namespace, test.labels, nil); got != test.want {
				t.Errorf("accepts %v, want %v: %+v", got, test.want, spec.Ingress)
			}
			if from := spec.Ingress[0].From; from[len(from)-1].IPBlock.CIDR != "192.0.2.0/31" || !slices.Equal(spec.PolicyTypes, []networkingv1.PolicyType{"Ingress"}) {
				t.Errorf("%+v", spec)
			}
			if test.state.Exceeds(&networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{spec.Ingress[0].From[0]}}}}) {
				t.Error("its own peer exceeds it")
			}
		})
	}
}

func TestNodeAddresses(t *testing.T) {
	node := func(annotations map[string]string, addresses ...string) corev1.Node {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
		for _, address := range addresses {
			n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address})
		}
		return n
	}
	for _, test := range []struct {
		name  string
		nodes []corev1.Node
		want  string
	}{
		{"none", nil, ""},
		{"one", []corev1.Node{node(nil, "10.0.0.5")}, "10.0.0.5/32"},
		{"halves are merged, all the way", []corev1.Node{node(nil, "10.0.0.4"), node(nil, "10.0.0.6"), node(nil, "10.0.0.5"), node(nil, "10.0.0.7")}, "10.0.0.4/30"},
		{"neighbours that are no halves are not", []corev1.Node{node(nil, "10.0.0.5"), node(nil, "10.0.0.6")}, "10.0.0.5/32 10.0.0.6/32"},
		{"twice", []corev1.Node{node(nil, "10.0.0.5"), node(nil, "10.0.0.5")}, "10.0.0.5/32"},
		{"both families", []corev1.Node{node(nil, "10.0.0.5", "2001:db8::1")}, "10.0.0.5/32 2001:db8::1/128"},
		{"tunnels", []corev1.Node{node(map[string]string{"projectcalico.org/IPv4VXLANTunnelAddr": "10.233.64.0", "kubesphere.io/snat-node-ips": "10.1.0.1,10.1.0.3"}, "10.0.0.5")}, "10.0.0.5/32 10.1.0.1/32 10.1.0.3/32 10.233.64.0/32"},
		{"no addresses", []corev1.Node{node(map[string]string{"kubesphere.io/snat-node-ips": "0.0.0.0/0,all"}, "host", "0.0.0.0", "::")}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, prefix := range NodeAddresses(test.nodes) {
				got = append(got, prefix.String())
			}
			if text := strings.Join(got, " "); text != test.want {
				t.Errorf("%s, want %s", text, test.want)
			}
		})
	}
}

func TestConvert(t *testing.T) {
	services := func(namespace, name string) (*corev1.Service, error) {
		switch namespace + "/" + name {
		case "m/web":
			return &corev1.Service{Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}}}, nil
		case "m/external":
			return &corev1.Service{}, nil
		}
		return nil, nil
	}
	peer := func(kind string) networkv1alpha1.NetworkPolicyPeer {
		switch kind {
		case "namespace":
			return networkv1alpha1.NetworkPolicyPeer{NamespaceSelector: &networkv1alpha1.NamespaceSelector{Name: "m"}}
		case "block":
			return networkv1alpha1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}
		case "nothing":
			return networkv1alpha1.NetworkPolicyPeer{}
		case "two":
			return networkv1alpha1.NetworkPolicyPeer{NamespaceSelector: &networkv1alpha1.NamespaceSelector{Name: "m"}, IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}
		}
		return networkv1alpha1.NetworkPolicyPeer{ServiceSelector: &networkv1alpha1.ServiceSelector{Namespace: "m", Name: kind}}
	}
	open, wide := State{Namespace: "n", Workspace: "w", Project: true}, State{Namespace: "n", Workspace: "w", WorkspaceWide: true}
	for _, test := range []struct {
		name     string
		state    State
		peers    []string // of one rule; nil for a rule without peers
		from     map[string]string
		pod      map[string]string
		accepted bool
		problems int
	}{
		{"a namespace", open, []string{"namespace"}, map[string]string{}, nil, true, 0},
		{"a service", open, []string{"web"}, map[string]string{}, map[string]string{"app": "web"}, true, 0},
		{"another pod than the service's", open, []string{"web"}, map[string]string{}, map[string]string{"app": "db"}, false, 0},
		{"no service must not mean everybody", open, []string{"missing"}, map[string]string{}, nil, false, 1},
		{"nor a service without pods", open, []string{"external"}, map[string]string{}, nil, false, 1},
		{"nor a peer that is nothing", open, []string{"nothing"}, map[string]string{}, nil, false, 1},
		{"nor one that is two", open, []string{"two"}, map[string]string{}, nil, false, 1},
		{"the others of a rule stay", open, []string{"missing", "namespace"}, map[string]string{}, nil, true, 1},
		{"everybody, when it says so", open, nil, map[string]string{}, nil, true, 0},
		{"a namespace of the isolated workspace", wide, []string{"namespace"}, map[string]string{"kubesphere.io/workspace": "w"}, nil, true, 0},
		{"a namespace of another", wide, []string{"namespace"}, map[string]string{"kubesphere.io/workspace": "v"}, nil, false, 0},
		{"a service of another", wide, []string{"web"}, map[string]string{"kubesphere.io/workspace": "v"}, map[string]string{"app": "web"}, false, 0},
		{"everybody is everybody of the workspace", wide, nil, map[string]string{"kubesphere.io/workspace": "v"}, nil, false, 0},
		{"and of it", wide, nil, map[string]string{"kubesphere.io/workspace": "w"}, nil, true, 0},
		{"addresses", wide, []string{"block"}, map[string]string{}, nil, false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			rule := networkv1alpha1.NetworkPolicyIngressRule{}
			for _, kind := range test.peers {
				rule.From = append(rule.From, peer(kind))
			}
			policy := &networkv1alpha1.NamespaceNetworkPolicy{Spec: networkv1alpha1.NamespaceNetworkPolicySpec{Ingress: []networkv1alpha1.NetworkPolicyIngressRule{rule}}}
			spec, problems, err := test.state.Convert(policy, services)
			if err != nil || len(problems) != test.problems {
				t.Errorf("%v, problems %q", err, problems)
			}
			if got := accepts(t, &spec, "m", test.from, test.pod); got != test.accepted {
				t.Errorf("accepts %v: %+v", got, spec.Ingress)
			}
			if test.state.WorkspaceWide && test.state.Exceeds(&spec) {
				t.Errorf("it exceeds the workspace: %+v", spec.Ingress)
			}
			if !slices.Equal(spec.PolicyTypes, []networkingv1.PolicyType{"Ingress"}) {
				t.Errorf("types %v", spec.PolicyTypes)
			}
		})
	}
}

func TestConvertEgress(t *testing.T) {
	policy := &networkv1alpha1.NamespaceNetworkPolicy{Spec: networkv1alpha1.NamespaceNetworkPolicySpec{Egress: []networkv1alpha1.NetworkPolicyEgressRule{{
		Ports: []networkingv1.NetworkPolicyPort{{}}, To: []networkv1alpha1.NetworkPolicyPeer{{NamespaceSelector: &networkv1alpha1.NamespaceSelector{Name: "m"}}},
	}}}}
	spec, problems, err := State{Namespace: "n", Workspace: "w", WorkspaceWide: true}.Convert(policy, nil)
	if err != nil || len(problems) != 0 || !slices.Equal(spec.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) {
		t.Fatalf("%v %q %+v", err, problems, spec)
	}
	want := map[string]string{"kubernetes.io/metadata.name": "m"}
	if len(spec.Egress) != 2 || !reflect.DeepEqual(spec.Egress[0].To[0].NamespaceSelector.MatchLabels, want) || *spec.Egress[0].Ports[0].Protocol != corev1.ProtocolTCP {
		t.Errorf("%+v", spec.Egress)
	}
	if dns := spec.Egress[1]; dns.Ports[0].Port.IntValue() != 53 || dns.To[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] != "kube-system" {
		t.Errorf("names are not resolved: %+v", dns)
	}
}

func TestExceeds(t *testing.T) {
	selector := func(pairs ...string) *metav1.LabelSelector {
		s := &metav1.LabelSelector{MatchLabels: map[string]string{}}
		for n := 0; n < len(pairs); n += 2 {
			s.MatchLabels[pairs[n]] = pairs[n+1]
		}
		return s
	}
	from := func(peers ...networkingv1.NetworkPolicyPeer) *networkingv1.NetworkPolicySpec {
		return &networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: peers}}}
	}
	inWorkspace := networkingv1.NetworkPolicyPeer{NamespaceSelector: selector("kubesphere.io/workspace", "w")}
	egress := from()
	egress.PolicyTypes = []networkingv1.PolicyType{"Egress"}
	for _, test := range []struct {
		name          string
		spec          *networkingv1.NetworkPolicySpec
		wide, project bool
	}{
		{"nothing accepted", &networkingv1.NetworkPolicySpec{}, false, false},
		{"everything", from(), true, true},
		{"egress only", egress, false, false},
		{"pods of the namespace", from(networkingv1.NetworkPolicyPeer{PodSelector: selector("app", "web")}), false, false},
		{"a peer without anything", from(networkingv1.NetworkPolicyPeer{}), true, true},
		{"addresses", from(networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}), true, true},
		{"all namespaces", from(networkingv1.NetworkPolicyPeer{NamespaceSelector: selector()}), true, true},
		{"pods of all namespaces", from(networkingv1.NetworkPolicyPeer{NamespaceSelector: selector(), PodSelector: selector("app", "web")}), true, true},
		{"a namespace by name, of whoever gets it", from(networkingv1.NetworkPolicyPeer{NamespaceSelector: selector("kubernetes.io/metadata.name", "m")}), true, true},
		{"the workspace", from(inWorkspace), false, true},
		{"another workspace", from(networkingv1.NetworkPolicyPeer{NamespaceSelector: selector("kubesphere.io/workspace", "v")}), true, true},
		{"the workspace as one of several values", from(networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "kubesphere.io/workspace", Operator: metav1.LabelSelectorOpIn, Values: []string{"w", "v"}},
		}}}), true, true},
		{"one peer of several", from(inWorkspace, networkingv1.NetworkPolicyPeer{NamespaceSelector: selector()}), true, true},
		{"one rule of several", &networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{inWorkspace}}, {}}}, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (State{Namespace: "n", Workspace: "w", WorkspaceWide: true}).Exceeds(test.spec); got != test.wide {
				t.Errorf("of the workspace: %v", got)
			}
			if got := (State{Namespace: "n", Workspace: "w", Project: true}).Exceeds(test.spec); got != test.project {
				t.Errorf("of the project: %v", got)
			}
			if (State{Namespace: "n", Workspace: "w"}).Exceeds(test.spec) {
				t.Error("without isolation")
			}
		})
	}
}

func TestIsReserved(t *testing.T) {
	for name, want := range map[string]bool{"network-isolate": true, "network-isolate-1a2b3c4d": true, "nsnp-allow": true, NameOf("x"): true, "network-isolated": false, "allow": false, "nsnp": false} {
		if got := IsReserved(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
