package tenant

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func cluster(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&quotav1alpha2.ResourceQuota{}).Build()
}

func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for n := 0; n < len(pairs); n += 2 {
		list[corev1.ResourceName(pairs[n])] = resource.MustParse(pairs[n+1])
	}
	return list
}

func TestShare(t *testing.T) {
	used := map[string]corev1.ResourceList{"a": amounts("cpu", "1500m", "pods", "3"), "b": amounts("cpu", "1"), "c": amounts("memory", "1Gi")}
	for _, test := range []struct {
		namespace  string
		hard, want corev1.ResourceList
	}{
		{"a", amounts("cpu", "4"), amounts("cpu", "3")},
		{"b", amounts("cpu", "4"), amounts("cpu", "2500m")},
		{"c", amounts("cpu", "4", "pods", "3"), amounts("cpu", "1500m", "pods", "0")},
		{"new", amounts("cpu", "2"), amounts("cpu", "0")}, // exceeded already
		{"a", amounts("secrets", "5"), amounts("secrets", "5")},
		{"a", amounts(), amounts()},
	} {
		got := Share(test.hard, Total(test.hard, used), used[test.namespace])
		if len(got) != len(test.want) {
			t.Errorf("%s: %v, want %v", test.namespace, got, test.want)
		}
		for name, want := range test.want {
			if quantity := got[name]; quantity.Cmp(want) != 0 {
				t.Errorf("%s of %v: %s %s, want %s", test.namespace, test.hard, name, quantity.String(), want.String())
			}
		}
	}
	total := Total(amounts("cpu", "4", "pods", "9"), used)
	if cpu, pods := total["cpu"], total["pods"]; len(total) != 2 || cpu.String() != "2500m" || pods.String() != "3" {
		t.Errorf("in total %v", total)
	}
}

func TestOwned(t *testing.T) {
	owner := metav1.OwnerReference{Kind: "WorkspaceTemplate", Name: "w", UID: "2", Controller: new(true)}
	other := metav1.OwnerReference{Kind: "Other", Name: "o", UID: "3", Controller: new(true)}
	older := metav1.OwnerReference{Kind: "WorkspaceTemplate", Name: "w", UID: "1"}
	if got := owned([]metav1.OwnerReference{older}, owner); len(got) != 1 || got[0].UID != "2" {
		t.Errorf("instead of an older one: %v", got)
	}
	if got := owned([]metav1.OwnerReference{other}, owner); len(got) != 2 || got[1].Controller != nil {
		t.Errorf("beside a controller: %v", got)
	}
	if got := owned([]metav1.OwnerReference{owner}, owner); len(got) != 1 {
		t.Errorf("again: %v", got)
	}
}

func base64Base(kind, name string, labels map[string]string, roleLabels string) *iamv1alpha2.RoleBase {
	return &iamv1alpha2.RoleBase{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Role: runtime.RawExtension{Raw: []byte(
		`{"kind":"` + kind + `","metadata":{"name":"` + name + `","labels":{` + roleLabels + `}}}`)}}
}

func TestBases(t *testing.T) {
	c := cluster(t,
		base64Base("WorkspaceRole", "workspace-admin", nil, ""),
		base64Base("Role", "project-admin", map[string]string{"scope.kubesphere.io/namespace": "", "scope.kubesphere.io/devops": ""}, ""),
		base64Base("Role", "devops-only", map[string]string{"scope.kubesphere.io/devops": ""}, ""),
		base64Base("Role", "role-template-x", nil, `"iam.kubesphere.io/role-template":"true"`),
		base64Base("Role", "role-template-hidden", nil, `"iam.kubesphere.io/role-template":"false"`))
	for kind, want := range map[string]string{"WorkspaceRole": "workspace-admin", "Role": "project-admin"} {
		got, err := bases(t.Context(), c, kind)
		if err != nil || len(got) != 1 || got[0].Metadata.Name != want {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
	}
	role := workspaceRole(&base{Metadata: metav1.ObjectMeta{Name: "workspace-admin"}}, metav1.OwnerReference{Name: "ws"})
	if role.Name != "ws-admin" || role.Labels[iamv1alpha2.LabelWorkspace] != "ws" {
		t.Errorf("copied as %+v", role.ObjectMeta)
	}
	if role := projectRole(&base{Metadata: metav1.ObjectMeta{Name: "project-viewer"}}, "n"); role.Name != "viewer" || role.Namespace != "n" {
		t.Errorf("copied as %+v", role.ObjectMeta)
	}
}

// TestOrphaned: namespaces are deleted only when nobody said that they stay.
func TestOrphaned(t *testing.T) {
	template := func(change func(*tenantv1alpha2.WorkspaceTemplate)) *tenantv1alpha2.WorkspaceTemplate {
		result := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w", UID: "1"}}
		change(result)
		return result
	}
	propagation := func(policy string) func(*tenantv1alpha2.WorkspaceTemplate) {
		return func(w *tenantv1alpha2.WorkspaceTemplate) {
			w.Annotations = map[string]string{tenantv1alpha2.AnnotationDeletionPropagation: policy}
		}
	}
	workspace := &tenantv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "w", OwnerReferences: []metav1.OwnerReference{{Kind: "WorkspaceTemplate", Name: "w", UID: "1"}}}}
	cut := &tenantv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "w"}}
	for _, test := range []struct {
		name     string
		template *tenantv1alpha2.WorkspaceTemplate
		objects  []client.Object
		want     bool
	}{
		{"plain", template(func(*tenantv1alpha2.WorkspaceTemplate) {}), []client.Object{workspace}, false},
		{"asked to keep", template(propagation("Orphan")), []client.Object{workspace}, true},
		{"asked to delete", template(propagation("Background")), []client.Object{cut}, false},
		{"kubectl --cascade=orphan", template(func(w *tenantv1alpha2.WorkspaceTemplate) { w.Finalizers = []string{"orphan"} }), []client.Object{workspace}, true},
		{"the same a little later", template(func(*tenantv1alpha2.WorkspaceTemplate) {}), []client.Object{cut}, true},
		{"the system's", template(func(w *tenantv1alpha2.WorkspaceTemplate) { w.Name = tenantv1alpha2.SystemWorkspace }), nil, true},
	} {
		got, err := (&Workspaces{Client: cluster(t, test.objects...)}).orphaned(t.Context(), test.template)
		if err != nil || got != test.want {
			t.Errorf("%s: %v, %v, want %v", test.name, got, err, test.want)
		}
	}
	if err := (&Workspaces{Client: cluster(t)}).Delete(t.Context(), tenantv1alpha2.SystemWorkspace, false); err == nil || status.Of(err).Code != 403 {
		t.Errorf("the system's workspace: %v", err)
	}
}

// TestDeletionPropagation: what becomes of the namespaces of a workspace is
// decided with its deletion, by neither creation nor update.
func TestDeletionPropagation(t *testing.T) {
	const key = tenantv1alpha2.AnnotationDeletionPropagation
	decided := func(value string) map[string]string { return map[string]string{key: value, "a": "b"} }
	manager := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}}
	c := cluster(t, manager)
	created, err := (&Workspaces{Client: c}).Create(t.Context(), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w", Annotations: decided("Orphan")}}, "jane")
	if err != nil {
		t.Fatal(err)
	}
	if value, has := created.Annotations[key]; has || created.Annotations["a"] != "b" {
		t.Errorf("created with %q: %v", value, created.Annotations)
	}
	deleting := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{
		Name: "w", UID: "1", Annotations: decided("Orphan"), Finalizers: []string{tenantv1alpha2.FinalizerWorkspaceTemplate}, DeletionTimestamp: new(metav1.Now()),
	}}
	stale := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w", UID: "1", Annotations: decided("Orphan")}}
	for _, test := range []struct {
		name          string
		stored        *tenantv1alpha2.WorkspaceTemplate
		annotations   map[string]string
		want          string
		wantsDecision bool
	}{
		{"set by an update", &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w", UID: "1"}}, decided("Orphan"), "", false},
		{"left by a deletion that was interrupted", stale, decided("Orphan"), "", false},
		{"kept during the deletion", deleting, decided("Orphan"), "Orphan", true},
		{"changed during the deletion", deleting, decided("Background"), "Orphan", true},
		{"removed during the deletion", deleting, nil, "Orphan", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cluster(t, manager, test.stored.DeepCopy())
			updated, err := (&Workspaces{Client: c}).Update(t.Context(), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w", Annotations: test.annotations}}, func(*tenantv1alpha2.WorkspaceTemplate) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if value, has := updated.Annotations[key]; has != test.wantsDecision || value != test.want {
				t.Errorf("updated with %v", updated.Annotations)
			}
		})
	}
}

// TestDeletedRolesThatStay: the roles of a deleted workspace that had finalizers were in
// force in a new one of its name.
func TestDeletedRolesThatStay(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "x", Finalizers: []string{"x.io/keep"}, Labels: map[string]string{iamv1alpha2.LabelWorkspace: "w"}}
	role := &iamv1alpha2.WorkspaceRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}}}}
	binding := &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "jane"}}}
	other := binding.DeepCopy()
	other.Name, other.Labels = "other", map[string]string{iamv1alpha2.LabelWorkspace: "other"}
	c := cluster(t, role, binding, other, &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w"}})
	if err := (&Workspaces{Client: c}).Delete(t.Context(), "w", true); err != nil {
		t.Fatal(err)
	}
	for _, object := range []client.Object{role, binding, other} {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
	}
	if len(role.Rules) > 0 || len(binding.Subjects) > 0 || len(other.Subjects) == 0 {
		t.Errorf("the role gives %v, to %v; in another workspace to %v", role.Rules, binding.Subjects, other.Subjects)
	}
}
