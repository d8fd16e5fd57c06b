//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestReducedUsers: whoever looked up users to invite them, or listed members, learned of
// annotations, groups and last logins by filters, though lists did not show them; and lists
// of members showed them.
func TestReducedUsers(t *testing.T) {
	t.Parallel()
	admin, owner, victim := shared.as(t, "admin", adminPassword), newPerson(t, "red-owner", "platform-self-provisioner"), newPerson(t, "red-victim", "platform-regular")
	newSpace(t, "red-space", owner)
	const members = iamPath + "/workspaces/red-space/workspacemembers"
	answers(t, "GET", members, owner.token, 200)
	owner.must(t, 200, "POST", members, []fields{{"username": victim.name, "roleRef": "red-space-viewer"}})
	owner.must(t, 200, "POST", tenantPath+"/workspaces/red-space/namespaces", fields{"metadata": fields{"name": "red-project"}})
	const project = iamPath + "/namespaces/red-project/members"
	answers(t, "GET", project, owner.token, 200)
	owner.must(t, 200, "POST", project, []fields{{"username": victim.name, "roleRef": "viewer"}})
	owner.must(t, 200, "POST", iamPath+"/workspaces/red-space/groups", fields{"metadata": fields{"name": "red-group"}})
	owner.must(t, 200, "POST", iamPath+"/workspaces/red-space/groupbindings", []fields{{"userName": victim.name, "groupName": "red-group"}})
	marked := newUser(victim.name, "platform-regular")
	marked["metadata"].(fields)["annotations"] = fields{"kubesphere.io/alias-name": "red-alias", "red.example.com/note": "hidden-note"}
	admin.must(t, 200, "PUT", users+"/red-victim", fields{"metadata": marked["metadata"], "spec": fields{"email": "red-victim@example.com"}})
	login := ""
	wait.For(t, "the last login, group and annotations", func() error {
		body := admin.must(t, 200, "GET", users+"/red-victim", nil).body
		login = gjson.GetBytes(body, "status.lastLoginTime").String()
		if login == "" || !strings.Contains(string(body), "red-group") || !strings.Contains(string(body), "hidden-note") {
			return fmt.Errorf("%s", body)
		}
		return nil
	})
	total := func(who person, path string, parameters url.Values) string {
		parameters.Set("name", victim.name)
		r := who.call(t, "GET", path+"?"+parameters.Encode(), nil)
		if r.code != 200 {
			return fmt.Sprint(r.code)
		}
		if text := string(r.body); who.name != "admin" && (strings.Contains(text, "red-alias") || strings.Contains(text, "hidden-note") || strings.Contains(text, "red-group")) {
			t.Errorf("%s?%s shows %s", path, parameters.Encode(), text)
		}
		return gjson.GetBytes(r.body, "totalItems").Raw
	}
	field := func(selector string) url.Values { return url.Values{"fieldSelector": {selector}} }
	for _, test := range []struct {
		name                     string
		parameters               url.Values
		admin, lookup, workspace string
		project                  string
	}{
		{"the name", url.Values{}, "1", "1", "1", "1"},
		{"the address", url.Values{"email": {"red-victim@example.com"}}, "1", "1", "1", "1"},
		{"the state", field("status.state=Active"), "1", "1", "1", "1"},
		{"an annotation by a field", field(`metadata.annotations.red\.example\.com/note=hidden-note`), "1", "0", "0", "0"},
		{"an annotation by a field, negated", field(`metadata.annotations.red\.example\.com/note!=hidden-note`), "0", "1", "1", "1"},
		{"an annotation", url.Values{"annotation": {"red.example.com/note=hidden-note"}}, "1", "0", "0", "0"},
		{"that there is an annotation", url.Values{"annotation": {"red.example.com/note"}}, "1", "0", "0", "0"},
		{"the alias", url.Values{"alias": {"red-al"}}, "1", "0", "0", "0"},
		{"a group by a field", field("spec.groups.0=red-group"), "1", "0", "0", "0"},
		{"all groups by a field", field(`spec.groups=["red-group"]`), "1", "0", "0", "0"},
		{"the last login", field("status.lastLoginTime=" + login), "1", "0", "1", "1"},
		{"an annotation, watched", url.Values{"annotation": {"red.example.com/note"}, "watch": {"true"}}, "1", "0", "0", "0"},
		{"an annotation, total only", url.Values{"annotation": {"red.example.com/note"}, "limit": {"0"}}, "1", "0", "0", "0"},
		{"the role on the platform", url.Values{"globalrole": {"platform-regular"}}, "1", "403", "403", "403"},
		{"a member of the cluster", url.Values{"cluster": {"true"}}, "0", "403", "403", "403"},
		{"a member of the own workspace", url.Values{"workspace": {"red-space"}}, "1", "1", "1", "1"},
		{"a member of another workspace", url.Values{"workspace": {"system-workspace"}}, "0", "403", "403", "403"},
		{"a group of the own workspace", url.Values{"ingroup": {"red-group"}}, "1", "1", "1", "1"},
		{"sorted as the console does", url.Values{"sortBy": {"createTime"}, "limit": {"10"}, "page": {"1"}}, "1", "1", "1", "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, as := range []struct {
				who        person
				path, want string
			}{{admin, users, test.admin}, {owner, users, test.lookup}, {owner, members, test.workspace}, {owner, project, test.project}} {
				if got := total(as.who, as.path, test.parameters); got != as.want {
					t.Errorf("%s of %s: %s, want %s", as.path, as.who.name, got, as.want)
				}
			}
		})
	}
	for path, annotation := range map[string]string{members: "workspacerole", project: "role"} {
		for _, one := range []gjson.Result{
			gjson.GetBytes(owner.must(t, 200, "GET", path+"?name=red-victim", nil).body, "items.0"),
			gjson.ParseBytes(owner.must(t, 200, "GET", path+"/red-victim", nil).body),
		} {
			if len(one.Get("metadata.annotations").Map()) != 1 || one.Get(`metadata.annotations.iam\.kubesphere\.io/`+annotation).String() == "" || one.Get("spec.groups").Exists() ||
				one.Get("status.lastLoginTime").String() != login || one.Get("spec.email").String() != "red-victim@example.com" || one.Get("status.state").String() != "Active" {
				t.Errorf("a member of %s is %s", path, one.Raw)
			}
		}
		if own := victim.must(t, 200, "GET", path+"/red-victim", nil).body; !strings.Contains(string(own), "hidden-note") {
			t.Errorf("the own account is %s", own)
		}
	}
	if r := owner.must(t, 200, "GET", users+"?name=red-victim", nil); strings.Contains(string(r.body), "lastLoginTime") {
		t.Errorf("looked up: %s", r.body)
	}
}

// TestHiddenFields: what is never shown of an object, or not to a caller, is nothing that
// lists, tables and watches tell apart.
func TestHiddenFields(t *testing.T) {
	t.Parallel()
	admin, c := shared.as(t, "admin", adminPassword), kubernetes(t, "")
	personalToken(t, admin, "admin", "iam.kubesphere.io/users:get")
	workspace(t, "red-masked")
	const namespace, value = "red-masked-project", "c2VjcmV0LXZhbHVl"
	create(t, c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "red-secret", Namespace: namespace}, StringData: map[string]string{"password": "secret-value"}})
	lister := user(t, "red-lister")
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "red-lister", Namespace: namespace}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"list", "watch"}, APIGroups: []string{"", "resources.kubesphere.io"}, Resources: []string{"secrets"}}}})
	create(t, c, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "red-lister", Namespace: namespace}, Subjects: []rbacv1.Subject{subjectUser("red-lister")},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "red-lister"},
	})
	const viewer = "/kapis/resources.kubesphere.io/v1alpha3"
	secrets := viewer + "/namespaces/" + namespace + "/secrets"
	answers(t, "GET", secrets, lister, 200)
	for _, test := range []struct {
		name, token, path, parameters string
		total                         int64
	}{
		{"secrets", lister, secrets, "name=red-secret", 1},
		{"a value", lister, secrets, "fieldSelector=data.password%3D" + value, 0},
		{"another value", lister, secrets, "name=red-secret&fieldSelector=data.password!%3D" + value, 1},
		{"a value, for who may read it", admin.token, secrets, "fieldSelector=data.password%3D" + value, 0},
		{"an order by values", lister, secrets, "name=red-secret&sortBy=data.password", 1},
		{"hashes of passwords", admin.token, viewer + "/users", "fieldSelector=spec.password!%3D", 0},
		{"hashes of sessions", admin.token, viewer + "/sessions", "fieldSelector=spec.refreshTokenHash!%3D", 0},
		{"hashes of tokens", admin.token, viewer + "/personalaccesstokens", "fieldSelector=spec.tokenHash!%3D", 0},
		{"hashes of the own tokens", admin.token, users + "/admin/tokens", "fieldSelector=spec.tokenHash!%3D", 0},
		{"hashes of the own sessions", admin.token, users + "/admin/sessions", "fieldSelector=spec.refreshTokenHash!%3D", 0},
		{"kubeconfigs of clusters", admin.token, viewer + "/clusters", "fieldSelector=spec.connection.kubeconfig!%3D", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := shared.send(t, http.MethodGet, test.path+"?"+test.parameters, test.token, "")
			if total := gjson.GetBytes(r.body, "totalItems"); r.code != 200 || total.Int() != test.total || !total.Exists() {
				t.Errorf("%d %.300s, want %d", r.code, r.body, test.total)
			}
			if test.token == lister && strings.Contains(string(r.body), value) {
				t.Errorf("shown: %s", r.body)
			}
		})
	}
	const table = "application/json;as=Table;v=v1;g=meta.k8s.io"
	for _, test := range []struct {
		name, accept, parameters string
		shown                    bool // the secret, without its values
	}{
		{"a table", table, "includeObject=Object", true},
		{"a table of a value", table, "includeObject=Object&fieldSelector=data.password%3D" + value, false},
		{"fields", "application/json", "fields=data", true},
		{"a watch", "application/json", "watch=true&timeoutSeconds=1", true},
		{"a watch of a value", "application/json", "watch=true&timeoutSeconds=1&fieldSelector=data.password%3D" + value, false},
		{"a watch as a table", table, "watch=true&timeoutSeconds=1&includeObject=Object", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := shared.send(t, http.MethodGet, secrets+"?"+test.parameters, lister, "", header("Accept", test.accept))
			if text := string(r.body); r.code != 200 || strings.Contains(text, value) || strings.Contains(text, `"password":""`) != test.shown {
				t.Errorf("%d %s", r.code, text)
			}
		})
	}
}
