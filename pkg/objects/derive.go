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

// nodeStatus is unschedulable, warning when a condition is not as it should
// be, or running.
func nodeStatus(o gjson.Result) string {
	if o.Get("spec.unschedulable").Bool() {
		return "unschedulable"
	}
	result := "running"
	o.Get("status.conditions").ForEach(func(_, condition gjson.Result) bool {
		expected := "False" // MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable …
		if kind := condition.Get("type").Str; kind == "Ready" {
			expected = "True"
		}
		if condition.Get("status").Str != expected {
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

// podReason follows the printer of `kubectl get pods`.
func podReason(o gjson.Result) string {
	reason := o.Get("status.phase").Str
	if why := o.Get("status.reason").Str; why != "" {
		reason = why
	}
	if reason == "Pending" && o.Get(`status.conditions.#(type=="PodScheduled").reason`).Str == "SchedulingGated" {
		reason = "SchedulingGated"
	}
	initializing, initReason := podInitializing(o)
	if initializing {
		reason = initReason
	} else {
		reason = podContainersReason(o, reason)
	}
	if o.Get("metadata.deletionTimestamp").Exists() {
		if o.Get("status.reason").Str == "NodeLost" {
			return "Unknown"
		}
		return "Terminating"
	}
	return reason
}

func podInitializing(o gjson.Result) (bool, string) {
	initializing, reason := false, ""
	total := o.Get("spec.initContainers.#").String()
	n := 0
	o.Get("status.initContainerStatuses").ForEach(func(_, container gjson.Result) bool {
		n++
		terminated := container.Get("state.terminated")
		waiting := container.Get("state.waiting.reason").Str
		switch {
		case terminated.Exists() && terminated.Get("exitCode").Int() == 0:
			return true
		case container.Get("started").Bool() && container.Get("state.running").Exists():
			return true // a sidecar that runs
		case terminated.Exists() && terminated.Get("reason").Str != "":
			reason = "Init:" + terminated.Get("reason").Str
		case terminated.Exists():
			reason = "Init:ExitCode:" + terminated.Get("exitCode").Raw
		case waiting != "" && waiting != "PodInitializing":
			reason = "Init:" + waiting
		default:
			reason = "Init:" + strconv.Itoa(n-1) + "/" + total
		}
		initializing = true
		return false
	})
	return initializing, reason
}

func podContainersReason(o gjson.Result, reason string) string {
	running := false
	containers := o.Get("status.containerStatuses").Array()
	for n := len(containers) - 1; n >= 0; n-- {
		container := containers[n]
		waiting, terminated := container.Get("state.waiting.reason").Str, container.Get("state.terminated")
		switch {
		case waiting != "":
			reason = waiting
		case terminated.Get("reason").Str != "":
			reason = terminated.Get("reason").Str
		case terminated.Exists() && terminated.Get("signal").Int() != 0:
			reason = "Signal:" + terminated.Get("signal").Raw
		case terminated.Exists():
			reason = "ExitCode:" + terminated.Get("exitCode").Raw
		case container.Get("ready").Bool() && container.Get("state.running").Exists():
			running = true
		}
	}
	if reason == "Completed" && running {
		reason = "NotReady"
		if o.Get(`status.conditions.#(type=="Ready").status`).Str == "True" {
			reason = "Running"
		}
	}
	return reason
}
