package setup

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// TestSystemWorkspace: the platform has a workspace, also where an earlier
// version was installed, and what is there stays as it is.
func TestSystemWorkspace(t *testing.T) {
	namespace := func(name, workspace string) *corev1.Namespace {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if workspace != "" {
			object.Labels = map[string]string{iamv1alpha2.LabelWorkspace: workspace}
		}
		return object
	}
	existing := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "system-workspace", UID: "1"}}
	existing.Spec.Template.Spec.Manager = "zoe"
	taken := &iamv1alpha2.WorkspaceRole{ObjectMeta: metav1.ObjectMeta{Name: "system-workspace-admin", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "other"}}}
	for _, test := range []struct {
		name     string
		existing []client.Object
		manager  string
		made     bool // whether it is complete
	}{
		{"a new cluster", nil, "admin", true},
		{"an earlier version", []client.Object{&corev1.ConfigMap{ObjectMeta: ours(marker)}, &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "admin"}}}, "admin", true},
		{"without user admin", []client.Object{&corev1.ConfigMap{ObjectMeta: ours(marker)}}, "", true},
		{"KubeSphere 3.x", []client.Object{&iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "zoe"}}, existing.DeepCopy()}, "zoe", true},
		{"a name that is taken", []client.Object{taken.DeepCopy()}, "admin", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, append(test.existing, namespace("kube-system", ""), namespace("default", ""), namespace("kubesphere-demo", "demo"), namespace("shop", ""))...)
			s := newSetup(c)
			s.AdminPassword = "P@88w0rd"
			if s.Run(t.Context()); s.Ready() != nil {
				t.Fatal(s.Ready())
			}
			template := get(t, c, "", "system-workspace", &tenantv1alpha2.WorkspaceTemplate{})
			if template.Spec.Template.Spec.Manager != test.manager {
				t.Errorf("managed by %q", template.Spec.Template.Spec.Manager)
			}
			want := map[string]string{"kube-system": "system-workspace", "default": "system-workspace", kube.Namespace: "system-workspace", "kubesphere-demo": "demo", "shop": ""}
			if !test.made {
				want = map[string]string{"kube-system": "", "kubesphere-demo": "demo"}
			} else {
				get(t, c, "", "system-workspace", &tenantv1alpha1.Workspace{})
			}
			for name, workspace := range want {
				if got := get(t, c, "", name, &corev1.Namespace{}).Labels[iamv1alpha2.LabelWorkspace]; got != workspace {
					t.Errorf("%s is in %q, want %q", name, got, workspace)
				}
			}
			// What a person changes later stays.
			system := get(t, c, "", "kube-system", &corev1.Namespace{})
			delete(system.Labels, iamv1alpha2.LabelWorkspace)
			if err := c.Update(t.Context(), system); err != nil {
				t.Fatal(err)
			}
			again := newSetup(c)
			if again.Run(t.Context()); again.Ready() != nil {
				t.Fatal(again.Ready())
			}
			if get(t, c, "", "kube-system", &corev1.Namespace{}).Labels[iamv1alpha2.LabelWorkspace] != "" {
				t.Error("what was changed was changed back")
			}
		})
	}
}
