//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestNodeCertificatesAreNotRequested: a role that may request certificates gets none of a
// node, though Kubernetes asks whether the group of authorized callers may have one.
func TestNodeCertificatesAreNotRequested(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	requester, nodes := user(t, "cf-requester"), user(t, "cf-nodes")
	every := []string{"get", "create", "update", "patch"}
	requests := rbacv1.PolicyRule{APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"*"}}
	power := rbacv1.PolicyRule{APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests/nodeclient"}, Verbs: every}
	for name, rules := range map[string][]rbacv1.PolicyRule{"cf-requester": {requests}, "cf-nodes": {requests, power}} {
		create(t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
		inCluster(t, name, name)
	}
	answers(t, "GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests", requester, 200)
	answers(t, "GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests", nodes, 200)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:node-0", Organization: []string{"system:nodes"}}}
	encoded, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: encoded}))
	request := func(name, signer, usages string) string {
		return `{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"` + name + `"},"spec":{"request":"` + text + `","signerName":"` + signer + `","usages":[` + usages + `]}}`
	}
	const (
		at      = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
		kubelet = "kubernetes.io/kube-apiserver-client-kubelet"
		usages  = `"digital signature","client auth"`
		serving = `"digital signature","server auth"`
	)
	apply := media("application/apply-patch+yaml")
	for _, name := range []string{"cf-node", "cf-own", "cf-allowed"} {
		t.Cleanup(func() {
			remove(t, c, &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name}})
		})
	}
	attempts(t, []attempt{
		{"the certificate of a node", requester, "POST", at, request("cf-node", kubelet, usages), nil, 403},
		{"below /kapis", requester, "POST", "/kapis/certificates.k8s.io/v1/certificatesigningrequests", request("cf-node", kubelet, usages), nil, 403},
		{"applied", requester, "PATCH", at + "/cf-node?fieldManager=cf", request("cf-node", kubelet, usages), apply, 403},
		{"of its server", requester, "POST", at, request("cf-node", "kubernetes.io/kubelet-serving", serving), nil, 403},
		{"one that waits for its approval", requester, "POST", at, request("cf-own", "example.com/own", usages), nil, 201},
		{"who has the power by name", nodes, "POST", at + "?dryRun=All", request("cf-allowed", kubelet, usages), nil, 201},
		{"certificates of pods", requester, "POST", "/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests", `{}`, nil, 403},
	})
	found := &certificatesv1.CertificateSigningRequest{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "cf-node"}, found); !apierrors.IsNotFound(err) {
		t.Errorf("the request is there: %v, %+v", err, found.Status)
	}
}

// TestNodesAndServicesByFields: what only components of the cluster write comes with no
// creation and by no other field.
func TestNodesAndServicesByFields(t *testing.T) {
	t.Parallel()
	workspace(t, "cf-fields")
	c := kubernetes(t, "")
	manager, operator, admin := user(t, "cf-manager"), user(t, "cf-operator"), shared.login(t).AccessToken
	inCluster(t, "cf-manager", "cluster-admin")
	inNamespace(t, "cf-operator", "cf-fields-project", "operator")
	const nodes, services = "/api/v1/nodes", "/api/v1/namespaces/cf-fields-project/services"
	answers(t, "GET", nodes, manager, 200)
	answers(t, "GET", services, operator, 200)
	create(t, c, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "cf-fields-project", Name: "cf-plain"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
	node := func(rest string) string {
		return `{"apiVersion":"v1","kind":"Node","metadata":{"name":"cf-node"}` + rest + `}`
	}
	kubelet := `,"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":8080}}}`
	service := func(rest string) string {
		return `{"apiVersion":"v1","kind":"Service","metadata":{"name":"cf-service"},"spec":{"ports":[{"port":80}]` + rest + `}}`
	}
	external := `,"externalIPs":["192.0.2.1"]`
	dry, apply := "?dryRun=All", media("application/apply-patch+yaml")
	attempts(t, []attempt{
		{"a node with the address of its kubelet", manager, "POST", nodes, node(kubelet), nil, 403},
		{"applied", manager, "PATCH", nodes + "/cf-node?fieldManager=cf", node(kubelet), apply, 403},
		{"a node of a machine", manager, "POST", nodes + dry, node(`,"spec":{"providerID":"cf:///1"}`), nil, 403},
		{"the machine of a node", manager, "PATCH", nodes + "/node-1" + dry, `{"spec":{"providerID":"cf:///1"}}`, media(merge), 403},
		{"a node without", manager, "POST", nodes + dry, node(""), nil, 201},
		{"a label of a node", manager, "PATCH", nodes + "/node-1" + dry, `{"metadata":{"labels":{"cf":"a"}}}`, media(merge), 200},
		{"an administrator of the platform", admin, "POST", nodes + dry, node(kubelet), nil, 201},
		{"a service with an external address", operator, "POST", services, service(external), nil, 403},
		{"applied", operator, "PATCH", services + "/cf-service?fieldManager=cf", service(external), apply, 403},
		{"an external address of a service", operator, "PATCH", services + "/cf-plain", `{"spec":{"externalIPs":["192.0.2.1"]}}`, media(merge), 403},
		{"by a JSON patch", operator, "PATCH", services + "/cf-plain", `[{"op":"add","path":"/spec/externalIPs","value":["192.0.2.1"]}]`, media("application/json-patch+json"), 403},
		{"a service", operator, "POST", services + dry, service(""), nil, 201},
		{"another port", operator, "PATCH", services + "/cf-plain", `{"spec":{"type":"NodePort"}}`, media(merge), 200},
		{"with all rights in the cluster", manager, "POST", services + dry, service(external), nil, 201},
	})
}
