package controllers

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// TestDeletedRoles: a role of members that was deleted at kube-apiserver stayed away until
// its namespace changed, and one that was changed on purpose must stay as it is.
func TestDeletedRoles(t *testing.T) {
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "admin"}}
	seen := deletions()
	if !seen.Delete(event.DeleteEvent{Object: role}) {
		t.Error("a deletion is not seen")
	}
	if seen.Create(event.CreateEvent{Object: role}) || seen.Update(event.UpdateEvent{ObjectOld: role, ObjectNew: role}) || seen.Generic(event.GenericEvent{Object: role}) {
		t.Error("other events are seen, of which there are many")
	}
	if keys := inNamespace(role); len(keys) != 1 || keys[0] != "p1" {
		t.Errorf("it asks for %v", keys)
	}
}
