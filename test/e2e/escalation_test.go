//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestEscalation: nobody gives what they do not have, neither through our API
// nor through Kubernetes' (ks-installer#1592, CVE-2022-31247).
func TestEscalation(t *testing.T) {
	t.Parallel()
	workspace(t, "esc-a")
	workspace(t, "esc-b")
	c := kubernetes(t, "")
	roles := []rbacv1.PolicyRule{
		{APIGroups: []string{"*"}, Resources: []string{"roles", "rolebindings", "workspaceroles", "workspacerolebindings"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"*"}},
	}
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "manager", Namespace: "esc-a-project"}, Rules: roles})
	create(t, c, &iamv1alpha2.WorkspaceRole{ObjectMeta: metav1.ObjectMeta{Name: "esc-a-manager", Labels: map[string]string{"kubesphere.io/workspace": "esc-a"}}, Rules: roles})
	token, owner := user(t, "esc-manager"), user(t, "esc-owner")
	inNamespace(t, "esc-manager", "esc-a-project", "manager")
	inWorkspace(t, "esc-manager", "esc-a", "manager")
	inWorkspace(t, "esc-owner", "esc-a", "admin")
	const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/esc-a-project"
	answers(t, "GET", rbac+"/roles", token, 200)
	answers(t, "GET", rbac+"/roles", owner, 200)
	role := func(name, verb, resource string) string {
		return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":%q},"rules":[{"apiGroups":[""],"resources":[%q],"verbs":[%q]}]}`, name, resource, verb)
	}
	ours := func(name, verb, resource string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q},"rules":[{"apiGroups":[""],"resources":[%q],"verbs":[%q]}]}`, name, resource, verb)
	}
	binding := func(name, kind, role string) string {
		return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":%q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":%q,"name":%q},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"esc-manager"}]}`, name, kind, role)
	}
	const project, space = iamAPI + "/namespaces/esc-a-project", iamAPI + "/workspaces/esc-a"
	for _, test := range []struct {
		name, who, method, path, body, media string
		code                                 int
	}{
		{"a role of own rights", token, "POST", rbac + "/roles", role("own", "get", "pods"), "", 201},
		{"a role of more", token, "POST", rbac + "/roles", role("more", "get", "secrets"), "", 403},
		{"a wider role by update", token, "PUT", rbac + "/roles/own", role("own", "delete", "pods"), "", 403},
		{"a role by update", token, "PUT", rbac + "/roles/own", role("own", "get", "pods"), "", 200},
		{"a wider role by merge patch", token, "PATCH", rbac + "/roles/own", `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`, "application/merge-patch+json", 403},
		{"a wider role by JSON patch", token, "PATCH", rbac + "/roles/own", `[{"op":"add","path":"/rules/0/verbs/-","value":"delete"}]`, "application/json-patch+json", 403},
		{"a label by JSON patch", token, "PATCH", rbac + "/roles/own", `[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`, "application/json-patch+json", 200},
		{"a wider role by apply", token, "PATCH", rbac + "/roles/applied?fieldManager=x", role("applied", "get", "secrets"), "application/apply-patch+yaml", 403},
		{"a role by apply", token, "PATCH", rbac + "/roles/applied?fieldManager=x", role("applied", "get", "pods"), "application/apply-patch+yaml", 201},
		{"templates by Kubernetes", token, "PATCH", rbac + "/roles/own", `{"metadata":{"annotations":{"iam.kubesphere.io/aggregation-roles":"[\"admin\"]"}}}`, "application/merge-patch+json", 403},
		{"templates that are to come", token, "PATCH", rbac + "/roles/own", `{"metadata":{"annotations":{"iam.kubesphere.io/aggregation-roles":"[\"role-template-manage-secrets\"]"}}}`, "application/merge-patch+json", 403},
		{"binding an own role", token, "POST", rbac + "/rolebindings", binding("own", "Role", "own"), "", 201},
		{"binding a wider role", token, "POST", rbac + "/rolebindings", binding("more", "Role", "admin"), "", 403},
		{"binding cluster-admin", token, "POST", rbac + "/rolebindings", binding("all", "ClusterRole", "cluster-admin"), "", 403},
		{"binding nothing", token, "POST", rbac + "/rolebindings", binding("none", "Role", "none"), "", 404},
		{"the owner binds what is to come", owner, "POST", rbac + "/rolebindings", binding("none", "Role", "none"), "", 404},
		{"a role of more, below /kapis", token, "POST", "/kapis/rbac.authorization.k8s.io/v1/namespaces/esc-a-project/roles", role("more", "get", "secrets"), "", 403},
		{"a role of own rights, below /kapis", token, "POST", "/kapis/rbac.authorization.k8s.io/v1/namespaces/esc-a-project/roles", role("kapis", "get", "pods"), "", 201},
		{"a wider role by strategic merge patch", token, "PATCH", rbac + "/roles/own", `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`, "application/strategic-merge-patch+json", 403},
		{"a wider role in YAML", token, "PUT", rbac + "/roles/own", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: own}\nrules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]\n", "application/yaml", 403},
		{"a body without end", token, "POST", rbac + "/roles", role(strings.Repeat("x", 4<<20), "get", "pods"), "", 413},
		{"what is no object", token, "POST", rbac + "/roles", `[]`, "", 400},
		{"a cluster role", token, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", `{"metadata":{"name":"esc"}}`, "", 403},
		{"moving the project", token, "PATCH", "/api/v1/namespaces/esc-a-project", `{"metadata":{"labels":{"kubesphere.io/workspace":"esc-b"}}}`, "application/merge-patch+json", 403},
		{"what its pods may do", token, "PATCH", "/api/v1/namespaces/esc-a-project", `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`, "application/merge-patch+json", 403},
		{"another label", token, "PATCH", "/api/v1/namespaces/esc-a-project", `{"metadata":{"labels":{"a":"b"}}}`, "application/merge-patch+json", 200},

		{"our role of own rights", token, "POST", project + "/roles", ours("mine", "get", "pods"), "", 200},
		{"our role of more", token, "POST", project + "/roles", ours("mine-more", "get", "secrets"), "", 403},
		{"our role of templates", token, "POST", project + "/roles", `{"metadata":{"name":"mine-made","annotations":{"iam.kubesphere.io/aggregation-roles":"[\"role-template-manage-secrets\"]"}}}`, "", 403},
		{"our role called a built-in one", token, "POST", project + "/roles", `{"metadata":{"name":"mine-built","annotations":{"kubesphere.io/creator":"system"}},"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`, "", 403},
		{"our wider role", token, "PUT", project + "/roles/mine", ours("mine", "*", "pods"), "", 403},
		{"our role patched", token, "PATCH", project + "/roles/mine", `{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}`, "application/merge-patch+json", 403},
		{"our binding", token, "POST", project + "/rolebindings", binding("mine", "Role", "mine"), "", 200},
		{"our binding of a wider role", token, "POST", project + "/rolebindings", "[" + binding("mine-admin", "Role", "admin") + "]", "", 403},
		{"a workspace role of own rights", token, "POST", space + "/workspaceroles", ours("esc-a-mine", "get", "pods"), "", 200},
		{"a workspace role of more", token, "POST", space + "/workspaceroles", ours("esc-a-more", "get", "secrets"), "", 403},
		{"a workspace role of templates", token, "POST", space + "/workspaceroles", `{"metadata":{"name":"esc-a-made","annotations":{"iam.kubesphere.io/aggregation-roles":"[\"role-template-manage-projects\"]"}}}`, "", 403},
		{"a role of another workspace", token, "GET", space + "/workspaceroles/esc-b-admin", "", "", 404},
		{"deleting a role of another workspace", token, "DELETE", space + "/workspaceroles/esc-b-admin", "", "", 404},
		{"binding in the workspace", token, "POST", space + "/workspacerolebindings", `[{"roleRef":{"kind":"WorkspaceRole","name":"esc-a-admin"},"subjects":[{"kind":"User","name":"esc-manager"}]}]`, "", 403},
		{"binding a role of another workspace", owner, "POST", space + "/workspacerolebindings", `[{"roleRef":{"kind":"WorkspaceRole","name":"esc-b-admin"},"subjects":[{"kind":"User","name":"esc-owner"}]}]`, "", 404},
		{"the owner makes a role of templates", owner, "POST", space + "/workspaceroles", `{"metadata":{"name":"esc-a-made","annotations":{"iam.kubesphere.io/aggregation-roles":"[\"role-template-view-projects\"]"}}}`, "", 200},
		{"the owner makes one of none", owner, "POST", space + "/workspaceroles", `{"metadata":{"name":"esc-a-odd","annotations":{"iam.kubesphere.io/aggregation-roles":"[\"no-such-template\"]"}}}`, "", 200},
		{"one of none by who may not give anything", token, "POST", space + "/workspaceroles", `{"metadata":{"name":"esc-a-odder","annotations":{"iam.kubesphere.io/aggregation-roles":"[\"no-such-template\"]"}}}`, "", 403},
		{"the owner asks Kubernetes for it", owner, "POST", "/apis/iam.kubesphere.io/v1alpha2/workspacerolebindings", `{}`, "", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			media := test.media
			if media == "" {
				media = "application/json"
			}
			r := shared.do(t, test.method, test.path, strings.NewReader(test.body), bearer(test.who), header("Content-Type", media))
			if err := expect(r, test.code); err != nil {
				t.Error(err)
			}
		})
	}
}
