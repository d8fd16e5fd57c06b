//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestDrain: a node is emptied as kubectl drain does, budgets included.
func TestDrain(t *testing.T) { // has a node that others would list, so that no test is beside it
	workspace(t, "drained")
	c := kubernetes(t, "")
	// A node of its own: the pods of the seed are not made again.
	const node = "node-drained"
	model := &corev1.Node{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "node-2"}, model); err != nil {
		t.Fatal(err)
	}
	one := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node, Annotations: map[string]string{"kwok.x-k8s.io/node": model.Annotations["kwok.x-k8s.io/node"]}}}
	one.Spec.Taints = []corev1.Taint{{Key: "drained", Effect: corev1.TaintEffectNoSchedule}}
	create(t, c, one)
	t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), one) })
	pinned := func(name string, labels map[string]string) corev1.PodTemplateSpec {
		template := podTemplate(name)
		template.Labels = labels
		template.Spec.NodeName = node
		template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		return template
	}
	labels := map[string]string{"app": "guarded"}
	create(t, c, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "drained-project", Name: "guarded"},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: pinned("guarded", labels)},
	})
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "drained-project", Name: "guarded"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels}},
	}
	create(t, c, budget)
	template := pinned("alone", nil)
	create(t, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "drained-project", Name: "alone"}, Spec: template.Spec})
	wait.For(t, "the budget to count the pod", func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(budget), budget); err != nil {
			return err
		}
		if budget.Status.CurrentHealthy != 1 {
			return fmt.Errorf("the budget is %+v", budget.Status)
		}
		return nil
	})

	at := older + "/nodes/" + node + "/drainage"
	admin := shared.as(t, "admin", adminPassword)
	if r := shared.send(t, http.MethodPost, at, user(t, "drain-nobody"), ""); r.code != 403 {
		t.Errorf("nobody: %d", r.code)
	}
	admin.must(t, 404, http.MethodPost, older+"/nodes/none/drainage", nil)
	admin.must(t, 400, http.MethodPost, at+"?timeoutSeconds=3600", nil)
	if r := admin.must(t, 409, http.MethodPost, at, nil); !strings.Contains(string(r.body), "drained-project/alone") {
		t.Errorf("what would be lost: %s", r.body)
	}
	found := &corev1.Node{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: node}, found); err != nil || found.Spec.Unschedulable {
		t.Errorf("something was done: %v %v", found.Spec, err)
	}
	type drained struct {
		Evicted []string
		Left    []struct{ Pod, Reason string }
	}
	got := decode[drained](t, admin.must(t, 202, http.MethodPost, at+"?force=true&deleteEmptyDirData=true&gracePeriodSeconds=0&timeoutSeconds=5", nil))
	if !slices.Contains(got.Evicted, "drained-project/alone") || len(got.Left) != 1 || !strings.HasPrefix(got.Left[0].Pod, "drained-project/guarded-") || !strings.Contains(got.Left[0].Reason, "budget") {
		t.Errorf("with a budget: %+v", got)
	}
	if err := c.Get(t.Context(), client.ObjectKey{Name: node}, found); err != nil || !found.Spec.Unschedulable {
		t.Errorf("the node takes pods: %v", err)
	}
	if err := c.Delete(t.Context(), budget); err != nil {
		t.Fatal(err)
	}
	// The deployment names the node itself, so that another of its pods comes; the
	// one that was there is gone.
	got = decode[drained](t, admin.must(t, 200, http.MethodPost, at+"?force=true&deleteEmptyDirData=true&gracePeriodSeconds=0", nil))
	if !slices.ContainsFunc(got.Evicted, func(pod string) bool { return strings.HasPrefix(pod, "drained-project/guarded-") }) || len(got.Left) != 0 {
		t.Errorf("without: %+v", got)
	}
}
