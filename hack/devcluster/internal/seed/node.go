package seed

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/kwoknodes"
)

// podsPerNode is a little below the usual limit of 110.
const podsPerNode = 100

// staticNode is a Ready node whose pods never change. It takes no new ones:
// nobody would run them.
func staticNode(i, kubeletPort int, created time.Time) *corev1.Node {
	node := kwoknodes.Registered(staticNodeName(i), i)
	stamp(node, created)
	node.Labels[kwoknodes.StaticLabel] = "true"
	node.Labels["node-role.kubernetes.io/worker"] = ""
	node.Spec.Taints = []corev1.Taint{{Key: kwoknodes.StaticLabel, Value: "true", Effect: corev1.TaintEffectNoSchedule}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(kubeletPort)
	since := metav1.NewTime(created)
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason string) {
		node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{
			Type: kind, Status: status, Reason: reason, LastHeartbeatTime: since, LastTransitionTime: since,
		})
	}
	condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory")
	condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure")
	condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID")
	condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady")
	return node
}

func staticNodeName(i int) string { return fmt.Sprintf("static-%04d", i) }
