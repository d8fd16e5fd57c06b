package terminal

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestOwnNamespace: no token goes where somebody has a role.
func TestOwnNamespace(t *testing.T) {
	namespace := func(labels, annotations map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "there", Labels: labels, Annotations: annotations}}
	}
	ours := map[string]string{reserved.LabelManagedBy: kube.FieldManager}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "there", Name: "b"}}
	for _, test := range []struct {
		name    string
		objects []client.Object
		may     bool
	}{
		{"none", nil, true},
		{"ours", []client.Object{namespace(ours, nil)}, true},
		{"as earlier versions made it", []client.Object{namespace(map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, nil)}, true},
		{"of the platform", []client.Object{namespace(map[string]string{"kubesphere.io/workspace": "system-workspace", "kubesphere.io/namespace": "there"}, nil)}, true},
		{"a project", []client.Object{namespace(map[string]string{"kubesphere.io/workspace": "w"}, nil)}, false},
		{"ours that became a project", []client.Object{namespace(map[string]string{"kubesphere.io/workspace": "w", reserved.LabelManagedBy: kube.FieldManager}, nil)}, false},
		{"a former project", []client.Object{namespace(map[string]string{"kubesphere.io/namespace": "there"}, nil)}, false},
		{"of a creator", []client.Object{namespace(nil, map[string]string{"kubesphere.io/creator": "zoe"})}, false},
		{"with roles", []client.Object{namespace(nil, nil), binding}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			owner := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "active", UID: "1"}}
			k := newKubectl(t, append(test.objects, owner)...)
			_, err := k.Ensure(t.Context(), "active")
			if (err == nil) != test.may || err != nil && status.Of(err).Code != 409 {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				return
			}
			found := &corev1.Namespace{}
			if err := k.Client.Get(t.Context(), client.ObjectKey{Name: "there"}, found); err != nil || found.Labels[reserved.LabelManagedBy] != kube.FieldManager {
				t.Errorf("it is %+v, %v", found.Labels, err)
			}
		})
	}
}
