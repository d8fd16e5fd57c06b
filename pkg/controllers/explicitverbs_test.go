package controllers

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

func newRoleBase(t *testing.T, name string, labels map[string]string, rules []rbacv1.PolicyRule) *iamv1alpha2.RoleBase {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"kind": "Role", "metadata": metav1.ObjectMeta{Name: name, Labels: labels}, "rules": rules})
	if err != nil {
		t.Fatal(err)
	}
	return &iamv1alpha2.RoleBase{ObjectMeta: metav1.ObjectMeta{Name: name}, Role: runtime.RawExtension{Raw: raw}}
}

// TestExplicitVerbs: roles as KubeSphere 3.x wrote them get their verbs listed, once;
// changed ones stay, and are told of.
func TestExplicitVerbs(t *testing.T) {
	all := []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
	secrets := []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{""}, Resources: []string{"secrets"}}}
	role := func(name string, rules []rbacv1.PolicyRule, annotations map[string]string) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "p", Name: name, Annotations: annotations}, Rules: rules}
	}
	shipped := map[string]string{iamv1alpha2.AnnotationCreator: "system", iamv1alpha2.AnnotationAggregationRoles: `["role-template-manage-secrets"]`}
	made := map[string]string{iamv1alpha2.AnnotationCreator: "jane", iamv1alpha2.AnnotationAggregationRoles: `["role-template-manage-secrets"]`}
	lost := map[string]string{iamv1alpha2.AnnotationAggregationRoles: `["role-template-lost"]`}
	elsewhere := role("admin", all, shipped)
	elsewhere.Namespace = "left-its-workspace"
	c := cluster(t,
		newRoleBase(t, "project-admin", nil, all), newRoleBase(t, "project-operator", nil, allows("*")),
		newRoleBase(t, "role-template-manage-secrets", map[string]string{iamv1alpha2.LabelRoleTemplate: "true"}, secrets),
		role("admin", all, shipped), elsewhere, role("operator", all, shipped), role("viewer", allows("get"), shipped),
		role("made", secrets, made), role("wider", append(slices.Clone(secrets), allows("*")...), made), role("lost", allows("*"), lost),
		role("of-a-chart", all, nil), role("not-a-list", all, map[string]string{iamv1alpha2.AnnotationAggregationRoles: "a"}),
	)
	pass := &explicitVerbs{client: c, live: c, limiter: flowcontrol.NewFakeAlwaysRateLimiter()}
	verbs := func(namespace, name string) string {
		found := &rbacv1.Role{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found); err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, rule := range found.Rules {
			texts = append(texts, strings.Join(rule.Verbs, ","))
		}
		return strings.Join(texts, " ")
	}
	if err := pass.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	const eight = "get,list,watch,create,update,patch,delete,deletecollection"
	for name, want := range map[string]string{
		"admin": eight, "made": eight, "viewer": "get", "operator": "*", "wider": "* *", "lost": "*", "of-a-chart": "*", "not-a-list": "*",
	} {
		if got := verbs("p", name); got != want {
			t.Errorf("%s has %s, want %s", name, got, want)
		}
	}
	if got := verbs("left-its-workspace", "admin"); got != eight {
		t.Errorf("a role out of workspaces has %s", got)
	}
	record := &corev1.ConfigMap{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: kube.Namespace, Name: explicitVerbsName}, record); err != nil {
		t.Fatal(err)
	}
	left := strings.Split(record.Data[leftKey], "\n")
	slices.Sort(left)
	if want := []string{"p/lost", "p/operator", "p/wider"}; record.Data[rewrittenKey] != "3" || !slices.Equal(left, want) {
		t.Errorf("the record is %v", record.Data)
	}
	// Somebody wants it so.
	again := &rbacv1.Role{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "p", Name: "made"}, again); err != nil {
		t.Fatal(err)
	}
	again.Rules = secrets
	if err := c.Update(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if err := pass.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := verbs("p", "made"); got != "*" {
		t.Errorf("the pass is made twice: %s", got)
	}
}

// TestTemplatesListVerbs: a role of a namespace follows its templates with the verbs
// listed, whether it has them listed or is one of before.
func TestTemplatesListVerbs(t *testing.T) {
	labels := map[string]string{iamv1alpha2.LabelRoleTemplate: "true"}
	secrets := func(verbs ...string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{Verbs: verbs, APIGroups: []string{""}, Resources: []string{"secrets"}}}
	}
	eight := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	annotations := map[string]string{iamv1alpha2.AnnotationAggregationRoles: `["role-template-manage-secrets"]`}
	base := newRoleBase(t, "role-template-manage-secrets", labels, secrets("*"))
	c := cluster(t, base,
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "p", Name: "before", Annotations: annotations}, Rules: secrets("*")},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "p", Name: "listed", Annotations: annotations}, Rules: secrets(eight...)},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "p", Name: "forged", Annotations: annotations}, Rules: secrets("get")},
	)
	reconciler := &templates{client: c, live: c}
	check := func(want map[string][]string) {
		t.Helper()
		for range 2 {
			if _, err := reconciler.Reconcile(t.Context(), reconcile.Request{}); err != nil {
				t.Fatal(err)
			}
		}
		for name, verbs := range want {
			role := &rbacv1.Role{}
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "p", Name: name}, role); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(role.Rules[0].Verbs, verbs) {
				t.Errorf("%s has %v, want %v", name, role.Rules[0].Verbs, verbs)
			}
		}
	}
	check(map[string][]string{"before": {"*"}, "listed": eight, "forged": {"get"}})
	// The template of this version lists them, too.
	base.Role = newRoleBase(t, base.Name, labels, secrets(eight...)).Role
	if err := c.Update(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	check(map[string][]string{"before": eight, "listed": eight, "forged": {"get"}})
	base.Role = newRoleBase(t, base.Name, labels, secrets("list")).Role
	if err := c.Update(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	check(map[string][]string{"before": {"list"}, "listed": {"list"}, "forged": {"get"}})
}
