package tenant

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestCreators: a namespace is not written for a creator without an account, and a service
// account creates one without becoming its administrator.
func TestCreators(t *testing.T) {
	for _, test := range []struct {
		creator string
		code    int32 // 0 when it works
		bound   bool
	}{
		{"jane", 0, true},
		{"system:serviceaccount:n:s", 0, false},
		{"system:anonymous", 403, false},
		{"system:pre-registration", 403, false},
		{"nobody", 403, false},
		{"", 403, false},
	} {
		t.Run(test.creator, func(t *testing.T) {
			c := cluster(t, append(roleBases(), userNamed("jane"), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: meta("", "w1", "")})...)
			p := &Projects{Client: c, Bindings: &iam.Bindings{Client: c}, Now: time.Now, BoundNames: &BoundNames{Source: &fixedRights{}}}
			created, err := p.Create(t.Context(), "w1", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "p1"}}, &user.DefaultInfo{Name: test.creator})
			if test.code != 0 {
				if err == nil || status.Of(err).Code != test.code {
					t.Errorf("got %v", err)
				}
				if err := c.Get(t.Context(), client.ObjectKey{Name: "p1"}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
					t.Errorf("the namespace was written: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if created.Labels[tenantv1alpha2.LabelNamespace] != "p1" || created.Annotations[iamv1alpha2.AnnotationCreator] != test.creator {
				t.Errorf("created is %+v", created.ObjectMeta)
			}
			bindings := &rbacv1.RoleBindingList{}
			if err := c.List(t.Context(), bindings, client.InNamespace("p1")); err != nil || (len(bindings.Items) == 1) != test.bound {
				t.Errorf("bound %+v, %v", bindings.Items, err)
			}
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "p1", Name: roleAdmin}, &rbacv1.Role{}); err != nil {
				t.Errorf("the role of administrators: %v", err)
			}
		})
	}
}

// TestChangeBeforeTheCreatorComes: a write succeeds while the creator that an annotation
// names does not exist.
func TestChangeBeforeTheCreatorComes(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: meta("", "p1", "w1")}
	namespace.CreationTimestamp, namespace.Annotations = metav1.Now(), map[string]string{iamv1alpha2.AnnotationCreator: "later"}
	c := cluster(t, append(roleBases(), namespace)...)
	p := &Projects{Client: c, Bindings: &iam.Bindings{Client: c}, Now: time.Now}
	changed, err := p.Update(t.Context(), "w1", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "p1", Labels: map[string]string{"a": "b"}}}, unchecked)
	if err != nil || changed.Labels["a"] != "b" {
		t.Errorf("got %+v, %v", changed, err)
	}
}

// TestFormerProjects: a project that a deleted workspace has left counts for it until it is
// in another one.
func TestFormerProjects(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:        "p1",
		Labels:      map[string]string{iamv1alpha2.LabelWorkspace: "w1", tenantv1alpha2.LabelNamespace: "p1"},
		Annotations: map[string]string{tenantv1alpha2.AnnotationFormerWorkspace: "1", tenantv1alpha2.AnnotationFormerCreator: "jane", "a": "b"},
	}}
	c := cluster(t, append(roleBases(), namespace)...)
	p := &Projects{Client: c, Bindings: &iam.Bindings{Client: c}, Now: time.Now}
	if _, err := p.Ensure(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace); err != nil || len(namespace.Annotations) != 1 {
		t.Errorf("the annotations are %v, %v", namespace.Annotations, err)
	}
	workspace := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "2", Annotations: map[string]string{iamv1alpha2.AnnotationCreator: "joe"}}}
	if err := (&Workspaces{Client: c}).letGo(t.Context(), workspace, "p1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace); err != nil || namespace.Labels[iamv1alpha2.LabelWorkspace] != "" ||
		namespace.Annotations[tenantv1alpha2.AnnotationFormerWorkspace] != "2" || namespace.Annotations[tenantv1alpha2.AnnotationFormerCreator] != "joe" {
		t.Errorf("left as %+v, %v", namespace.ObjectMeta, err)
	}
}
