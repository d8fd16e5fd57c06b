package seed

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes/scheme"
)

func TestPlansHaveExactlyThePodsAskedFor(t *testing.T) {
	for _, pods := range []int{1, 2, 9, 10, 60, 299, 300, 301, 2000, 10_000, 100_000} {
		living, settled := Options{Pods: pods}.split()
		if got := count(t, planLiving(living).all()) + count(t, planSettled(settled)); got != pods {
			t.Errorf("%d pods planned instead of %d", got, pods)
		}
	}
}

// count adds up replicas and fails if two workloads have the same name.
func count(t *testing.T, plan []workload) int {
	t.Helper()
	sum, seen := 0, map[string]bool{}
	for _, w := range plan {
		key := w.namespace + "/" + w.name
		if seen[key] {
			t.Errorf("%s exists twice", key)
		}
		seen[key] = true
		sum += w.replicas
	}
	return sum
}

func TestSettledPodBelongsToItsReplicaSet(t *testing.T) {
	created := time.Now().Add(-time.Hour).Truncate(time.Second)
	r := newRollout(workload{namespace: "shop-prod", name: "api", component: "api", replicas: 3}, created)
	pod := newPodFactory(r).pod("static-0000", 70_000, created)

	if owner := pod.OwnerReferences[0]; owner.UID != r.replicaSet.UID || owner.Controller == nil || !*owner.Controller {
		t.Errorf("owner %+v", owner)
	}
	if owner := r.replicaSet.OwnerReferences[0]; owner.UID != r.deployment.UID {
		t.Errorf("owner of the replica set %+v", owner)
	}
	if !labels.SelectorFromSet(r.replicaSet.Spec.Selector.MatchLabels).Matches(labels.Set(pod.Labels)) {
		t.Error("the replica set does not select the pod")
	}
	if pod.Status.PodIP != "10.129.17.112" {
		t.Errorf("IP %s", pod.Status.PodIP)
	}
	other := newPodFactory(r).pod("static-0000", 70_001, created)
	if id := pod.Status.ContainerStatuses[0].ContainerID; !regexp.MustCompile(`^containerd://[0-9a-f]{64}$`).MatchString(id) || id == other.Status.ContainerStatuses[0].ContainerID {
		t.Errorf("container ID %s, of another pod %s", id, other.Status.ContainerStatuses[0].ContainerID)
	}
}

func TestStoredPodIsReadBackAndOfUsualSize(t *testing.T) {
	r := newRollout(workload{namespace: "shop-prod", name: "api", component: "api", replicas: 3}, time.Now())
	pod := newPodFactory(r).pod("static-0000", 1, time.Now())
	data, err := encode(pod, kindOf(pod))
	if err != nil {
		t.Fatal(err)
	}
	decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	back, ok := decoded.(*corev1.Pod)
	if !ok || back.Name != pod.Name || len(back.ManagedFields) != 2 {
		t.Fatalf("read back as %T", decoded)
	}
	full, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	back.ManagedFields = nil
	bare, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if len(bare) < 4000 || len(bare) > 6000 || len(full) < len(bare)+2000 {
		t.Errorf("%d bytes of JSON, %d with managed fields", len(bare), len(full))
	}
}
