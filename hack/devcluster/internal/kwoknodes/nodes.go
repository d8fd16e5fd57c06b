package kwoknodes

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/version"
)

// kubeletIP is the address of every node: the fake kubelet's.
const kubeletIP = "127.0.0.1"

// Ensure makes nodes node-0 to node-(count-1) as far as they are missing, and
// tells every node of the cluster where its kubelet listens now. It reports
// whether there are static nodes.
func Ensure(ctx context.Context, client kubernetes.Interface, count, kubeletPort int) (static bool, err error) {
	for i := range count {
		_, err := client.CoreV1().Nodes().Create(ctx, played(i, count), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return false, fmt.Errorf("create node %d: %w", i, err)
		}
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list nodes: %w", err)
	}
	patch := fmt.Appendf(nil, `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, kubeletPort)
	var patches errgroup.Group
	patches.SetLimit(8)
	for _, node := range nodes.Items {
		if _, ok := node.Labels[StaticLabel]; ok {
			static = true
		}
		if int(node.Status.DaemonEndpoints.KubeletEndpoint.Port) == kubeletPort {
			continue
		}
		patches.Go(func() error {
			_, err := client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch,
				metav1.PatchOptions{}, "status")
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("set the kubelet port of node %s: %w", node.Name, err)
			}
			return nil
		})
	}
	return static, patches.Wait()
}

// played is node number i as KWOK finds it: registered, not ready yet.
func played(i, count int) *corev1.Node {
	node := Registered(fmt.Sprintf("node-%d", i), i)
	node.Annotations[annotation] = annotationValue
	if i > 0 {
		node.Labels["node-role.kubernetes.io/worker"] = ""
		return node
	}
	node.Labels["node-role.kubernetes.io/control-plane"] = ""
	if count > 1 {
		node.Spec.Taints = []corev1.Taint{{
			Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule,
		}}
	}
	return node
}

// Registered is a node without a role whose kubelet nobody plays.
func Registered(name string, i int) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("1000"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelHostname:           name,
				"beta.kubernetes.io/arch":      "amd64",
				"beta.kubernetes.io/os":        "linux",
				corev1.LabelArchStable:         "amd64",
				corev1.LabelOSStable:           "linux",
				corev1.LabelTopologyRegion:     "region-a",
				corev1.LabelTopologyZone:       fmt.Sprintf("zone-%c", 'a'+i%3),
				corev1.LabelInstanceTypeStable: "standard-64",
			},
			Annotations: map[string]string{},
		},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity.DeepCopy(),
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: kubeletIP},
				{Type: corev1.NodeHostName, Address: name},
			},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture:            "amd64",
				OperatingSystem:         "linux",
				OSImage:                 "Fake Linux",
				KernelVersion:           "6.12.0",
				ContainerRuntimeVersion: "containerd://2.1.0",
				// Clients parse it; the build stamps it as it stamps the rest.
				KubeletVersion: version.Get().GitVersion,
			},
		},
	}
}

// WaitReady returns when count nodes with a kubelet are Ready.
func WaitReady(ctx context.Context, client kubernetes.Interface, count int) error {
	ready := 0
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{
			// Static nodes have always been ready, and may be a thousand.
			LabelSelector: "!" + StaticLabel, ResourceVersion: "0",
		})
		if err != nil {
			return false, err
		}
		ready = 0
		for i := range nodes.Items {
			if isReady(&nodes.Items[i]) {
				ready++
			}
		}
		return ready >= count, nil
	})
	if err != nil {
		return fmt.Errorf("wait for ready nodes (%d of %d are): %w", ready, count, err)
	}
	return nil
}

func isReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
