package seed

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/kwoknodes"
)

// podFactory makes the pods of one replica set; what they share is made once.
type podFactory struct {
	rollout   *rollout
	prototype *corev1.Pod
}

func newPodFactory(r *rollout) *podFactory {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    r.replicaSet.Namespace,
			GenerateName: r.replicaSet.Name + "-",
			Labels:       with(r.replicaSet.Spec.Template.Labels, kwoknodes.StaticLabel, "true"),
			Annotations:  r.replicaSet.Spec.Template.Annotations,
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(r.replicaSet, appsv1.SchemeGroupVersion.WithKind("ReplicaSet")),
			},
			Generation: 1,
		},
		Spec: *r.replicaSet.Spec.Template.Spec.DeepCopy(),
	}
	admit(&pod.Spec)
	legacyscheme.Scheme.Default(pod)
	f := &podFactory{rollout: r, prototype: pod}
	// The record of the fields is the same for all pods but for its times.
	sample := pod.DeepCopy()
	sample.Status = f.status(pod.UID, "127.0.0.1", "10.128.0.1", r.created)
	pod.ManagedFields = managedFields(sample, "kube-controller-manager", "kubelet", r.created)
	return f
}

// admit does what admission plugins do to every pod.
func admit(spec *corev1.PodSpec) {
	const volume = "kube-api-access"
	expiration, seconds := int64(3607), int64(300)
	spec.ServiceAccountName = "default"
	spec.DeprecatedServiceAccount = "default"
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &expiration, Path: "token"}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"},
			}}}},
		}},
	}})
	for i := range spec.Containers {
		spec.Containers[i].VolumeMounts = append(spec.Containers[i].VolumeMounts, corev1.VolumeMount{
			Name: volume, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
		})
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
	priority, preempt := int32(0), corev1.PreemptLowerPriority
	spec.Priority, spec.PreemptionPolicy = &priority, &preempt
}

// pod is a running pod on a node; number is unique among all pods.
func (f *podFactory) pod(node string, number int, created time.Time) *corev1.Pod {
	// What is shared is only read, by the encoder.
	pod := *f.prototype
	pod.Name = f.prototype.GenerateName + rand.SafeEncodeString(fmt.Sprintf("%05d", number))
	stamp(&pod, created)
	pod.Spec.NodeName = node
	ip := fmt.Sprintf("10.%d.%d.%d", 128+number>>16, number>>8&0xff, number&0xff)
	pod.Status = f.status(pod.UID, "127.0.0.1", ip, created)
	pod.ManagedFields = append([]metav1.ManagedFieldsEntry(nil), pod.ManagedFields...)
	for i := range pod.ManagedFields {
		when := metav1.NewTime(created)
		pod.ManagedFields[i].Time = &when
	}
	return &pod
}

func (f *podFactory) status(uid types.UID, hostIP, ip string, created time.Time) corev1.PodStatus {
	started := metav1.NewTime(created.Add(2 * time.Second))
	status := corev1.PodStatus{
		ObservedGeneration: 1,
		Phase:              corev1.PodRunning,
		HostIP:             hostIP,
		HostIPs:            []corev1.HostIP{{IP: hostIP}},
		PodIP:              ip,
		PodIPs:             []corev1.PodIP{{IP: ip}},
		StartTime:          &started,
		QOSClass:           corev1.PodQOSBurstable,
	}
	for _, condition := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{
			Type: condition, ObservedGeneration: 1, Status: corev1.ConditionTrue, LastTransitionTime: started,
		})
	}
	yes := true
	for _, c := range f.prototype.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name:        c.Name,
			Image:       c.Image,
			ImageID:     kwoknodes.ImageID(c.Image),
			ContainerID: kwoknodes.ContainerID(string(uid), c.Name),
			Ready:       true,
			Started:     &yes,
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		})
	}
	return status
}
