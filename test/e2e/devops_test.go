//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const devOpsProjectDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: devopsprojects.devops.kubesphere.io}
spec:
  group: devops.kubesphere.io
  names: {kind: DevOpsProject, listKind: DevOpsProjectList, plural: devopsprojects, singular: devopsproject}
  scope: Cluster
  versions:
  - {name: v1alpha3, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// TestDevOpsProjects: the members and roles of a DevOps project are those of
// its namespace, for whom they would be there and nobody else.
func TestDevOpsProjects(t *testing.T) {
	t.Parallel()
	workspace(t, "dev-a")
	workspace(t, "dev-b")
	c := kubernetes(t, "")
	for name, project := range map[string]string{"dev-ns-one": "dev-one", "dev-ns-two": "dev-two", "dev-ns-x": "dev-twice", "dev-ns-y": "dev-twice"} {
		create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubesphere.io/workspace": "dev-a", "kubesphere.io/devopsproject": project}}})
	}
	keeper := []rbacv1.PolicyRule{
		{APIGroups: []string{"*"}, Resources: []string{"members", "members/roles", "roles", "devopsprojects"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
	}
	for _, namespace := range []string{"dev-ns-one", "dev-ns-two"} {
		create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "keeper", Namespace: namespace}, Rules: keeper})
		create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "everything", Namespace: namespace}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}})
	}
	owner, one, two, other, guest := user(t, "dev-owner"), user(t, "dev-keeper-one"), user(t, "dev-keeper-two"), user(t, "dev-other"), user(t, "dev-guest")
	inWorkspace(t, "dev-owner", "dev-a", "admin")
	inWorkspace(t, "dev-other", "dev-b", "admin")
	inNamespace(t, "dev-keeper-one", "dev-ns-one", "keeper")
	inNamespace(t, "dev-keeper-two", "dev-ns-two", "keeper")
	admin := shared.login(t).AccessToken
	const project, second = iamAPI + "/devops/dev-one", iamAPI + "/devops/dev-two"
	answers(t, "GET", project+"/members", owner, 200)
	answers(t, "GET", project+"/members", one, 200)
	answers(t, "GET", second+"/members", two, 200)
	role := func(name, resource string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q},"rules":[{"apiGroups":[""],"resources":[%q],"verbs":["get"]}]}`, name, resource)
	}
	const guestAs = `[{"username":"dev-guest","roleRef":%q}]`
	for _, test := range []struct {
		name, who, method, path, body string
		code                          int
	}{
		{"members, as one of another project", two, "GET", project + "/members", "", 403},
		{"members, as an administrator of another workspace", other, "GET", project + "/members", "", 403},
		{"adding oneself to another project", two, "POST", project + "/members", `[{"username":"dev-keeper-two","roleRef":"keeper"}]`, 403},
		{"a role in another project", two, "POST", project + "/roles", role("mine", "pods"), 403},
		{"deleting a role of another project", two, "DELETE", project + "/roles/keeper", "", 403},
		{"a project that does not exist", one, "GET", iamAPI + "/devops/none/members", "", 403},
		{"a role of a project that does not exist", other, "POST", iamAPI + "/devops/none/roles", role("a", "pods"), 403},
		{"as an administrator", admin, "GET", iamAPI + "/devops/none/members", "", 404},
		{"adding to a project that does not exist", admin, "POST", iamAPI + "/devops/none/members", fmt.Sprintf(guestAs, "platform-admin"), 404},
		{"one's own membership in no project", guest, "GET", iamAPI + "/devops/none/members/dev-guest", "", 404},
		{"a project of two namespaces", owner, "GET", iamAPI + "/devops/dev-twice/members", "", 403},
		{"the name of a namespace", owner, "GET", iamAPI + "/devops/dev-ns-one/members", "", 403},
		{"taking a project over", owner, "PATCH", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/dev-a/namespaces/dev-a-project", `{"metadata":{"labels":{"kubesphere.io/devopsproject":"dev-one"}}}`, 403},

		{"a role of own rights", one, "POST", project + "/roles", role("pods", "pods"), 200},
		{"a role of more", one, "POST", project + "/roles", role("secrets", "secrets"), 403},
		{"the role", one, "GET", project + "/roles/pods", "", 200},
		{"the role in the namespace", owner, "GET", iamAPI + "/namespaces/dev-ns-one/roles/pods", "", 200},
		{"not in another project", two, "GET", second + "/roles/pods", "", 404},
		{"a wider role", one, "PUT", project + "/roles/pods", role("pods", "secrets"), 403},
		{"the role replaced", one, "PUT", project + "/roles/pods", role("pods", "pods"), 200},
		{"the role patched", one, "PATCH", project + "/roles/pods", `{"metadata":{"labels":{"a":"b"}}}`, 200},
		{"roles", one, "GET", project + "/roles", "", 200},
		{"giving more", one, "POST", project + "/members", fmt.Sprintf(guestAs, "everything"), 403},
		{"giving", one, "POST", project + "/members", fmt.Sprintf(guestAs, "pods"), 200},
		{"the member", one, "GET", project + "/members/dev-guest", "", 200},
		{"the member's roles", one, "GET", project + "/members/dev-guest/roles", "", 200},
		{"no member of another project", two, "GET", second + "/members/dev-guest", "", 404},
		{"another role", owner, "PUT", project + "/members/dev-guest", `{"roleRef":"keeper"}`, 200},
		{"out", one, "DELETE", project + "/members/dev-guest", "", 200},
		{"not there any more", one, "GET", project + "/members/dev-guest", "", 404},
		{"the role deleted", one, "DELETE", project + "/roles/pods", "", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := expect(shared.send(t, test.method, test.path, test.who, test.body), test.code); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("lists", func(t *testing.T) {
		const tenant = "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/dev-a"
		names := func(who, path string, want ...string) error {
			r := shared.send(t, http.MethodGet, path, who, "")
			var page struct {
				Items      []metav1.PartialObjectMetadata `json:"items"`
				TotalItems int                            `json:"totalItems"`
			}
			if err := json.Unmarshal(r.body, &page); err != nil || r.code != 200 || page.Items == nil || page.TotalItems != len(page.Items) {
				return fmt.Errorf("%s: %d %s", path, r.code, r.body)
			}
			got := []string{}
			for n := range page.Items {
				got = append(got, page.Items[n].Name)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Errorf("%s: %v, want %v", path, got, want)
			}
			return nil
		}
		if err := names(owner, tenant+"/devops"); err != nil {
			t.Errorf("without the type: %v", err)
		}
		if output, err := kubectl(t, admin, devOpsProjectDefinition, "apply", "-f", "-"); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		t.Cleanup(func() { _, _ = kubectl(t, admin, "", "delete", "crd", "devopsprojects.devops.kubesphere.io") })
		for name, workspace := range map[string]string{"dev-one": "dev-a", "dev-two": "dev-a", "dev-new": "dev-a", "dev-else": "dev-b"} {
			wait.For(t, "the definition to take an object", func() error {
				output, err := kubectl(t, admin, fmt.Sprintf("{apiVersion: devops.kubesphere.io/v1alpha3, kind: DevOpsProject, metadata: {name: %s, labels: {kubesphere.io/workspace: %s}}}", name, workspace), "apply", "-f", "-")
				if err != nil {
					return fmt.Errorf("%w: %s", err, output)
				}
				return nil
			})
		}
		inWorkspace(t, "dev-keeper-one", "dev-a", "regular")
		for _, test := range []struct {
			who, path string
			want      []string
		}{
			{owner, "/devops?sortBy=name&ascending=true", []string{"dev-new", "dev-one", "dev-two"}},
			{one, "/devops", []string{"dev-one"}},
			{owner, "/workspacemembers/dev-keeper-one/devops", []string{"dev-one"}},
			{owner, "/workspacemembers/dev-guest/devops", nil},
		} {
			wait.For(t, "the list of DevOps projects", func() error { return names(test.who, tenant+test.path, test.want...) })
		}
		if err := expect(shared.send(t, "GET", tenant+"/devops", other, ""), 403); err != nil {
			t.Error(err)
		}
	})
	t.Run("prices", func(t *testing.T) {
		r := shared.send(t, http.MethodGet, "/kapis/tenant.kubesphere.io/v1alpha2/metering/price", guest, "")
		var prices map[string]any
		if err := json.Unmarshal(r.body, &prices); err != nil || r.code != 200 || len(prices) != 7 || prices["retention_day"] != "7d" || prices["cpu_per_core_per_hour"] != 0.0 {
			t.Errorf("%d %s", r.code, r.body)
		}
	})
}

// TestLoginInJSON: the login of older clients is the password grant.
func TestLoginInJSON(t *testing.T) {
	t.Parallel()
	const path = iamAPI + "/login"
	media := header("Content-Type", "application/json")
	stale := header("Authorization", "Bearer of.a.session.that.is.over")
	body := func(name, password string) string {
		return fmt.Sprintf(`{"username":%q,"password":%q}`, name, password)
	}
	r := shared.do(t, http.MethodPost, path, strings.NewReader(body("admin", adminPassword)), media, stale)
	var got tokens
	if err := json.Unmarshal(r.body, &got); err != nil || r.code != 200 || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", r.code, r.body)
	}
	if err := expect(shared.get(t, iamAPI+"/users", bearer(got.AccessToken)), 200); err != nil {
		t.Error(err)
	}
	if r := shared.token(t, refreshForm(got.RefreshToken)); r.code != 200 {
		t.Errorf("refresh: %d %s", r.code, r.body)
	}
	for _, test := range []struct {
		name, body string
		options    []option
		code       int
	}{
		{"a wrong password", body("admin", "wrong"), []option{media}, 400},
		{"nobody", body("nobody-at-all", adminPassword), []option{media}, 400},
		{"no password", `{"username":"admin"}`, []option{media}, 400},
		{"no login", `[]`, []option{media}, 400},
		{"a form", "username=admin&password=" + adminPassword, []option{header("Content-Type", "application/x-www-form-urlencoded")}, 415},
		{"plain text", body("admin", adminPassword), []option{header("Content-Type", "text/plain")}, 415},
	} {
		if err := expect(shared.do(t, http.MethodPost, path, strings.NewReader(test.body), test.options...), test.code); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
