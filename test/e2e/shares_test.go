//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const templatesPath = "/kapis/tenant.kubesphere.io/v1alpha3/workspacetemplates"

// TestReservedMetadata: what this server acts on is refused below /kapis to those who
// may write the objects otherwise, in every writer, as it is below /apis.
func TestReservedMetadata(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	const role = "shares-hr"
	admin.sends(t, 200, "POST", iamPath+"/globalroles", `{"metadata":{"name":"`+role+`"},"rules":[
		{"apiGroups":["iam.kubesphere.io"],"resources":["users","globalroles"],"verbs":["*"]},{"apiGroups":["tenant.kubesphere.io"],"resources":["workspacetemplates","workspaces"],"verbs":["create"]}]}`)
	t.Cleanup(func() { dropped(t, iamPath+"/globalroles/"+role) })
	hr := newPerson(t, "shares-hr", role)
	newSpace(t, "shares-w", hr)
	answers(t, "GET", tenantPath+"/workspaces/shares-w", hr.token, 200)
	for _, name := range []string{"shares-plain", "shares-linked"} {
		t.Cleanup(func() { dropped(t, iamPath+"/users/"+name) })
	}
	t.Cleanup(func() { dropped(t, tenantPath+"/workspaces/shares-v") })
	groups, space := iamPath+"/workspaces/shares-w/groups", tenantPath+"/workspaces/shares-w"
	user := func(name, metadata string) string {
		return `{"metadata":{"name":"` + name + `",` + metadata + `},"spec":{"email":"` + name + `@example.com","password":"` + passwordOf(name) + `"}}`
	}
	template := func(name, metadata, copied string) string {
		return `{"metadata":{"name":"` + name + `"` + metadata + `},"spec":{"template":{"metadata":{` + copied + `},"spec":{"manager":"shares-hr"}}}}`
	}
	const (
		mark   = `"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}`
		linked = `"labels":{"iam.kubesphere.io/identify-provider":"ldap","iam.kubesphere.io/origin-uid":"boss"}`
	)
	for _, test := range []struct {
		code               int
		method, path, body string
	}{
		{403, "POST", iamPath + "/users", user("shares-linked", linked)},
		{403, "POST", iamPath + "/users", user("shares-linked", `"annotations":{"iam.kubesphere.io/identity-provider.oidc":"boss"}`)},
		{403, "POST", iamPath + "/users", user("shares-linked", mark)},
		{403, "POST", iamPath + "/users", user("shares-linked", `"finalizers":["example.com/never"]`)},
		{200, "POST", iamPath + "/users", user("shares-plain", `"labels":{"a":"b"},"annotations":{"iam.kubesphere.io/uninitialized":"true"}`)},
		{403, "PUT", iamPath + "/users/shares-plain", user("shares-plain", linked)},
		{403, "PUT", iamPath + "/users/shares-plain", user("shares-plain", mark)},
		{403, "PUT", iamPath + "/users/shares-plain", user("shares-plain", `"labels":{}`)}, // the first password would not be asked for
		{200, "PUT", iamPath + "/users/shares-plain", user("shares-plain", `"labels":{"a":"c"},"annotations":{"iam.kubesphere.io/uninitialized":"true"}`)},
		{403, "POST", groups, `{"metadata":{"name":"shares-g",` + mark + `}}`},
		{403, "POST", groups, `{"metadata":{"name":"shares-g","ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"default","uid":"1"}]}}`},
		{200, "POST", groups, `{"metadata":{"name":"shares-g","labels":{"a":"b"}}}`},
		{403, "PUT", groups + "/shares-g", `{"metadata":{"name":"shares-g",` + mark + `}}`},
		{200, "PUT", groups + "/shares-g", `{"metadata":{"name":"shares-g","labels":{"a":"c"}}}`},
		{403, "POST", tenantPath + "/workspaces", template("shares-v", `,`+mark, "")},
		{403, "POST", templatesPath, template("shares-v", "", mark)},
		{403, "POST", tenantPath + "/workspaces", template("shares-v", "", `"annotations":{"ks-apiserver.kubesphere.io/applied":"x"}`)},
		{403, "PUT", space, template("shares-w", "", mark)},
		{403, "PUT", space, template("shares-w", `,"annotations":{"kubesphere.io/creator":"shares-plain"}`, "")},
		{403, "PUT", space, template("shares-w", `,"annotations":{"kubesphere.io/deletion-propagation":"Orphan"}`, "")},
		{200, "PUT", space, template("shares-w", "", `"labels":{"a":"b"}`)},
	} {
		hr.sends(t, test.code, test.method, test.path, test.body)
	}
	hr.answersPatch(t, 403, groups+"/shares-g", `{"metadata":{`+mark+`}}`)
	hr.answersPatch(t, 200, groups+"/shares-g", `{"metadata":{"labels":{"a":"d"}}}`)
	hr.answersPatch(t, 403, space, `{"spec":{"template":{"metadata":{`+mark+`}}}}`)
	hr.answersPatch(t, 403, space, `{"metadata":{`+mark+`}}`)
	if r := admin.must(t, 200, "GET", tenantPath+"/workspaces/shares-w", nil); !strings.Contains(string(r.body), `"kubesphere.io/creator":"admin"`) {
		t.Errorf("the creator of the workspace is gone: %s", r.body)
	}
}

// TestObjectsOfUsers: the objects a user may create through this server are bounded,
// and the refusal names the limit.
func TestObjectsOfUsers(t *testing.T) {
	t.Parallel()
	i := run(t, func(c *config.Config) {
		c.Limits.WorkspacesPerUser, c.Limits.NamespacesPerWorkspace, c.Limits.GroupsPerWorkspace, c.Limits.GroupBindingsPerWorkspace = 2, 1, 2, 1
		c.Limits.RolesPerWorkspace, c.Limits.QuotasPerWorkspace = 5, 1
	})
	if err := i.waitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	newPerson(t, "bounds-many", "platform-self-provisioner")
	many := i.as(t, "bounds-many", passwordOf("bounds-many"))
	for n := range 4 {
		t.Cleanup(func() { dropped(t, fmt.Sprint(tenantPath, "/workspaces/bounds-", n)) })
	}
	iamOf, tenantOf := iamPath+"/workspaces/bounds-0", tenantPath+"/workspaces/bounds-0"
	for _, test := range []struct {
		name, path string
		body       func(n int) any
		allowed    int
		limit      string
	}{
		{"workspaces", tenantPath + "/workspaces", func(n int) any { return newWorkspace(fmt.Sprint("bounds-", n), "") }, 2, "limits.workspacesPerUser"},
		{"namespaces", tenantOf + "/namespaces", func(n int) any { return newNamespace(fmt.Sprint("bounds-ns-", n)) }, 1, "limits.namespacesPerWorkspace"},
		{"groups", iamOf + "/groups", func(n int) any { return fields{"metadata": fields{"name": fmt.Sprint("bounds-g-", n)}} }, 2, "limits.groupsPerWorkspace"},
		{"memberships", iamOf + "/groupbindings", func(n int) any {
			return []fields{{"userName": "bounds-many", "groupName": fmt.Sprint("bounds-g-", n%2)}}
		}, 1, "limits.groupBindingsPerWorkspace"},
		{"roles", iamOf + "/workspaceroles", func(n int) any {
			return fields{"metadata": fields{"name": fmt.Sprint("bounds-r-", n)}, "rules": []any{}}
		}, 1, "limits.rolesPerWorkspace"},
	} {
		for n := range 4 {
			r := many.call(t, "POST", test.path, test.body(n))
			if n < test.allowed && r.code != http.StatusOK && r.code != http.StatusCreated {
				t.Fatalf("%s: %d: %d %s", test.name, n, r.code, r.body)
			}
			if n >= test.allowed && (r.code != http.StatusForbidden || !strings.Contains(string(r.body), test.limit)) {
				t.Errorf("%s: %d: %d %s", test.name, n, r.code, r.body)
			}
		}
	}
	// One that is gone makes room, and an administrator needs none.
	many.must(t, 200, "DELETE", tenantPath+"/workspaces/bounds-1", nil)
	wait.For(t, "the deleted workspace to make room", func() error {
		if r := many.call(t, "POST", tenantPath+"/workspaces", newWorkspace("bounds-2", "")); r.code != 200 {
			return fmt.Errorf("%d %s", r.code, r.body)
		}
		return nil
	})
	i.as(t, "admin", adminPassword).must(t, 200, "POST", iamOf+"/groups", fields{"metadata": fields{"name": "bounds-g-9"}})
}

// TestReviewsOfAnAddress: made-up tokens of service accounts keep neither valid ones
// nor other credentials of the same address from being accepted.
func TestReviewsOfAnAddress(t *testing.T) {
	t.Parallel()
	payload := func(n int) string {
		return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:n:s","jti":"%d"}`, n))
	}
	admin := shared.as(t, "admin", adminPassword)
	var flood sync.WaitGroup
	for n := range 200 {
		flood.Go(func() {
			r := shared.get(t, "/api/v1/namespaces", bearer("eyJhbGciOiJSUzI1NiJ9."+payload(n)+".c2lnbmF0dXJl"))
			if r.code != http.StatusUnauthorized && (r.code != http.StatusTooManyRequests || r.header.Get("Retry-After") == "") {
				t.Errorf("a made-up token: %d %s", r.code, r.body)
			}
		})
	}
	admin.must(t, 200, "GET", "/api/v1/namespaces", nil)
	flood.Wait()
}
