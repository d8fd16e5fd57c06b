//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
)

// TestQuotaBodiesReadOnce: a quota below a workspace limits that workspace, however its
// body is written.
func TestQuotaBodiesReadOnce(t *testing.T) {
	t.Parallel()
	owner := newPerson(t, "once-owner", "platform-regular")
	newSpace(t, "once-space", owner)
	path := "/kapis/quota.kubesphere.io/v1alpha2/workspaces/once-space/resourcequotas"
	const (
		kind   = `"apiVersion":"quota.kubesphere.io/v1alpha2","kind":"ResourceQuota"`
		label  = `"kubesphere.io/workspace"`
		system = label + `:"system-workspace"`
		spec   = `"quota":{"hard":{"pods":"0"}}`
	)
	kube := kubernetes(t, "")
	for n, test := range []struct {
		name, body string // %s is the name
		code       int
	}{
		{"metadata twice", `{` + kind + `,"metadata":{"name":"%[1]s"},"metadata":{"name":"%[1]s","labels":{` + system + `}},"spec":{"selector":{` + system + `},` + spec + `}}`, 400},
		{"labels twice", `{` + kind + `,"metadata":{"name":"%[1]s","labels":{},"labels":{` + system + `}},"spec":{"selector":{` + system + `},` + spec + `}}`, 400},
		{"metadata in another escape", `{` + kind + `,"metadata":{"name":"%[1]s"},"met\u0061data":{"name":"%[1]s","labels":{` + system + `}},"spec":{"selector":{` + system + `},` + spec + `}}`, 400},
		{"the selector of another workspace", `{` + kind + `,"metadata":{"name":"%[1]s"},"spec":{"selector":{` + system + `},` + spec + `}}`, 422},
		{"its own workspace", `{` + kind + `,"metadata":{"name":"%[1]s"},"spec":{"selector":{` + label + `:"once-space"},` + spec + `}}`, 201},
	} {
		name := fmt.Sprintf("once-quota-%d", n)
		t.Cleanup(func() { remove(t, kube, &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}}) })
		if r := shared.send(t, "POST", path, owner.token, fmt.Sprintf(test.body, name)); r.code != test.code {
			t.Errorf("%s: %d %.300s, want %d", test.name, r.code, r.body, test.code)
		}
	}
	one := path + "/once-quota-4"
	for _, test := range []struct {
		name, media, body string
		code              int
	}{
		{"another workspace by a merge patch", "application/merge-patch+json", `{"metadata":{"labels":{` + system + `}},"spec":{"selector":{` + system + `}}}`, 403},
		{"labels twice in a merge patch", "application/merge-patch+json", `{"metadata":{"labels":{},"labels":{` + system + `}}}`, 400},
		{"a value twice in a JSON patch", "application/json-patch+json", `[{"op":"add","path":"/metadata/annotations","value":{},"value":{"a":"b"}}]`, 400},
		{"a failing test", "application/json-patch+json", `[{"op":"test","path":"/metadata/name","value":"x"}]`, 422},
		{"an annotation by a JSON patch", "application/json-patch+json", `[{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}]`, 200},
		{"an annotation by a merge patch", "application/merge-patch+json", `{"metadata":{"annotations":{"a":"c"}}}`, 200},
	} {
		r := shared.do(t, "PATCH", one, strings.NewReader(test.body), bearer(owner.token), header("Content-Type", test.media))
		if r.code != test.code {
			t.Errorf("%s: %d %.300s, want %d", test.name, r.code, r.body, test.code)
		}
	}
	stored := &quotav1alpha2.ResourceQuotaList{}
	if err := kube.List(t.Context(), stored, client.MatchingLabels{"kubesphere.io/workspace": "system-workspace"}); err != nil || len(stored.Items) > 0 {
		t.Errorf("quotas of the platform: %+v, %v", stored.Items, err)
	}
}

// TestRulesReadOnce: rules are read as Kubernetes reads them.
func TestRulesReadOnce(t *testing.T) {
	t.Parallel()
	owner := newPerson(t, "rules-owner", "platform-regular")
	newSpace(t, "rules-space", owner)
	owner.must(t, 200, "POST", tenantPath+"/workspaces/rules-space/namespaces", newNamespace("rules-project"))
	kube := kubernetes(t, "")
	create(t, kube, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: "rules-project", Name: "rules-few"},
		Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"one"}},
			{Verbs: []string{"*"}, APIGroups: []string{"rbac.authorization.k8s.io", "iam.kubesphere.io"}, Resources: []string{"roles"}},
		},
	})
	token := user(t, "rules-few")
	inNamespace(t, "rules-few", "rules-project", "rules-few")
	path := iamPath + "/namespaces/rules-project/roles"
	answers(t, "GET", path, token, 200)
	const rule = `{"verbs":["get"],"apiGroups":[""],"resources":["secrets"],%s}`
	role := func(name, more string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q},"rules":[`+rule+`]}`, name, more)
	}
	for _, test := range []struct {
		name, body string
		code       int
	}{
		{"the rule that is held", role("rules-a", `"resourceNames":["one"]`), 200},
		{"names that Kubernetes ignores", role("rules-b", `"ResourceNames":["one"]`), 403},
		{"names twice", role("rules-c", `"resourceNames":["one"],"resourceNames":[]`), 400},
	} {
		if r := shared.send(t, "POST", path, token, test.body); r.code != test.code {
			t.Errorf("%s: %d %.300s, want %d", test.name, r.code, r.body, test.code)
		}
	}
}
