package seed

import (
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	// Registers the defaults of these groups.
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
)

// hashLabel tells the replica sets of a deployment apart.
const hashLabel = appsv1.DefaultDeploymentUniqueLabelKey

// deployment is as it will be sent to kube-apiserver.
func deployment(w workload) *appsv1.Deployment {
	replicas := int32(w.replicas)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.name, Labels: podLabels(w)},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: selector(w),
			Template: podTemplate(w),
		},
	}
}

// rollout is a deployment that has been available for a while.
type rollout struct {
	workload   workload
	created    time.Time
	hash       string
	deployment *appsv1.Deployment
	replicaSet *appsv1.ReplicaSet
}

// newRollout makes a deployment and its replica set as the controllers leave
// them when there is nothing more to do: they must not touch them.
func newRollout(w workload, created time.Time) *rollout {
	d := deployment(w)
	legacyscheme.Scheme.Default(d)
	r := &rollout{workload: w, created: created, hash: templateHash(w), deployment: d}
	stamp(d, created)
	d.Annotations = map[string]string{"deployment.kubernetes.io/revision": "1"}
	d.Generation = 1
	n := int32(w.replicas)
	since := metav1.NewTime(created.Add(time.Minute))
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: 1,
		Replicas:           n,
		UpdatedReplicas:    n,
		ReadyReplicas:      n,
		AvailableReplicas:  n,
		// Absent is not the same: the controllers would write it.
		TerminatingReplicas: new(int32),
		Conditions: []appsv1.DeploymentCondition{
			{
				Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable",
				Message:        "Deployment has minimum availability.",
				LastUpdateTime: since, LastTransitionTime: since,
			},
			{
				Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
				Message:        fmt.Sprintf("ReplicaSet %q has successfully progressed.", w.name+"-"+r.hash),
				LastUpdateTime: since, LastTransitionTime: since,
			},
		},
	}
	r.replicaSet = r.newReplicaSet()
	d.ManagedFields = managedFields(d, "kubectl", "kube-controller-manager", created)
	return r
}

func (r *rollout) newReplicaSet() *appsv1.ReplicaSet {
	d, n := r.deployment, int32(r.workload.replicas)
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace,
			Name:      d.Name + "-" + r.hash,
			Annotations: map[string]string{
				"deployment.kubernetes.io/revision":         "1",
				"deployment.kubernetes.io/desired-replicas": strconv.Itoa(int(n)),
				"deployment.kubernetes.io/max-replicas":     strconv.Itoa(int(n) + maxSurge(int(n))),
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
			Generation:      1,
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &n,
			Selector: d.Spec.Selector.DeepCopy(),
			Template: *d.Spec.Template.DeepCopy(),
		},
		Status: appsv1.ReplicaSetStatus{
			ObservedGeneration:   1,
			Replicas:             n,
			FullyLabeledReplicas: n,
			ReadyReplicas:        n,
			AvailableReplicas:    n,
			TerminatingReplicas:  new(int32),
		},
	}
	rs.Labels = with(d.Spec.Template.Labels, hashLabel, r.hash)
	rs.Spec.Template.Labels = with(rs.Spec.Template.Labels, hashLabel, r.hash)
	rs.Spec.Selector.MatchLabels = with(rs.Spec.Selector.MatchLabels, hashLabel, r.hash)
	stamp(rs, r.created)
	rs.ManagedFields = managedFields(rs, "kube-controller-manager", "kube-controller-manager", r.created)
	return rs
}

// maxSurge is a quarter, rounded up: the default of the rolling update.
func maxSurge(replicas int) int { return (replicas + 3) / 4 }

// templateHash stands for the hash of the pod template. The controller only
// compares templates, so the value is free.
func templateHash(w workload) string {
	h := fnv.New32a()
	fmt.Fprint(h, w.namespace, "/", w.name)
	return rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}

// with is a copy of labels with one more.
func with(labels map[string]string, key, value string) map[string]string {
	out := maps.Clone(labels)
	out[key] = value
	return out
}

// stamp gives an object what kube-apiserver gives new ones.
func stamp(o metav1.Object, created time.Time) {
	o.SetUID(uuid.NewUUID())
	o.SetCreationTimestamp(metav1.NewTime(created))
}
