package objects

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// deploymentStatus is stopped, running or updating.
func deploymentStatus(o gjson.Result) string {
	wanted := int64(1) // what Kubernetes defaults spec.replicas to
	if replicas := o.Get("spec.replicas"); replicas.Exists() {
		wanted = replicas.Int()
	}
	ready := o.Get("status.readyReplicas").Int()
	switch {
	case wanted == 0 && ready == 0:
		return "stopped"
	case wanted == ready:
		return "running"
	}
	return "updating"
}

// daemonSetStatus is stopped, running or updating.
func daemonSetStatus(o gjson.Result) string {
	wanted, ready := o.Get("status.desiredNumberScheduled").Int(), o.Get("status.numberReady").Int()
	switch {
	case wanted == 0 && ready == 0:
		return "stopped"
	case wanted == ready:
		return "running"
	}
	return "updating"
}

// jobStatus is completed, failed or running.
func jobStatus(o gjson.Result) string {
	result := "running"
	o.Get("status.conditions").ForEach(func(_, condition gjson.Result) bool {
		if condition.Get("status").Str == "True" {
			switch condition.Get("type").Str {
			case "Complete":
				result = "completed"
			case "Failed":
				result = "failed"
			}
		}
		return true
	})
	return result
}

// cronJobStatus is paused or running.
func cronJobStatus(o gjson.Result) string {
	if o.Get("spec.suspend").Bool() {
		return "paused"
	}
	return "running"
}

// snapshotStatus is creating, ready or deleting.
func snapshotStatus(o gjson.Result) string {
	switch {
	case o.Get("metadata.deletionTimestamp").Exists():
		return "deleting"
	case o.Get("status.readyToUse").Bool():
		return "ready"
	}
	return "creating"
}

// nodeConditions are the conditions of a node with what they are when all is
// well. Others have meanings only who sets them knows.
var nodeConditions = map[string]string{
	"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "NetworkUnavailable": "False",
}

// nodeStatus is unschedulable, warning when a condition is not as it should
// be, or running.
func nodeStatus(o gjson.Result) string {
	if o.Get("spec.unschedulable").Bool() {
		return "unschedulable"
	}
	result := "running"
	o.Get("status.conditions").ForEach(func(_, condition gjson.Result) bool {
		expected, known := nodeConditions[condition.Get("type").Str]
		if known && condition.Get("status").Str != expected {
			result = "warning"
		}
		return result == "running"
	})
	return result
}

// podStatus is Running, Completed, Error or Waiting, by what `kubectl get`
// prints as the status of the pod.
func podStatus(o gjson.Result) string {
	reason := podReason(o)
	switch {
	case reason == "Running":
		return "Running"
	case reason == "Completed" || reason == "Succeeded":
		return "Completed"
	case strings.HasSuffix(reason, "ContainerCreating"), strings.HasSuffix(reason, "PodInitializing"),
		reason == "Pending", reason == "Terminating", reason == "SchedulingGated", reason == "NotReady", strings.HasPrefix(reason, "Init:") && strings.Contains(reason, "/"):
		return "Waiting"
	}
	return "Error"
}

// podReason follows the printer of `kubectl get pods`, of Kubernetes 1.37.
func podReason(o gjson.Result) string {
	phase := o.Get("status.phase").Str
	reason := phase
	if why := o.Get("status.reason").Str; why != "" {
		reason = why
	}
	if o.Get(`status.conditions.#(type=="PodScheduled").reason`).Str == "SchedulingGated" {
		reason = "SchedulingGated"
	}
	initializing := podInitReason(o)
	if initializing != "" {
		reason = initializing
	}
	// A pod is initialized once; that a sidecar starts again changes nothing.
	if initializing == "" || podCondition(o, "Initialized") {
		reason = podContainersReason(o, reason)
	}
	if o.Get("metadata.deletionTimestamp").Exists() {
		switch {
		case o.Get("status.reason").Str == "NodeLost":
			return "Unknown"
		case phase != "Succeeded" && phase != "Failed":
			return "Terminating"
		}
	}
	return reason
}

func podCondition(o gjson.Result, kind string) bool {
	return o.Get(`status.conditions.#(type=="`+kind+`").status`).Str == "True"
}

// podInitReason says which init container keeps a pod from starting; empty
// when none does.
func podInitReason(o gjson.Result) string {
	for n, container := range o.Get("status.initContainerStatuses").Array() {
		terminated := container.Get("state.terminated")
		waiting := container.Get("state.waiting.reason").Str
		switch {
		case terminated.Exists() && terminated.Get("exitCode").Int() == 0:
		case container.Get("started").Bool() && isSidecar(o, container.Get("name").Str):
		case terminated.Exists():
			return "Init:" + terminatedReason(terminated)
		case waiting != "" && waiting != "PodInitializing":
			return "Init:" + waiting
		default:
			return "Init:" + strconv.Itoa(n) + "/" + o.Get("spec.initContainers.#").String()
		}
	}
	return ""
}

// isSidecar reports whether an init container goes on beside the others.
func isSidecar(o gjson.Result, name string) bool {
	for _, container := range o.Get("spec.initContainers").Array() {
		if container.Get("name").Str == name {
			return container.Get("restartPolicy").Str == "Always"
		}
	}
	return false
}

func terminatedReason(terminated gjson.Result) string {
	if reason := terminated.Get("reason").Str; reason != "" {
		return reason
	}
	if signal := terminated.Get("signal"); signal.Int() != 0 {
		return "Signal:" + signal.Raw
	}
	return "ExitCode:" + terminated.Get("exitCode").Raw
}

func podContainersReason(o gjson.Result, reason string) string {
	running, failure := false, ""
	containers := o.Get("status.containerStatuses").Array()
	for n := len(containers) - 1; n >= 0; n-- {
		container := containers[n]
		waiting, terminated := container.Get("state.waiting.reason").Str, container.Get("state.terminated")
		switch {
		case waiting != "":
			reason = waiting
		case terminated.Exists():
			reason = terminatedReason(terminated)
			if terminated.Get("exitCode").Int() != 0 {
				failure = reason
			}
		case container.Get("ready").Bool() && container.Get("state.running").Exists():
			running = true
		}
	}
	switch {
	case reason != "Completed":
		return reason
	case running && podCondition(o, "Ready"):
		return "Running"
	case failure != "":
		return failure
	case running:
		return "NotReady"
	}
	return reason
}

// podRestarts is how often the containers of a pod were started again.
func podRestarts(o gjson.Result) int64 {
	var restarts int64
	o.Get("status.containerStatuses.#.restartCount").ForEach(func(_, count gjson.Result) bool {
		restarts += count.Int()
		return true
	})
	return restarts
}
