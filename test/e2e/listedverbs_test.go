//go:build e2e

package e2e

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestRolesListVerbs: the roles of a new project list their verbs, so that a service
// account with one has no powers at kube-apiserver, and their holders manage roles and
// members below /kapis as before.
func TestRolesListVerbs(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "lv")
	c := kubernetes(t, "")
	roles := &rbacv1.RoleList{}
	if err := c.List(t.Context(), roles, client.InNamespace(x.project)); err != nil {
		t.Fatal(err)
	}
	if len(roles.Items) < 3 {
		t.Fatalf("the project has %d roles", len(roles.Items))
	}
	for _, role := range roles.Items {
		for _, rule := range role.Rules {
			if slices.Contains(rule.Verbs, "*") {
				t.Errorf("%s has the rule %s", role.Name, rule.String())
			}
		}
	}
	// One that was written before, and changed.
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: x.project, Name: "former"}, Rules: everything()})
	const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/"
	everyRole := func(name string) string {
		return `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"` + name + `"},"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`
	}
	binding := func(subject string) string {
		return `[{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"former"},"subjects":[` + subject + `]}]`
	}
	answers(t, "GET", iamPath+"/namespaces/"+x.project+"/roles/former", x.admin.token, 200)
	attempts(t, []attempt{
		{"a role of a template", x.admin.token, "POST", iamPath + "/namespaces/" + x.project + "/roles", `{"metadata":{"name":"secrets","annotations":{"iam.kubesphere.io/aggregation-roles":"[\"role-template-manage-secrets\"]"}}}`, nil, 200},
		{"a role of all verbs", x.admin.token, "POST", iamPath + "/namespaces/" + x.project + "/roles", everyRole("all"), nil, 200},
		{"a member with a role of listed verbs", x.admin.token, "PUT", iamPath + "/namespaces/" + x.project + "/members/lv-viewer", `{"username":"lv-viewer","roleRef":"admin"}`, nil, 200},
		{"a member with a former role", x.admin.token, "PUT", iamPath + "/namespaces/" + x.project + "/members/lv-viewer", `{"username":"lv-viewer","roleRef":"former"}`, nil, 200},
		{"it is taken again", x.admin.token, "PUT", iamPath + "/namespaces/" + x.project + "/members/lv-viewer", `{"username":"lv-viewer","roleRef":"viewer"}`, nil, 200},
		{"a former role for a group", x.admin.token, "POST", iamPath + "/namespaces/" + x.project + "/rolebindings", binding(`{"kind":"Group","name":"lv-group"}`), nil, 200},
		{"a former role for a service account", x.admin.token, "POST", iamPath + "/namespaces/" + x.project + "/rolebindings", binding(`{"kind":"ServiceAccount","name":"default","namespace":"` + x.project + `"}`), nil, 403},
		{"a former role for a service account by its user name", x.admin.token, "POST", iamPath + "/namespaces/" + x.project + "/rolebindings", binding(`{"kind":"User","name":"` + x.admin.name + `"},{"kind":"User","name":"system:serviceaccount:` + x.project + `:default"}`), nil, 403},
		{"a former role for the service accounts of the project", x.admin.token, "POST", iamPath + "/namespaces/" + x.project + "/rolebindings", binding(`{"kind":"Group","name":"system:serviceaccounts:` + x.project + `"}`), nil, 403},
		{"an operator gives no former role", x.operator.token, "POST", iamPath + "/namespaces/" + x.project + "/rolebindings", binding(`{"kind":"Group","name":"lv-others"}`), nil, 403},
		{"at Kubernetes' API verbs are literal", x.admin.token, "POST", rbac + x.project + "/roles", everyRole("literal"), nil, 403},
		{"a former role is relabelled", x.admin.token, "PATCH", rbac + x.project + "/roles/former", `{"metadata":{"labels":{"a":"b"}}}`, media(merge), 403},
		{"a former role is deleted", x.admin.token, "DELETE", rbac + x.project + "/roles/former", "", nil, 200},
		{"all bindings of a group are deleted", x.admin.token, "DELETE", rbac + x.project + "/rolebindings?labelSelector=iam.kubesphere.io%2Fgroup-ref%3Dlv-group", "", nil, 200},
	})
	stored := &rbacv1.Role{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: x.project, Name: "all"}, stored); err != nil {
		t.Fatal(err)
	}
	if len(stored.Rules) != 1 || len(stored.Rules[0].Verbs) != 8 {
		t.Errorf("stored are %v", stored.Rules)
	}

	// The role admin for a service account that goes to kube-apiserver.
	builder := newDirect(t, serviceAccountToken(t, x.project, "builder"))
	bindInNamespace(t, x.project, "builder", "admin")
	answersDirectly(t, builder, "GET", "/api/v1/namespaces/"+x.project+"/secrets", 200)
	directAttempts(t, []directAttempt{
		{"no role of all verbs", builder, "POST", rbac + x.project + "/roles", "", everyRole("straight"), "", 403},
		{"no role of more than it holds", builder, "POST", rbac + x.project + "/rolebindings", "", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"straight"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}}`, "", 403},
		{"a role of what it holds", builder, "POST", rbac + x.project + "/roles", "", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"straight"},"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get","list"]}]}`, "", 201},
		{"no finalizing", builder, "PUT", "/api/v1/namespaces/" + x.project + "/finalize", "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"` + x.project + `"},"spec":{"finalizers":[]}}`, "write finalize of a namespace", 0},
	})
}
