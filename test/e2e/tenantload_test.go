//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// promptly is how long a change of a tenant may take to be carried out on a busy machine,
// while another tenant has much to be carried out.
const promptly = 10 * time.Second

// fastKubernetes is kubernetes without a limit on the rate of requests.
func fastKubernetes(t *testing.T) client.Client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	c, err := kube.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// createPolicies creates NamespaceNetworkPolicies behind the server's back.
func createPolicies(t *testing.T, c client.Client, namespace string, count int) {
	t.Helper()
	numbers := make(chan int)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for n := range numbers {
				policy := &networkv1alpha1.NamespaceNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("many-%d", n)}}
				policy.Spec.Ingress = []networkv1alpha1.NetworkPolicyIngressRule{{From: []networkv1alpha1.NetworkPolicyPeer{{NamespaceSelector: &networkv1alpha1.NamespaceSelector{Name: "default"}}}}}
				if err := c.Create(t.Context(), policy); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range count {
		numbers <- n
	}
	close(numbers)
	running.Wait()
}

// TestIsolationBesideManyPolicies: a project with many policies, one of which is touched
// all the time, holds up the isolation of no other project, and its own policies are
// enforced, too.
func TestIsolationBesideManyPolicies(t *testing.T) {
	t.Parallel()
	const count = 1000
	busy, calm := newTenancy(t, "loadbusy"), newTenancy(t, "loadcalm")
	c := fastKubernetes(t)
	isolateProject(t, busy.admin, 200, busy.project, "enabled")
	createPolicies(t, c, busy.project, count)
	ctx, stop := context.WithCancel(t.Context())
	var touching sync.WaitGroup
	touching.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			policy := &networkv1alpha1.NamespaceNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: busy.project, Name: "many-0"}}
			_ = c.Patch(ctx, policy, client.RawPatch(mergePatch, fmt.Appendf(nil, `{"metadata":{"annotations":{"touched":"%d"}}}`, n)))
		}
	})
	defer touching.Wait()
	defer stop()
	appears := func(project, name string) {
		t.Helper()
		wait.ForUpTo(t, promptly, "the policy "+name+" of "+project, func() error {
			return c.Get(t.Context(), client.ObjectKey{Namespace: project, Name: name}, &networkingv1.NetworkPolicy{})
		})
	}
	began := time.Now()
	isolateProject(t, calm.admin, 200, calm.project, "enabled")
	appears(calm.project, "network-isolate")
	t.Logf("the other project was isolated after %s", time.Since(began))
	exceptions := "/apis/network.kubesphere.io/v1alpha1/namespaces/" + calm.project + "/namespacenetworkpolicies"
	calm.admin.sends(t, 201, "POST", exceptions, policyBody("one"))
	appears(calm.project, "nsnp-one")
	appears(busy.project, "network-isolate")
	stop()
	// A tenant has a rate, so that it takes minutes on a machine that does other things.
	wait.ForUpTo(t, 5*wait.Timeout, "all policies to be enforced", func() error {
		made := &networkingv1.NetworkPolicyList{}
		if err := c.List(t.Context(), made, client.InNamespace(busy.project)); err != nil || len(made.Items) != count+1 {
			return fmt.Errorf("%d policies, %v", len(made.Items), err)
		}
		return nil
	})
	if r := shared.send(t, "POST", "/apis/network.kubesphere.io/v1alpha1/namespaces/"+busy.project+"/namespacenetworkpolicies", busy.admin.token, policyBody("further")); r.code != 403 {
		t.Errorf("a further one: %d %.300s", r.code, r.body)
	}
	// One that goes takes what was made of it along, also behind the limit.
	busy.admin.must(t, 200, "DELETE", "/apis/network.kubesphere.io/v1alpha1/namespaces/"+busy.project+"/namespacenetworkpolicies/many-1", nil)
	noPolicy(t, busy.project, "nsnp-many-1")
}

func policyBody(name string) string {
	return fmt.Sprintf(`{"apiVersion":"network.kubesphere.io/v1alpha1","kind":"NamespaceNetworkPolicy","metadata":{"name":%q},"spec":{"ingress":[{"from":[{"namespace":{"name":"default"}}]}]}}`, name)
}

// TestPoliciesOfAProjectAreLimited: whichever write creates a policy, a project has no
// more than limits.policiesPerNamespace, but by administrators of the platform.
func TestPoliciesOfAProjectAreLimited(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "loadlimit")
	createPolicies(t, fastKubernetes(t), x.project, 99)
	path := "/apis/network.kubesphere.io/v1alpha1/namespaces/" + x.project + "/namespacenetworkpolicies"
	x.admin.sends(t, 201, "POST", path, policyBody("last"))
	for _, base := range []string{path, "/k" + path[len("/"):]} {
		if r := shared.send(t, "POST", base, x.admin.token, policyBody("further")); r.code != 403 || !strings.Contains(string(r.body), "exceeded quota") {
			t.Errorf("POST %s: %d %.300s", base, r.code, r.body)
		}
		if r := shared.send(t, "PATCH", base+"/further?fieldManager=load", x.admin.token, policyBody("further"), header("Content-Type", "application/apply-patch+yaml")); r.code != 403 || !strings.Contains(string(r.body), "exceeded quota") {
			t.Errorf("apply at %s: %d %.300s", base, r.code, r.body)
		}
	}
	x.admin.patches(t, 200, path+"/last", `{"metadata":{"annotations":{"a":"b"}}}`)
	shared.as(t, "admin", adminPassword).sends(t, 201, "POST", path, policyBody("further"))
}

// TestQuotasAreBounded: a quota with thousands of names is refused wherever it is written,
// and one that is there already holds up no other workspace and may shrink.
func TestQuotasAreBounded(t *testing.T) {
	t.Parallel()
	c := fastKubernetes(t)
	owner, other := newPerson(t, "loadq-owner", "platform-self-provisioner"), newPerson(t, "loadq-other", "platform-self-provisioner")
	newSpace(t, "loadq-a", owner)
	newSpace(t, "loadq-b", other)
	hard := func(names int) string {
		all := make(map[string]string, names)
		for n := range names {
			all[fmt.Sprintf("count/things%d.example.com", n)] = "10"
		}
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	quota := func(name, workspace, hard string) string {
		return fmt.Sprintf(`{"apiVersion":"quota.kubesphere.io/v1alpha2","kind":"ResourceQuota","metadata":{"name":%q},"spec":{"selector":{"kubesphere.io/workspace":%q},"quota":{"hard":%s}}}`, name, workspace, hard)
	}
	direct := "/kapis/quota.kubesphere.io/v1alpha2/workspaces/loadq-a/resourcequotas"
	t.Cleanup(func() {
		for _, name := range []string{"loadq-large", "loadq-small", "loadq-new", "loadq-part"} {
			remove(t, c, &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
	})
	for _, path := range []string{tenantPath + "/workspaces/loadq-a/resourcequotas", direct} {
		if r := shared.send(t, "POST", path, owner.token, quota("loadq-new", "loadq-a", hard(101))); r.code != 422 || !strings.Contains(string(r.body), "at most 100 items") {
			t.Errorf("POST %s: %d %.300s", path, r.code, r.body)
		}
	}
	owner.sends(t, 201, "POST", direct, quota("loadq-small", "loadq-a", hard(100)))
	if r := owner.mergePatch(t, direct+"/loadq-small", `{"spec":{"quota":{"hard":{"pods":"1"}}}}`); r.code != 422 {
		t.Errorf("a further name by a patch: %d %.300s", r.code, r.body)
	}

	for n := range 5 {
		owner.must(t, 200, "POST", tenant2+"/workspaces/loadq-a/namespaces", newNamespace(fmt.Sprintf("loadq-a-%d", n)))
	}
	other.must(t, 200, "POST", tenant2+"/workspaces/loadq-b/namespaces", newNamespace("loadq-b-project"))
	large := &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "loadq-large", Labels: map[string]string{"kubesphere.io/workspace": "loadq-a"}}}
	large.Spec.LabelSelector = map[string]string{"kubesphere.io/workspace": "loadq-a"}
	large.Spec.Quota.Hard = corev1.ResourceList{}
	for n := range 4000 {
		large.Spec.Quota.Hard[corev1.ResourceName(fmt.Sprintf("count/things%d.example.com", n))] = resource.MustParse("10")
	}
	create(t, c, large)
	part := func(namespace, name string) func() error {
		return func() error {
			return c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "workspace-" + name}, &corev1.ResourceQuota{})
		}
	}
	wait.For(t, "the large quota to be distributed", part("loadq-a-0", "loadq-large"))
	written := &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "loadq-part", Labels: map[string]string{"kubesphere.io/workspace": "loadq-b"}}}
	written.Spec.LabelSelector = map[string]string{"kubesphere.io/workspace": "loadq-b"}
	written.Spec.Quota.Hard = corev1.ResourceList{"pods": resource.MustParse("5")}
	create(t, c, written)
	wait.ForUpTo(t, promptly, "the quota of another workspace to be distributed", part("loadq-b-project", "loadq-part"))
	wait.For(t, "the status of the large quota", func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(large), large); err != nil || len(large.Status.Total.Used) != 4000 {
			return fmt.Errorf("%d names, %v", len(large.Status.Total.Used), err)
		}
		return nil
	})
	owner.sends(t, 200, "PUT", tenantPath+"/workspaces/loadq-a/resourcequotas/loadq-large", quota("loadq-large", "loadq-a", hard(50)))
}

// TestQuotasOfAWorkspaceAreLimited: limits.quotasPerWorkspace holds for writes that go to
// Kubernetes, and counts quotas without a label.
func TestQuotasOfAWorkspaceAreLimited(t *testing.T) {
	t.Parallel()
	c := fastKubernetes(t)
	owner := newPerson(t, "loadn-owner", "platform-self-provisioner")
	newSpace(t, "loadn-space", owner)
	selector := map[string]string{"kubesphere.io/workspace": "loadn-space"}
	for n := range 100 {
		one := &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("loadn-%d", n)}}
		one.Spec.LabelSelector, one.Spec.Quota.Hard = selector, corev1.ResourceList{}
		if n%2 == 0 {
			one.Labels = selector
		}
		t.Cleanup(func() { remove(t, c, one) })
		create(t, c, one)
	}
	body := `{"apiVersion":"quota.kubesphere.io/v1alpha2","kind":"ResourceQuota","metadata":{"name":"loadn-further"},"spec":{"selector":{"kubesphere.io/workspace":"loadn-space"},"quota":{"hard":{"pods":"1"}}}}`
	for _, path := range []string{tenantPath + "/workspaces/loadn-space/resourcequotas", "/kapis/quota.kubesphere.io/v1alpha2/workspaces/loadn-space/resourcequotas"} {
		if r := shared.send(t, "POST", path, owner.token, body); r.code != 403 || !strings.Contains(string(r.body), "exceeded quota") {
			t.Errorf("POST %s: %d %.300s", path, r.code, r.body)
		}
	}
}

// TestGatewayCosts: the gateway of a project runs where the project's quota does not count
// it, so that its users let it cost little.
func TestGatewayCosts(t *testing.T) {
	// Not beside the other tests that make and remove the namespace of gateways.
	x := newTenancy(t, "loadgate")
	root := shared.as(t, "admin", adminPassword)
	create(t, kubernetes(t, ""), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kubesphere-controls-system"}})
	below := gatewayPath + "/namespaces/" + x.project + "/gateways"
	const (
		huge  = `{"spec":{"deployment":{"replicas":100000,"resources":{"requests":{"cpu":"64","memory":"512Gi"}}}}}`
		plain = `{"spec":{"controller":{"replicas":10},"deployment":{"replicas":10},"service":{"type":"NodePort"}}}`
	)
	for _, body := range []string{
		huge, `{"spec":{"deployment":{"replicas":11}}}`, `{"spec":{"controller":{"replicas":11}}}`, `{"spec":{"deployment":{"resources":{"limits":{"cpu":"64"}}}}}`,
		`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}},"spec":{}}`, `{"metadata":{"annotations":{"ks-apiserver.kubesphere.io/a":"b"}},"spec":{}}`,
	} {
		x.admin.sends(t, 403, "POST", below, body)
	}
	t.Cleanup(func() { root.cleanup(below) })
	wait.For(t, "the gateway to be created", func() error { return expect(shared.send(t, "POST", below, x.admin.token, plain), 200) })
	x.admin.sends(t, 403, "PUT", below, huge)
	root.sends(t, 200, "PUT", below, huge)
	x.admin.sends(t, 200, "PUT", below, huge) // as it is
	x.admin.sends(t, 403, "PUT", below, `{"spec":{"deployment":{"replicas":100001}}}`)
	x.admin.sends(t, 200, "PUT", below, plain)

	for _, at := range []string{"/apis/gateway.kubesphere.io/v1alpha1/namespaces/" + x.project + "/gateways", "/apis/gateway.kubesphere.io/v1alpha1/namespaces/" + x.project + "/gateways?dryRun=All"} {
		for _, spec := range []string{
			`{"deployment":{"replicas":100000}}`, `{"deployment":{"resources":{"requests":{"cpu":"64"}}}}`,
			`{"autoscaling":{"maxReplicas":1000}}`, `{"controller":{"scope":{"enabled":false}}}`,
		} {
			x.admin.sends(t, 403, "POST", at, `{"apiVersion":"gateway.kubesphere.io/v1alpha1","kind":"Gateway","metadata":{"name":"loadgate"},"spec":`+spec+`}`)
		}
		x.admin.sends(t, 403, "POST", at, `{"apiVersion":"gateway.kubesphere.io/v1alpha1","kind":"Gateway","metadata":{"name":"loadgate","labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}},"spec":{}}`)
	}
	own := "/apis/gateway.kubesphere.io/v1alpha1/namespaces/" + x.project + "/gateways"
	x.admin.sends(t, 201, "POST", own, `{"apiVersion":"gateway.kubesphere.io/v1alpha1","kind":"Gateway","metadata":{"name":"loadgate"},"spec":{"deployment":{"replicas":2}}}`)
	x.admin.patches(t, 403, own+"/loadgate", `{"spec":{"deployment":{"replicas":100000}}}`)
	x.admin.patches(t, 200, own+"/loadgate", `{"spec":{"deployment":{"replicas":3}}}`)
}
