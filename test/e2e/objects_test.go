//go:build e2e

package e2e

import (
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func clientKey(name string) client.ObjectKey { return client.ObjectKey{Name: name} }

func subjectUser(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}
}

// viewerRule allows reading a type through the viewer, and nothing else.
func viewerRule(resource string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{"resources.kubesphere.io"}, Resources: []string{resource}, Verbs: []string{"get", "list"}}}
}

func expect(r reply, code int) error {
	if r.code != code {
		return fmt.Errorf("got %d %.300s, want %d", r.code, r.body, code)
	}
	return nil
}
