package seed

import (
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// managedFields records who set what, as kube-apiserver does: half of the size
// of an object in etcd is this. One manager has set the spec, one the status.
func managedFields(object metav1.Object, specManager, statusManager string, at time.Time) []metav1.ManagedFieldsEntry {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		// Not possible for the types of this package; without the record an
		// object is only smaller.
		return nil
	}
	gvk := kindOf(object)
	metadata, _ := content["metadata"].(map[string]any)
	set := map[string]any{}
	for _, key := range []string{"annotations", "labels", "ownerReferences"} {
		if value, ok := metadata[key]; ok {
			set[key] = value
		}
	}
	entry := func(manager, subresource string, fields map[string]any) metav1.ManagedFieldsEntry {
		when := metav1.NewTime(at)
		// Maps of strings and maps: cannot fail.
		raw, _ := json.Marshal(fields)
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: subresource,
			APIVersion: gvk.GroupVersion().String(), Time: &when,
			FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: raw},
		}
	}
	return []metav1.ManagedFieldsEntry{
		entry(specManager, "", fieldSet(map[string]any{"metadata": set, "spec": content["spec"]})),
		entry(statusManager, "status", fieldSet(map[string]any{"status": content["status"]})),
	}
}

// fieldSet turns content into the set of its fields.
func fieldSet(content map[string]any) map[string]any {
	fields := make(map[string]any, len(content))
	for key, value := range content {
		fields["f:"+key] = fieldSetOf(value)
	}
	return fields
}

func fieldSetOf(value any) map[string]any {
	switch value := value.(type) {
	case map[string]any:
		return fieldSet(value)
	case []any:
		return listSet(value)
	}
	return map[string]any{}
}

// listSet treats lists of objects that have a key as kube-apiserver does, and
// all others as one value.
func listSet(list []any) map[string]any {
	fields := map[string]any{}
	for _, element := range list {
		object, ok := element.(map[string]any)
		if !ok {
			return map[string]any{}
		}
		for _, key := range []string{"name", "type", "uid", "ip"} {
			if id, ok := object[key].(string); ok {
				set := fieldSet(object)
				set["."] = map[string]any{}
				fields[fmt.Sprintf("k:{%q:%q}", key, id)] = set
				break
			}
		}
	}
	return fields
}
