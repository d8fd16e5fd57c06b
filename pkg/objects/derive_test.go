package objects

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// TestPodStatus: reason is what `kubectl get pods` of Kubernetes 1.37 prints.
func TestPodStatus(t *testing.T) {
	const ready, initialized = `{"type":"Ready","status":"True"}`, `{"type":"Initialized","status":"True"}`
	for _, test := range []struct {
		name, pod, reason, status string
	}{
		{"running", `{"status":{"phase":"Running","containerStatuses":[{"ready":true,"state":{"running":{}}}]}}`, "Running", "Running"},
		{"pending, not scheduled", `{"status":{"phase":"Pending"}}`, "Pending", "Waiting"},
		{"pending behind a gate", `{"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]}}`, "SchedulingGated", "Waiting"},
		{"creating its container", `{"status":{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]}}`, "ContainerCreating", "Waiting"},
		{"completed", `{"status":{"phase":"Succeeded","containerStatuses":[{"state":{"terminated":{"reason":"Completed","exitCode":0}}}]}}`, "Completed", "Completed"},
		{"succeeded, containers unknown", `{"status":{"phase":"Succeeded"}}`, "Succeeded", "Completed"},
		{"failed", `{"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"reason":"Error","exitCode":1}}}]}}`, "Error", "Error"},
		{"crash loop", `{"status":{"phase":"Running","containerStatuses":[{"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}`, "CrashLoopBackOff", "Error"},
		{"image cannot be pulled", `{"status":{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff"}}}]}}`, "ImagePullBackOff", "Error"},
		{"out of memory", `{"status":{"phase":"Running","containerStatuses":[{"state":{"terminated":{"reason":"OOMKilled","exitCode":137}}}]}}`, "OOMKilled", "Error"},
		{"killed by a signal", `{"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"signal":9,"exitCode":137}}}]}}`, "Signal:9", "Error"},
		{"exit code without a reason", `{"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":3}}}]}}`, "ExitCode:3", "Error"},
		{"evicted", `{"status":{"phase":"Failed","reason":"Evicted"}}`, "Evicted", "Error"},
		{"the first container tells", `{"status":{"phase":"Running","containerStatuses":[{"state":{"waiting":{"reason":"CrashLoopBackOff"}}},{"ready":true,"state":{"running":{}}}]}}`, "CrashLoopBackOff", "Error"},
		{"one completed, one running", `{"status":{"phase":"Running","containerStatuses":[{"state":{"terminated":{"reason":"Completed","exitCode":0}}},{"ready":true,"state":{"running":{}}}]}}`, "NotReady", "Waiting"},
		{"one completed, one running and ready", `{"status":{"phase":"Running","conditions":[` + ready + `],"containerStatuses":[{"state":{"terminated":{"reason":"Completed","exitCode":0}}},{"ready":true,"state":{"running":{}}}]}}`, "Running", "Running"},
		// It was Completed: kubectl shows the failure of the other container.
		{"one completed, one failed", `{"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"reason":"Completed","exitCode":0}}},{"state":{"terminated":{"reason":"Error","exitCode":1}}}]}}`, "Error", "Error"},
		{"initializing", `{"spec":{"initContainers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Pending","initContainerStatuses":[{"name":"a","state":{"terminated":{"exitCode":0}}},{"name":"b","state":{"running":{}}}]}}`, "Init:1/2", "Waiting"},
		// kubelet says started of every running init container, sidecar or not: it counted as one.
		{"initializing, started", `{"spec":{"initContainers":[{"name":"a"}]},"status":{"phase":"Pending","initContainerStatuses":[{"name":"a","started":true,"state":{"running":{}}}],"containerStatuses":[{"state":{"waiting":{"reason":"PodInitializing"}}}]}}`, "Init:0/1", "Waiting"},
		{"waits for init containers", `{"spec":{"initContainers":[{"name":"a"}]},"status":{"phase":"Pending","initContainerStatuses":[{"name":"a","state":{"waiting":{"reason":"PodInitializing"}}}]}}`, "Init:0/1", "Waiting"},
		{"init container crashes", `{"spec":{"initContainers":[{"name":"a"}]},"status":{"phase":"Pending","initContainerStatuses":[{"name":"a","state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}`, "Init:CrashLoopBackOff", "Error"},
		{"init container failed", `{"spec":{"initContainers":[{"name":"a"}]},"status":{"phase":"Failed","initContainerStatuses":[{"name":"a","state":{"terminated":{"reason":"Error","exitCode":1}}}]}}`, "Init:Error", "Error"},
		{"init container with an exit code", `{"spec":{"initContainers":[{"name":"a"}]},"status":{"phase":"Pending","initContainerStatuses":[{"name":"a","state":{"terminated":{"exitCode":2}}}]}}`, "Init:ExitCode:2", "Error"},
		{"init container killed by a signal", `{"spec":{"initContainers":[{"name":"a"}]},"status":{"phase":"Pending","initContainerStatuses":[{"name":"a","state":{"terminated":{"exitCode":137,"signal":9}}}]}}`, "Init:Signal:9", "Error"},
		{"sidecar runs", `{"spec":{"initContainers":[{"name":"a","restartPolicy":"Always"}]},"status":{"phase":"Running","initContainerStatuses":[{"name":"a","started":true,"ready":true,"state":{"running":{}}}],"containerStatuses":[{"ready":true,"state":{"running":{}}}]}}`, "Running", "Running"},
		// It was Error: a pod that was initialized does not start again with its sidecar.
		{"sidecar restarts", `{"spec":{"initContainers":[{"name":"a","restartPolicy":"Always"}]},"status":{"phase":"Running","conditions":[` + initialized + `],"initContainerStatuses":[{"name":"a","started":false,"state":{"running":{}}}],"containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]}}`, "ContainerCreating", "Waiting"},
		{"terminating", `{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z"},"status":{"phase":"Running","containerStatuses":[{"ready":true,"state":{"running":{}}}]}}`, "Terminating", "Waiting"},
		// It was Waiting: what has ended does not end again while a finalizer keeps it.
		{"completed, held by a finalizer", `{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z"},"status":{"phase":"Succeeded","containerStatuses":[{"state":{"terminated":{"reason":"Completed","exitCode":0}}}]}}`, "Completed", "Completed"},
		{"terminating on a lost node", `{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z"},"status":{"phase":"Running","reason":"NodeLost"}}`, "Unknown", "Error"},
		{"nothing known", `{}`, "", "Error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := gjson.Parse(test.pod)
			if reason, status := podReason(pod), podStatus(pod); reason != test.reason || status != test.status {
				t.Errorf("got %s (%s), want %s (%s)", reason, status, test.reason, test.status)
			}
		})
	}
}

// TestPodReasonEqualsKubectl compares with the printer of kubectl on random pods.
func TestPodReasonEqualsKubectl(t *testing.T) {
	state := rapid.Custom(func(t *rapid.T) corev1.ContainerState {
		reason := rapid.SampledFrom([]string{"", "Completed", "Error", "PodInitializing", "CrashLoopBackOff"}).Draw(t, "reason")
		switch rapid.IntRange(0, 3).Draw(t, "state") {
		case 0:
			return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
		case 1:
			return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		case 2:
			return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: int32(rapid.IntRange(0, 1).Draw(t, "exit")), Signal: int32(rapid.IntRange(0, 1).Draw(t, "signal"))}}
		}
		return corev1.ContainerState{}
	})
	containers := func(t *rapid.T, what string) (spec []corev1.Container, statuses []corev1.ContainerStatus) {
		for n := range rapid.IntRange(0, 3).Draw(t, what) {
			container := corev1.Container{Name: fmt.Sprint("c", n)}
			if what == "init" && rapid.Bool().Draw(t, "sidecar") {
				always := corev1.ContainerRestartPolicyAlways
				container.RestartPolicy = &always
			}
			started := rapid.Bool().Draw(t, "started")
			spec = append(spec, container)
			statuses = append(statuses, corev1.ContainerStatus{Name: container.Name, Ready: rapid.Bool().Draw(t, "ready"), Started: &started, State: state.Draw(t, "state")})
		}
		return spec, statuses
	}
	rapid.Check(t, func(t *rapid.T) {
		pod := &corev1.Pod{}
		pod.Status.Phase = rapid.SampledFrom([]corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown}).Draw(t, "phase")
		pod.Status.Reason = rapid.SampledFrom([]string{"", "", "Evicted", "NodeLost"}).Draw(t, "reason")
		if rapid.Bool().Draw(t, "deleted") {
			now := metav1.NewTime(time.Unix(1700000000, 0))
			pod.DeletionTimestamp = &now
		}
		for _, kind := range []corev1.PodConditionType{corev1.PodReady, corev1.PodInitialized, corev1.PodScheduled} {
			if rapid.Bool().Draw(t, string(kind)) {
				condition := corev1.PodCondition{Type: kind, Status: rapid.SampledFrom([]corev1.ConditionStatus{"True", "False"}).Draw(t, "status")}
				if kind == corev1.PodScheduled {
					condition.Reason = rapid.SampledFrom([]string{"", corev1.PodReasonSchedulingGated}).Draw(t, "why")
				}
				pod.Status.Conditions = append(pod.Status.Conditions, condition)
			}
		}
		pod.Spec.InitContainers, pod.Status.InitContainerStatuses = containers(t, "init")
		pod.Spec.Containers, pod.Status.ContainerStatuses = containers(t, "main")
		encoded, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := podReason(gjson.ParseBytes(encoded)), kubectlReason(pod); got != want {
			t.Fatalf("got %q, kubectl prints %q for %s", got, want, encoded)
		}
	})
}

// kubectlReason is printPod of k8s.io/kubernetes 1.37
// (pkg/printers/internalversion/printers.go), reduced to the status column.
func kubectlReason(pod *corev1.Pod) string {
	has := func(kind corev1.PodConditionType) bool {
		for _, c := range pod.Status.Conditions {
			if c.Type == kind {
				return c.Status == corev1.ConditionTrue
			}
		}
		return false
	}
	reason := string(pod.Status.Phase)
	if pod.Status.Reason != "" {
		reason = pod.Status.Reason
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			reason = corev1.PodReasonSchedulingGated
		}
	}
	sidecar := map[string]bool{}
	for _, c := range pod.Spec.InitContainers {
		sidecar[c.Name] = c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	}
	initializing := false
	for i, c := range pod.Status.InitContainerStatuses {
		ended := c.State.Terminated
		switch {
		case ended != nil && ended.ExitCode == 0, sidecar[c.Name] && c.Started != nil && *c.Started:
			continue
		case ended != nil && ended.Reason != "":
			reason = "Init:" + ended.Reason
		case ended != nil && ended.Signal != 0:
			reason = fmt.Sprintf("Init:Signal:%d", ended.Signal)
		case ended != nil:
			reason = fmt.Sprintf("Init:ExitCode:%d", ended.ExitCode)
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			reason = "Init:" + c.State.Waiting.Reason
		default:
			reason = fmt.Sprintf("Init:%d/%d", i, len(pod.Spec.InitContainers))
		}
		initializing = true
		break
	}
	if !initializing || has(corev1.PodInitialized) {
		running, failure := false, ""
		for i := len(pod.Status.ContainerStatuses) - 1; i >= 0; i-- {
			c := pod.Status.ContainerStatuses[i]
			ended := c.State.Terminated
			switch {
			case c.State.Waiting != nil && c.State.Waiting.Reason != "":
				reason = c.State.Waiting.Reason
			case ended != nil:
				switch {
				case ended.Reason != "":
					reason = ended.Reason
				case ended.Signal != 0:
					reason = fmt.Sprintf("Signal:%d", ended.Signal)
				default:
					reason = fmt.Sprintf("ExitCode:%d", ended.ExitCode)
				}
				if ended.ExitCode != 0 {
					failure = reason
				}
			case c.Ready && c.State.Running != nil:
				running = true
			}
		}
		if reason == "Completed" {
			switch {
			case running && has(corev1.PodReady):
				reason = "Running"
			case failure != "":
				reason = failure
			case running:
				reason = "NotReady"
			}
		}
	}
	if pod.DeletionTimestamp != nil {
		switch {
		case pod.Status.Reason == "NodeLost":
			reason = "Unknown"
		case pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed:
			reason = "Terminating"
		}
	}
	return reason
}

func TestNodeStatus(t *testing.T) {
	const ready = `{"type":"Ready","status":"True"}`
	for _, test := range []struct{ name, node, want string }{
		{"ready", `{"status":{"conditions":[{"type":"MemoryPressure","status":"False"},` + ready + `]}}`, "running"},
		{"not ready", `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`, "warning"},
		{"unknown", `{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`, "warning"},
		{"under pressure", `{"status":{"conditions":[{"type":"DiskPressure","status":"True"},` + ready + `]}}`, "warning"},
		{"without a network", `{"status":{"conditions":[{"type":"NetworkUnavailable","status":"True"},` + ready + `]}}`, "warning"},
		{"cordoned", `{"spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"False"}]}}`, "unschedulable"},
		// k3s and RKE2 say so of every healthy control plane node.
		{"a condition of somebody else", `{"status":{"conditions":[{"type":"EtcdIsVoter","status":"True"},` + ready + `]}}`, "running"},
		{"a problem somebody else detects", `{"status":{"conditions":[{"type":"KernelDeadlock","status":"False"},` + ready + `]}}`, "running"},
		{"no conditions", `{}`, "running"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := nodeStatus(gjson.Parse(test.node)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestDeploymentStatus(t *testing.T) {
	for _, test := range []struct{ name, deployment, want string }{
		{"all ready", `{"spec":{"replicas":3},"status":{"readyReplicas":3}}`, "running"},
		{"some ready", `{"spec":{"replicas":3},"status":{"readyReplicas":2}}`, "updating"},
		{"none ready", `{"spec":{"replicas":3},"status":{}}`, "updating"},
		{"scaled to zero", `{"spec":{"replicas":0},"status":{}}`, "stopped"},
		{"scaling to zero", `{"spec":{"replicas":0},"status":{"readyReplicas":1}}`, "updating"},
		{"surge while it rolls out", `{"spec":{"replicas":3},"status":{"readyReplicas":4}}`, "updating"},
		{"default of one", `{"spec":{},"status":{"readyReplicas":1}}`, "running"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := deploymentStatus(gjson.Parse(test.deployment)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestLastUpdate(t *testing.T) {
	derive := lastUpdate("lastUpdateTime")
	for _, test := range []struct {
		name, object string
		want         int64
	}{
		{"creation", `{"metadata":{"creationTimestamp":"2026-01-02T03:04:05Z"}}`, 1767323045},
		{"latest condition", `{"metadata":{"creationTimestamp":"2026-01-02T03:04:05Z"},"status":{"conditions":[{"lastUpdateTime":"2026-01-02T03:04:07Z"},{"lastUpdateTime":"2026-01-02T03:04:06Z"}]}}`, 1767323047},
		{"condition without time", `{"metadata":{"creationTimestamp":"2026-01-02T03:04:05Z"},"status":{"conditions":[{"type":"a"}]}}`, 1767323045},
		{"nothing", `{}`, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := derive(gjson.Parse(test.object)); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
