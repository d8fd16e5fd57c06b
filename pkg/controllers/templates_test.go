package controllers

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

func allows(verbs ...string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: verbs, APIGroups: []string{"*"}, Resources: []string{"pods"}}}
}

// TestTemplates: a role follows its templates, and nobody gets rules by naming
// templates in a role of other rules.
func TestTemplates(t *testing.T) {
	template := &iamv1alpha2.GlobalRole{
		ObjectMeta: metav1.ObjectMeta{Name: "role-template-view", Labels: map[string]string{iamv1alpha2.LabelRoleTemplate: "true"}}, Rules: allows("get"),
	}
	made := func(name string, rules []rbacv1.PolicyRule, annotations map[string]string) *iamv1alpha2.GlobalRole {
		all := map[string]string{iamv1alpha2.AnnotationAggregationRoles: `["role-template-view"]`}
		for key, value := range annotations {
			all[key] = value
		}
		return &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: all}, Rules: rules}
	}
	c := cluster(t, template,
		made("made", allows("get"), nil), made("forged", nil, nil), made("older", allows("watch"), nil),
		made("built-in", allows("get"), map[string]string{iamv1alpha2.AnnotationCreator: "system"}))
	reconciler := &templates{client: c, live: c}
	step := func(want map[string]string) {
		t.Helper()
		for range 2 { // it changes nothing the second time
			if _, err := reconciler.Reconcile(t.Context(), reconcile.Request{}); err != nil {
				t.Fatal(err)
			}
		}
		for name, verb := range want {
			role := &iamv1alpha2.GlobalRole{}
			if err := c.Get(t.Context(), client.ObjectKey{Name: name}, role); err != nil {
				t.Fatal(err)
			}
			if verb == "" && len(role.Rules) > 0 || verb != "" && (len(role.Rules) != 1 || !slices.Equal(role.Rules[0].Verbs, []string{verb})) {
				t.Errorf("%s has %v, want %q", name, role.Rules, verb)
			}
		}
	}
	unchanged := map[string]string{"forged": "", "older": "watch", "built-in": "get"}
	unchanged["made"] = "get"
	step(unchanged)
	template.Rules = allows("list")
	if err := c.Update(t.Context(), template); err != nil {
		t.Fatal(err)
	}
	unchanged["made"] = "list"
	step(unchanged)
	if err := c.Delete(t.Context(), template); err != nil {
		t.Fatal(err)
	}
	unchanged["made"] = ""
	step(unchanged)
}
