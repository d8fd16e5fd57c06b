package reserved

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestLock: the label counts whatever its value, and for the types it is about only.
func TestLock(t *testing.T) {
	core := func(resource string) schema.GroupResource { return schema.GroupResource{Resource: resource} }
	ofWorkspaces := schema.GroupResource{Group: groupQuota, Resource: "resourcequotas"}
	for _, test := range []struct {
		resource schema.GroupResource
		label    string
		locked   bool
	}{
		{core("resourcequotas"), "quota.kubesphere.io/protected", true},
		{core("resourcequotas"), "quota.kubesphere.io/resourcequota", true},
		{core("resourcequotas"), "app", false},
		{core("limitranges"), "quota.kubesphere.io/protected", true},
		{core("limitranges"), "quota.kubesphere.io/resourcequota", false},
		{ofWorkspaces, "quota.kubesphere.io/protected", true},
		{ofWorkspaces, "kubesphere.io/workspace", false},
		{core("configmaps"), "quota.kubesphere.io/protected", false},
		// A label that takes a right to change locks nothing else of the object.
		{core("namespaces"), "kubesphere.io/workspace", false},
	} {
		for _, value := range []string{"", "true", "false"} {
			lock, locked := (*Register)(nil).Lock(test.resource, object(map[string]string{test.label: value}, nil))
			if locked != test.locked || locked && (lock.key != test.label || lock.Right != Cluster) {
				t.Errorf("%s with the label %s=%s: %v %v", test.resource, test.label, value, lock, locked)
			}
		}
		if _, locked := Default().Lock(test.resource, nil); locked {
			t.Errorf("no object of %s is locked", test.resource)
		}
		if labels := New(Options{}).LockingLabels(test.resource); test.locked != slices.Contains(labels, test.label) {
			t.Errorf("%s is locked by %q", test.resource, labels)
		}
	}
}
