//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const older = "/kapis/resources.kubesphere.io/v1alpha2"

// container is a pod template with one container.
func podTemplate(app string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox:1"}}},
	}
}

// TestUsage: limits and use are Kubernetes', what does not work is counted.
func TestUsage(t *testing.T) {
	t.Parallel()
	workspace(t, "used")
	c := kubernetes(t, "")
	for name, pods := range map[string]string{"wide": "20", "narrow": "7"} {
		create(t, c, &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: "used-project", Name: name},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}},
		})
	}
	create(t, c, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "used-project", Name: "waiting"},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("there-is-none"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	})
	runningPod(t, "used-project", "one")
	token := user(t, "used-viewer")
	inNamespace(t, "used-viewer", "used-project", "viewer")
	type quotas struct {
		Namespace string
		Data      struct{ Hard, Used map[string]string }
	}
	answers(t, http.MethodGet, older+"/namespaces/used-project/quotas", token, 200)
	wait.For(t, "the quota to count the pod", func() error {
		got := decode[quotas](t, shared.get(t, older+"/namespaces/used-project/quotas", bearer(token)))
		if got.Namespace != "used-project" || got.Data.Hard["pods"] != "7" || got.Data.Used["pods"] != "1" || got.Data.Used["count/pods"] != "1" || got.Data.Used["persistentvolumeclaims"] != "1" {
			return fmt.Errorf("got %+v", got)
		}
		return nil
	})
	type abnormal struct {
		Namespace string
		Data      map[string]int
	}
	wait.For(t, "the claim to count as abnormal", func() error {
		got := decode[abnormal](t, shared.get(t, older+"/namespaces/used-project/abnormalworkloads", bearer(token)))
		if got.Namespace != "used-project" || got.Data["persistentvolumeclaims"] != 1 || len(got.Data) != 5 {
			return fmt.Errorf("got %+v", got)
		}
		return nil
	})
	for _, path := range []string{"/quotas", "/abnormalworkloads", "/namespaces/kube-system/quotas"} {
		if r := shared.get(t, older+path, bearer(token)); r.code != 403 {
			t.Errorf("%s: %d", path, r.code)
		}
	}
	admin := shared.login(t).AccessToken
	all := decode[quotas](t, shared.get(t, older+"/quotas", bearer(admin)))
	if n, err := strconv.Atoi(all.Data.Used["count/pods"]); err != nil || n < 1 || all.Data.Hard != nil {
		t.Errorf("the cluster uses %+v", all)
	}
	if got := decode[abnormal](t, shared.get(t, older+"/abnormalworkloads", bearer(admin))); got.Data["persistentvolumeclaims"] < 1 {
		t.Errorf("in the cluster %+v", got)
	}
}

// statistics are numbers of the platform or a workspace by their names.
func statistics(t *testing.T, p person, path string) map[string]int {
	t.Helper()
	got := decode[struct {
		Results []struct {
			MetricName string `json:"metric_name"`
			Data       struct {
				ResultType string
				Result     []struct{ Value []any }
			}
		}
	}](t, p.must(t, 200, http.MethodGet, monitoringAPI+path, nil))
	all := map[string]int{}
	for _, one := range got.Results {
		if one.Data.ResultType != "vector" || len(one.Data.Result) != 1 || len(one.Data.Result[0].Value) != 2 {
			t.Fatalf("%s: %+v", path, one)
		}
		n, err := strconv.Atoi(one.Data.Result[0].Value[1].(string))
		if err != nil {
			t.Fatal(err)
		}
		all[one.MetricName] = n
	}
	return all
}

// TestStatistics: the numbers of a workspace are those of the lists.
func TestStatistics(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, http.MethodPost, tenantPath+"/workspaces", newWorkspace("counted", "admin"))
	admin.must(t, 200, http.MethodPost, tenantPath+"/workspaces/counted/namespaces", fields{"metadata": fields{"name": "counted-project"}})
	wait.For(t, "the statistics of the workspace", func() error {
		got := statistics(t, admin, "/workspaces/counted?type=statistics&metrics_filter="+"workspace_namespace_count%7Cworkspace_member_count$")
		if len(got) != 2 || got["workspace_namespace_count"] != 1 || got["workspace_member_count"] != 1 {
			return fmt.Errorf("the workspace %v", got)
		}
		return nil
	})
	admin.must(t, 400, http.MethodGet, monitoringAPI+"/kubesphere?metrics_filter=%5B", nil)
}

// TestRevisions: of each kind of workload, before and after a change.
func TestRevisions(t *testing.T) {
	t.Parallel()
	workspace(t, "revised")
	c := kubernetes(t, "")
	template := podTemplate("revised")
	selector := &metav1.LabelSelector{MatchLabels: template.Labels}
	meta := metav1.ObjectMeta{Namespace: "revised-project", Name: "web"}
	deployment := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}}
	stateful := &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template}}
	daemon := &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}
	token := user(t, "revised-viewer")
	inNamespace(t, "revised-viewer", "revised-project", "viewer")
	for _, object := range []client.Object{deployment, stateful, daemon} {
		create(t, c, object)
	}
	type revision struct {
		Kind     string
		Revision int64
		Metadata struct {
			Annotations     map[string]string
			OwnerReferences []struct{ Name string }
		}
	}
	at := func(kind string, number int) string {
		return fmt.Sprintf("%s/namespaces/revised-project/%s/web/revisions/%d", older, kind, number)
	}
	hasRevision := func(kind, want string, number int) {
		t.Helper()
		wait.For(t, "the revision of the workload", func() error {
			r := shared.get(t, at(kind, number), bearer(token))
			if r.code != 200 {
				return fmt.Errorf("%s: %d %s", kind, r.code, r.body)
			}
			got := decode[revision](t, r)
			if got.Kind != want || got.Metadata.OwnerReferences[0].Name != "web" || got.Revision+int64(len(got.Metadata.Annotations["deployment.kubernetes.io/revision"])) == 0 {
				return fmt.Errorf("%s: %+v", kind, got)
			}
			return nil
		})
	}
	kinds := map[string]string{"deployments": "ReplicaSet", "statefulsets": "ControllerRevision", "daemonsets": "ControllerRevision"}
	for kind, want := range kinds {
		hasRevision(kind, want, 1)
		if r := shared.get(t, at(kind, 2), bearer(token)); r.code != 404 {
			t.Errorf("%s before the change: %d %s", kind, r.code, r.body)
		}
	}
	for _, object := range []client.Object{deployment, stateful, daemon} {
		if err := c.Patch(t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"template":{"metadata":{"labels":{"changed":"yes"}}}}}`))); err != nil {
			t.Fatal(err)
		}
	}
	for kind, want := range kinds {
		hasRevision(kind, want, 2)
		hasRevision(kind, want, 1)
		for path, code := range map[string]int{
			at(kind, 0): 400, strings.Replace(at(kind, 1), "web", "none", 1): 404, at(kind, 1) + "x": 400, strings.Replace(at(kind, 1), "revised-project", "kube-system", 1): 403,
		} {
			if r := shared.get(t, path, bearer(token)); r.code != code {
				t.Errorf("%s: %d %s", path, r.code, r.body)
			}
		}
	}
}

// TestRerunJob: a job runs again under its name, for who may delete and create.
func TestRerunJob(t *testing.T) {
	t.Parallel()
	workspace(t, "jobs")
	c := kubernetes(t, "")
	template := podTemplate("job")
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "jobs-project", Name: "once", Labels: map[string]string{"mine": "yes"}}, Spec: batchv1.JobSpec{Template: template, Parallelism: ptr.To(int32(1))}}
	create(t, c, job)
	operator, watcher := user(t, "jobs-operator"), user(t, "jobs-viewer")
	inNamespace(t, "jobs-operator", "jobs-project", "operator")
	inNamespace(t, "jobs-viewer", "jobs-project", "viewer")
	at := "/kapis/operations.kubesphere.io/v1alpha2/namespaces/jobs-project/jobs/once"
	answers(t, http.MethodPost, at+"?action=stop", operator, 400)
	for path, code := range map[string]int{at + "?action=rerun&resourceVersion=1": 409, at: 400, strings.Replace(at, "once", "none", 1) + "?action=rerun": 404} {
		if r := shared.send(t, http.MethodPost, path, operator, ""); r.code != code {
			t.Errorf("%s: %d %s", path, r.code, r.body)
		}
	}
	if r := shared.send(t, http.MethodPost, at+"?action=rerun", watcher, ""); r.code != 403 {
		t.Errorf("a viewer: %d", r.code)
	}
	before := job.UID
	if r := shared.send(t, http.MethodPost, at+"?action=rerun", operator, ""); r.code != 200 || !strings.Contains(string(r.body), "success") {
		t.Fatalf("%d %s", r.code, r.body)
	}
	after := &batchv1.Job{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(job), after); err != nil {
		t.Fatal(err)
	}
	if after.UID == before || after.Labels["mine"] != "yes" || after.DeletionTimestamp != nil {
		t.Errorf("the job is %+v", after.ObjectMeta)
	}
	wait.For(t, "the pod of the new job", func() error {
		pods := &corev1.PodList{}
		if err := c.List(t.Context(), pods, client.InNamespace("jobs-project"), client.MatchingLabels{"batch.kubernetes.io/controller-uid": string(after.UID)}); err != nil {
			return err
		}
		if len(pods.Items) != 1 {
			return fmt.Errorf("%d pods", len(pods.Items))
		}
		return nil
	})
}

// TestLegacyListsWithoutRights: the lists of version v1alpha2 show those without
// rights as little as those of v1alpha3.
func TestLegacyListsWithoutRights(t *testing.T) {
	t.Parallel()
	nobody := user(t, "legacy-nobody")
	if r := shared.get(t, older+"/nodes", bearer(nobody)); r.code != 403 {
		t.Errorf("nodes for nobody: %d", r.code)
	}
	seen := decode[struct {
		Total *int `json:"total_count"`
	}](t, shared.get(t, older+"/pods", bearer(nobody)))
	if seen.Total == nil || *seen.Total != 0 {
		t.Errorf("pods for nobody: %v", seen.Total)
	}
}
