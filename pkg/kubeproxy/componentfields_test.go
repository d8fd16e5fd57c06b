package kubeproxy

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// powerRights have one power, or none.
type powerRights struct {
	Rights
	power               string // verb resource/subresource
	cluster, administer bool
}

func (p powerRights) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetVerb()+" "+a.GetResource()+"/"+a.GetSubresource() == p.power {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func (p powerRights) Covers(_ context.Context, _ user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if p.cluster && scope.Cluster != "" {
		return nil, nil
	}
	return rules, nil
}

func (p powerRights) Administers(context.Context, user.Info) (bool, error) { return p.administer, nil }

func (powerRights) Names() *reserved.Register { return nil }

// TestPermitComponentFields: what only components of the cluster write is no one else's
// by another field, nor by the creation of the object.
func TestPermitComponentFields(t *testing.T) {
	const (
		node       = `{"metadata":{"name":"n"},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":""}}}`
		kubelet    = `{"metadata":{"name":"n"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}]}}`
		port       = `{"metadata":{"name":"n"},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":8080}}}}`
		machine    = `{"metadata":{"name":"n"},"spec":{"providerID":"aws:///i-1"}}`
		routed     = `{"metadata":{"name":"n"},"spec":{"podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24"]}}`
		cordoned   = `{"metadata":{"name":"n"},"spec":{"unschedulable":true,"providerID":"aws:///i-1"}}`
		service    = `{"metadata":{"namespace":"p","name":"s"},"spec":{"type":"LoadBalancer"}}`
		one        = `{"metadata":{"namespace":"p","name":"s"},"spec":{"externalIPs":["192.0.2.1"]}}`
		two        = `{"metadata":{"namespace":"p","name":"s"},"spec":{"externalIPs":["192.0.2.1","192.0.2.2"]}}`
		cidr       = `{"metadata":{"name":"c"},"spec":{"cidrs":["10.9.0.0/24"]}}`
		ready      = `{"metadata":{"name":"c"},"spec":{"cidrs":["10.9.0.0/24"]},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`
		nodesAt    = "/api/v1/nodes"
		servicesAt = "/api/v1/namespaces/p/services"
		cidrsAt    = "/apis/networking.k8s.io/v1/servicecidrs"
	)
	for _, test := range []struct {
		name, target, before, after string
		power                       string // that suffices; none is needed without any
	}{
		{"a node", "POST " + nodesAt, "", node, ""},
		{"a node with an address", "POST " + nodesAt, "", kubelet, "update nodes/status"},
		{"a node with the port of a kubelet", "POST " + nodesAt, "", port, "update nodes/status"},
		{"a node that is applied", "PATCH " + nodesAt + "/n", "", kubelet, "update nodes/status"},
		{"a node of a machine", "POST " + nodesAt, "", machine, "update nodes/status"},
		{"the machine of a node", "PATCH " + nodesAt + "/n", node, machine, "update nodes/status"},
		{"the routes to a node", "PUT " + nodesAt + "/n", node, routed, "update nodes/status"},
		{"a node that is cordoned", "PATCH " + nodesAt + "/n", machine, cordoned, ""},
		{"a status that was there", "PATCH " + nodesAt + "/n", kubelet, kubelet, ""},
		{"a service", "POST " + servicesAt, "", service, ""},
		{"a service with an external address", "POST " + servicesAt, "", one, "update services/status"},
		{"an external address", "PATCH " + servicesAt + "/s", service, one, "update services/status"},
		{"one more", "PUT " + servicesAt + "/s", one, two, "update services/status"},
		{"one less", "PUT " + servicesAt + "/s", two, one, ""},
		{"none any more", "PUT " + servicesAt + "/s", two, service, ""},
		{"a range of addresses", "POST " + cidrsAt, "", cidr, ""},
		{"a range with a status", "POST " + cidrsAt, "", ready, "update servicecidrs/status"},
		{"the status of a range", "PUT " + cidrsAt + "/c", cidr, ready, "update servicecidrs/status"},
	} {
		info := parsedTarget(t, test.target)
		if !guards(info) {
			t.Errorf("%s is not looked into", test.name)
		}
		allowed := func(rights powerRights) bool {
			p := &Proxy{rights: rights}
			err := p.permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, objectOf(t, test.before), objectOf(t, test.after))
			if err != nil && !apierrors.IsForbidden(err) {
				t.Fatalf("%s: %v", test.name, err)
			}
			return err == nil
		}
		if got := allowed(powerRights{}); got != (test.power == "") {
			t.Errorf("%s without a power: %v", test.name, got)
		}
		if test.power != "" && !allowed(powerRights{power: test.power}) {
			t.Errorf("%s with the power", test.name)
		}
		if got := allowed(powerRights{cluster: true}); got != (test.power == "" || info.Resource == "services") {
			t.Errorf("%s with all rights in the cluster: %v", test.name, got)
		}
	}
	for _, target := range []string{"POST /api/v1/namespaces/p/services/s/proxy/a", "PUT /api/v1/nodes/n/proxy/a", "PATCH /api/v1/nodes/n/status", "GET /api/v1/nodes"} {
		if guards(parsedTarget(t, target)) {
			t.Errorf("%s is looked into", target)
		}
	}
}

// TestNodeCertificates: the certificate of a node takes the power Kubernetes asks for.
func TestNodeCertificates(t *testing.T) {
	const at = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	requested := func(signer string) string {
		return `{"metadata":{"name":"c"},"spec":{"signerName":"` + signer + `","request":""}}`
	}
	for _, test := range []struct {
		signer, power string
		want          bool
	}{
		{"kubernetes.io/kube-apiserver-client", "", true},
		{"example.com/own", "", true},
		{"kubernetes.io/kube-apiserver-client-kubelet", "", false},
		{"kubernetes.io/kubelet-serving", "", false},
		{"kubernetes.io/kube-apiserver-client-kubelet", "create certificatesigningrequests/nodeclient", true},
		{"kubernetes.io/kubelet-serving", "create certificatesigningrequests/nodeclient", true},
		{"kubernetes.io/kube-apiserver-client-kubelet", "create certificatesigningrequests/selfnodeclient", false}, // of another name
	} {
		for _, target := range []string{"POST " + at, "PUT " + at + "/c", "PATCH " + at + "/c"} {
			info := parsedTarget(t, target)
			p := &Proxy{rights: powerRights{power: test.power, cluster: true}}
			err := p.permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, nil, objectOf(t, requested(test.signer)))
			if (err == nil) != test.want || !guards(info) {
				t.Errorf("%s for %s with %q: %v", target, test.signer, test.power, err)
			}
		}
	}
}

// TestBackends: where the platform's API is served is the administrators' choice.
func TestBackends(t *testing.T) {
	p := &Proxy{options: Options{Backend: func(namespace, name string) bool { return namespace == "x" && (name == "" || name == "back") }}}
	const core, slices = "/api/v1/namespaces/", "/apis/discovery.k8s.io/v1/namespaces/"
	slice := func(service string) string {
		return `{"metadata":{"namespace":"x","name":"a","labels":{"kubernetes.io/service-name":"` + service + `"}}}`
	}
	for _, test := range []struct {
		name, target, object string
		refused              bool
	}{
		{"an update", "PUT " + core + "x/services/back", "", true},
		{"a patch", "PATCH " + core + "x/services/back", "", true},
		{"of the status", "PATCH " + core + "x/services/back/status", "", true},
		{"a deletion", "DELETE " + core + "x/services/back", "", true},
		{"a deletion of all", "DELETE " + core + "x/services", "", true},
		{"a creation", "POST " + core + "x/services", `{"metadata":{"namespace":"x","name":"back"}}`, true},
		{"its endpoints", "PATCH " + core + "x/endpoints/back", "", true},
		{"new endpoints", "POST " + core + "x/endpoints", `{"metadata":{"namespace":"x","name":"back"}}`, true},
		{"a slice of them", "POST " + slices + "x/endpointslices", slice("back"), true},
		{"a slice that becomes one", "PATCH " + slices + "x/endpointslices/a", slice("back"), true},
		{"a request to it", "POST " + core + "x/services/back/proxy", "", false},
		{"a read", "GET " + core + "x/services/back", "", false},
		{"another service", "PATCH " + core + "x/services/other", `{"metadata":{"namespace":"x","name":"other"}}`, false},
		{"another slice", "POST " + slices + "x/endpointslices", slice("other"), false},
		{"another namespace", "PUT " + core + "y/services/back", `{"metadata":{"namespace":"y","name":"back"}}`, false},
	} {
		info := parsedTarget(t, test.target)
		for _, administers := range []bool{false, true} {
			p.rights = powerRights{administer: administers}
			err := p.authorizeBackend(t.Context(), &user.DefaultInfo{Name: "jane"}, info)
			if err == nil && test.object != "" && p.guards(info) {
				err = p.permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, nil, objectOf(t, test.object))
			}
			if (err != nil) != (test.refused && !administers) {
				t.Errorf("%s, administrator %v: %v", test.name, administers, err)
			}
		}
	}
}

func objectOf(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	if text == "" {
		return nil
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// parsedTarget describes a request given by its method and path.
func parsedTarget(t *testing.T, target string) *request.Info {
	t.Helper()
	method, path, _ := strings.Cut(target, " ")
	return parsed(t, method, path)
}
