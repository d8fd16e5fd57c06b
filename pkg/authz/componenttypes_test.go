package authz

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/kubernetes/scheme"
)

// informativeStatuses are the statuses of Kubernetes' types that are no powers: no
// component acts on them, or the holder of the right to write the object can bring the
// same about by its specification.
var informativeStatuses = map[string]string{
	"replicationcontrollers": "counts", "daemonsets.apps": "counts", "deployments.apps": "counts", "replicasets.apps": "counts", "statefulsets.apps": "counts",
	"horizontalpodautoscalers.autoscaling": "the target has a scale", "jobs.batch": "pods of the project alone", "cronjobs.batch": "jobs of the project alone",
	"poddisruptionbudgets.policy":              "the specification allows the same disruptions",
	"flowschemas.flowcontrol.apiserver.k8s.io": "informs", "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": "informs",
	"validatingadmissionpolicies.admissionregistration.k8s.io": "warnings of a check of types",
	"evictions.lifecycle.k8s.io":                               "written by responders, which users run", "evictionrequests.lifecycle.k8s.io": "informs requesters, which users run",
	"devicetaintrules.resource.k8s.io": "informs", "resourcepoolstatusrequests.resource.k8s.io": "informs", "compositepodgroups.scheduling.k8s.io": "informs",
}

// TestStatuses: for each status of Kubernetes' types it is decided whether to write it
// is a power.
func TestStatuses(t *testing.T) {
	found := make(map[string]bool)
	for kind, typ := range scheme.Scheme.AllKnownTypes() {
		_, hasMeta := typ.FieldByName("ObjectMeta")
		if _, hasStatus := typ.FieldByName("Status"); !hasMeta || !hasStatus || strings.HasSuffix(kind.Kind, "Review") || kind.Kind == "Scale" || kind.Group == "extensions" || kind.Group == "authentication.k8s.io" {
			continue
		}
		plural, _ := meta.UnsafeGuessKindToResource(kind)
		resource := plural.GroupResource()
		found[resource.String()] = true
		_, informs := informativeStatuses[resource.String()]
		if power := isPowerResource("update", resource.Group, resource.Resource, "status"); power == informs {
			t.Errorf("%s/status: power %v, informs %v", resource, power, informs)
		}
	}
	for resource := range informativeStatuses {
		if !found[resource] {
			t.Errorf("%s has no status", resource)
		}
	}
}
