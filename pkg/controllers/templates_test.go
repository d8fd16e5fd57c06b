package controllers

import (
	"fmt"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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

// TestTemplatesToCome: a template that did not exist when a role named it counts in roles that
// only this server writes. In roles of Kubernetes, which are written without its checks as well,
// it counts when they are written again.
func TestTemplatesToCome(t *testing.T) {
	names := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Annotations: map[string]string{iamv1alpha2.AnnotationAggregationRoles: `["there","to-come"]`}}
	}
	template := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Labels: map[string]string{iamv1alpha2.LabelRoleTemplate: "true"}}
	}
	base := func(name, verb string) *iamv1alpha2.RoleBase {
		role := fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":%q,"labels":{"iam.kubesphere.io/role-template":"true"}},"rules":[{"verbs":[%q],"apiGroups":["*"],"resources":["pods"]}]}`, name, verb)
		return &iamv1alpha2.RoleBase{ObjectMeta: metav1.ObjectMeta{Name: name}, Role: runtime.RawExtension{Raw: []byte(role)}}
	}
	in := func(meta metav1.ObjectMeta) metav1.ObjectMeta { meta.Namespace = "p1"; return meta }
	c := cluster(t,
		&iamv1alpha2.GlobalRole{ObjectMeta: template("there"), Rules: allows("get")}, &rbacv1.ClusterRole{ObjectMeta: template("there"), Rules: allows("get")}, base("there", "get"),
		&iamv1alpha2.GlobalRole{ObjectMeta: names("role"), Rules: allows("get")}, &rbacv1.ClusterRole{ObjectMeta: names("role"), Rules: allows("get")}, &rbacv1.Role{ObjectMeta: in(names("role")), Rules: allows("get")})
	reconciler := &templates{client: c, live: c}
	step := func(global, cluster, project int) {
		t.Helper()
		if _, err := reconciler.Reconcile(t.Context(), reconcile.Request{}); err != nil {
			t.Fatal(err)
		}
		one, two, three := &iamv1alpha2.GlobalRole{}, &rbacv1.ClusterRole{}, &rbacv1.Role{}
		for _, role := range []client.Object{one, two, three} {
			key := client.ObjectKey{Name: "role"}
			if role == three {
				key.Namespace = "p1"
			}
			if err := c.Get(t.Context(), key, role); err != nil {
				t.Fatal(err)
			}
		}
		if len(one.Rules) != global || len(two.Rules) != cluster || len(three.Rules) != project {
			t.Errorf("rules: global %v, cluster %v, project %v", one.Rules, two.Rules, three.Rules)
		}
	}
	create := func(objects ...client.Object) {
		t.Helper()
		for _, object := range objects {
			if err := c.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
	}
	step(1, 1, 1)
	create(&iamv1alpha2.GlobalRole{ObjectMeta: template("to-come"), Rules: allows("list")}, &rbacv1.ClusterRole{ObjectMeta: template("to-come"), Rules: allows("list")}, base("to-come", "list"))
	step(2, 1, 1)
	// Written again here, with the rules of both, they follow both.
	two, three := &rbacv1.ClusterRole{}, &rbacv1.Role{}
	for key, role := range map[client.ObjectKey]client.Object{{Name: "role"}: two, {Namespace: "p1", Name: "role"}: three} {
		if err := c.Get(t.Context(), key, role); err != nil {
			t.Fatal(err)
		}
		two.Rules, three.Rules = append(allows("get"), allows("list")...), append(allows("get"), allows("list")...)
		if err := c.Update(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
	cluster, of := &rbacv1.ClusterRole{}, &iamv1alpha2.RoleBase{}
	for _, role := range []client.Object{cluster, of} {
		if err := c.Get(t.Context(), client.ObjectKey{Name: "there"}, role); err != nil {
			t.Fatal(err)
		}
	}
	cluster.Rules, of.Role = append(allows("get"), allows("watch")...), base("there", "list").Role
	for _, role := range []client.Object{cluster, of} {
		if err := c.Update(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
	step(2, 3, 1) // both templates of the project say the same now, and are one rule
}
