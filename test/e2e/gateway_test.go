//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const gatewayPath = "/kapis/gateway.kubesphere.io/v1alpha1"

// gateway is what clients read of one.
type gateway struct {
	Kind     string
	Metadata struct {
		Name, Namespace, ResourceVersion string
		Annotations                      map[string]string
	}
	Spec struct {
		Controller struct {
			Replicas int
			Config   map[string]string
			Scope    struct {
				Enabled   bool
				Namespace string
			}
			Image string
		}
		Service struct {
			Type        string
			Annotations map[string]string
		}
		Deployment struct{ Replicas int }
	}
	Status struct {
		Service      []struct{ Port int }
		LoadBalancer map[string]any
	}
}

func TestGateways(t *testing.T) {
	t.Parallel()
	workspace(t, "edge")
	c := kubernetes(t, "")
	const there = "kubesphere-controls-system"
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: there}})
	owner, watcher := user(t, "edge-admin"), user(t, "edge-viewer")
	inNamespace(t, "edge-admin", "edge-project", "admin")
	inNamespace(t, "edge-viewer", "edge-project", "viewer")
	mine, router := gatewayPath+"/namespaces/edge-project/gateways", older+"/namespaces/edge-project/router"
	answers(t, http.MethodGet, mine, owner, 200)

	if r := shared.get(t, mine, bearer(watcher)); r.code != 200 || len(decode[[]gateway](t, r)) != 0 {
		t.Errorf("before there are any: %d %s", r.code, r.body)
	}
	body := `{"metadata":{"name":"another","namespace":"kube-system","annotations":{"kubesphere.io/description":"ours"}},
		"spec":{"controller":{"replicas":2,"config":{"max-worker-connections":"4096"},"image":"evil","scope":{"enabled":false}},"service":{"type":"NodePort","annotations":{"a":"b"}},"deployment":{"replicas":2}}}`
	wait.For(t, "the gateway to be created", func() error {
		return expect(shared.send(t, http.MethodPost, mine, owner, body), 200)
	})
	get := func() []gateway {
		t.Helper()
		r := shared.get(t, mine, bearer(watcher))
		if r.code != 200 {
			t.Fatalf("%d %s", r.code, r.body)
		}
		return decode[[]gateway](t, r)
	}
	// It is the one of this project, whatever the body says.
	got := get()
	if len(got) != 1 || got[0].Metadata.Name != "kubesphere-router-edge-project" || got[0].Metadata.Namespace != there || got[0].Metadata.Annotations["kubesphere.io/description"] != "ours" {
		t.Fatalf("got %+v", got)
	}
	if spec := got[0].Spec; !spec.Controller.Scope.Enabled || spec.Controller.Scope.Namespace != "edge-project" || spec.Controller.Image != "" || spec.Controller.Config["max-worker-connections"] != "4096" || spec.Service.Type != "NodePort" {
		t.Errorf("spec %+v", spec)
	}
	// What a controller makes of it.
	selector := map[string]string{"app": "edge-controller"}
	create(t, c, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: there, Name: "kubesphere-router-edge-project"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: selector, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	})
	template := podTemplate("edge-controller")
	create(t, c, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: there, Name: "kubesphere-router-edge-project"},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: selector}, Template: template},
	})
	if got := get(); len(got[0].Status.Service) != 1 || got[0].Status.Service[0].Port != 80 {
		t.Errorf("status %+v", got[0].Status)
	}
	if r := shared.get(t, router, bearer(watcher)); r.code != 200 || decode[corev1.Service](t, r).Spec.Ports[0].Port != 80 {
		t.Errorf("router: %d %s", r.code, r.body)
	}
	wait.For(t, "the pod of the gateway", func() error {
		r := shared.get(t, mine+"/kubesphere-router-edge-project/pods", bearer(watcher))
		if got := decode[list](t, r); r.code != 200 || *got.TotalItems != 1 || got.Items[0].Kind != "Pod" {
			return fmt.Errorf("pods: %d %.300s", r.code, r.body)
		}
		return nil
	})
	admin := shared.as(t, "admin", adminPassword)
	if all := decode[list](t, admin.must(t, 200, http.MethodGet, gatewayPath+"/gateways?name=edge&limit=10&page=1", nil)); *all.TotalItems != 1 || all.Items[0].Metadata.Name != "kubesphere-router-edge-project" {
		t.Errorf("all %+v", all)
	}
	for _, test := range []struct {
		name, method, path, token, body string
		code                            int
	}{
		{"twice", "POST", mine, owner, body, 409},
		{"a change of what has changed", "PUT", mine, owner, `{"metadata":{"resourceVersion":"1"},"spec":{"service":{"type":"LoadBalancer"}}}`, 409},
		{"a change", "PUT", mine, owner, `{"spec":{"service":{"type":"LoadBalancer"}}}`, 200},
		{"a change as a router", "PUT", router, owner, `{"type":"NodePort","annotations":{"c":"d"}}`, 200},
		{"no type of a service", "PUT", router, owner, `{"type":"ExternalName"}`, 400},
		{"a viewer changes", "PUT", mine, watcher, body, 403},
		{"a viewer deletes", "DELETE", router, watcher, "", 403},
		{"a viewer lists all", "GET", gatewayPath + "/gateways", watcher, "", 403},
		{"elsewhere", "POST", gatewayPath + "/namespaces/kubesphere-system/gateways", owner, body, 403},
		{"another's pods", "GET", mine + "/kubesphere-router-kubesphere-system/pods", owner, "", 404},
		{"nothing to upgrade", "POST", mine + "/kubesphere-router-edge-project/upgrade", owner, "", 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			if r := shared.send(t, test.method, test.path, test.token, test.body); r.code != test.code {
				t.Errorf("%d %.300s", r.code, r.body)
			}
		})
	}
	if got := get(); got[0].Spec.Service.Type != "NodePort" || got[0].Spec.Service.Annotations["c"] != "d" {
		t.Errorf("after changes %+v", got[0].Spec)
	}
	if r := shared.send(t, http.MethodDelete, mine, owner, ""); r.code != 200 {
		t.Errorf("delete: %d %s", r.code, r.body)
	}
	if got := get(); len(got) != 0 {
		t.Errorf("after deletion %+v", got)
	}

	// A router of KubeSphere 3.0 is a gateway for who looks, and becomes one.
	service := &corev1.Service{}
	key := client.ObjectKey{Namespace: there, Name: "kubesphere-router-edge-project"}
	change(t, c, service, key, func(s *corev1.Service) {
		s.Labels = map[string]string{"app": "kubesphere", "component": "ks-router", "tier": "backend"}
		s.Annotations = map[string]string{"old": "yes"}
	})
	if got := get(); len(got) != 1 || got[0].Spec.Service.Annotations["old"] != "yes" || got[0].Spec.Deployment.Replicas != 1 {
		t.Errorf("a router %+v", got)
	}
	if r := shared.send(t, http.MethodPost, mine, owner, body); r.code != 409 {
		t.Errorf("a gateway beside a router: %d %s", r.code, r.body)
	}
	if r := shared.send(t, http.MethodPost, mine+"/kubesphere-router-edge-project/upgrade", owner, ""); r.code != 200 {
		t.Fatalf("upgrade: %d %s", r.code, r.body)
	}
	if got := get(); len(got) != 1 || got[0].Metadata.ResourceVersion == "" || got[0].Spec.Service.Annotations["old"] != "yes" || got[0].Spec.Service.Type != "NodePort" {
		t.Errorf("upgraded %+v", got)
	}
	if err := c.Get(t.Context(), key, &corev1.Service{}); !apierrors.IsNotFound(err) {
		t.Errorf("the service of the router: %v", err)
	}
	if r := shared.send(t, http.MethodDelete, router, owner, ""); r.code != 200 || len(get()) != 0 {
		t.Errorf("delete as a router: %d %s", r.code, r.body)
	}
	if r := shared.send(t, http.MethodPost, router, owner, `{"type":"LoadBalancer","annotations":{}}`); r.code != 200 || len(get()) != 1 {
		t.Errorf("create as a router: %d %s", r.code, r.body)
	}
}
