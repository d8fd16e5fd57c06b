package iam

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// inviterRights lets admin read all users, and others list the members of workspace w.
type inviterRights struct{ smallRights }

func (inviterRights) Covers(_ context.Context, who user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if who.GetName() == "admin" || scope == (authz.Scope{Workspace: "w"}) && slices.Equal(rules[0].Resources, []string{"workspacemembers"}) {
		return nil, nil
	}
	return rules, nil
}

func (r inviterRights) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	return decideBy(ctx, r, a)
}

// reducedHandler serves users jane and bob, who are members of workspace w, and carl.
func reducedHandler(t *testing.T) *Handler {
	t.Helper()
	account := func(name, role, group, login string) string {
		return `{"metadata":{"name":"` + name + `","labels":{"team":"` + group + `","iam.kubesphere.io/origin-uid":"` + name + `-4711"},
			"annotations":{"iam.kubesphere.io/globalrole":"` + role + `","kubesphere.io/alias-name":"` + role + `"}},
			"spec":{"email":"` + name + `@example.com","groups":["` + group + `"]},"status":{"state":"Active","lastLoginTime":"` + login + `"}}`
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{
		"users":  {account("jane", "platform-admin", "g1", "2026-01-02T03:04:05Z"), account("bob", "platform-regular", "g2", "2026-01-03T03:04:05Z"), account("carl", "platform-regular", "g1", "2026-01-03T03:04:05Z")},
		"groups": {`{"metadata":{"name":"g1","labels":{"kubesphere.io/workspace":"w"}}}`, `{"metadata":{"name":"g2","labels":{"kubesphere.io/workspace":"other"}}}`},
		"workspacerolebindings": {`{"metadata":{"name":"w-viewer","labels":{"kubesphere.io/workspace":"w"}},"roleRef":{"kind":"WorkspaceRole","name":"w-viewer"},
			"subjects":[{"kind":"User","name":"jane"},{"kind":"User","name":"bob"}]}`},
		"globalrolebindings": {`{"metadata":{"name":"admins"},"roleRef":{"kind":"GlobalRole","name":"platform-admin"},"subjects":[{"kind":"User","name":"jane"}]}`},
		"groupbindings":      {`{"metadata":{"name":"b"},"groupRef":{"name":"g1"},"users":["jane"]}`},
		"rolebindings":       {}, "clusterrolebindings": {},
	})
	types := objects.NewCatalog()
	return &Handler{Directory: &iam.Directory{Cache: cache, Catalog: types}, Types: types, Rights: inviterRights{}}
}

// TestReducedUsers: whoever looked users up, or listed members, learned what the lists did
// not show by filters on it; and members were shown as whole as users.
func TestReducedUsers(t *testing.T) {
	h := reducedHandler(t)
	workspaceMembers := h.scopes()[1].members
	serve := func(who string, list func(http.ResponseWriter, *http.Request) error, parameters string) (body string, names []string, code int32) {
		r := httptest.NewRequest(http.MethodGet, prefix+"?"+parameters, nil)
		r.SetPathValue("workspace", "w")
		w := httptest.NewRecorder()
		if err := list(w, r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: who}))); err != nil {
			return "", nil, status.Of(err).Code
		}
		for _, name := range gjson.Get(w.Body.String(), "items.#.metadata.name").Array() {
			names = append(names, name.String())
		}
		slices.Sort(names)
		return w.Body.String(), names, 200
	}
	const login = "fieldSelector=status.lastLoginTime%3D2026-01-02T03:04:05Z"
	for _, test := range []struct {
		name, parameters     string
		admin, user, members string // names; 403 when it is refused
	}{
		{"all", "", "bob carl jane", "bob carl jane", "bob jane"},
		{"part of the name", "name=jan", "jane", "jane", "jane"},
		{"address", "email=bob@example.com", "bob", "bob", "bob"},
		{"address of no member", "email=carl@example.com", "carl", "carl", ""},
		{"state", "status=active", "bob carl jane", "bob carl jane", "bob jane"},
		{"shown field", "fieldSelector=spec.email%3Dbob@example.com", "bob", "bob", "bob"},
		{"shown label", "labelSelector=team%3Dg1", "carl jane", "carl jane", "jane"},
		{"annotation by a field", `fieldSelector=metadata.annotations.iam\.kubesphere\.io/globalrole%3Dplatform-admin`, "jane", "", ""},
		{"annotation", "annotation=iam.kubesphere.io/globalrole%3Dplatform-admin", "jane", "", ""},
		{"alias", "alias=platform-admin", "jane", "", ""},
		{"group by a field", "fieldSelector=spec.groups.0%3Dg1", "carl jane", "", ""},
		{"group by a field, negated", "fieldSelector=spec.groups.0!%3Dg1", "bob", "bob carl jane", "bob jane"},
		{"identity by a label", "label=iam.kubesphere.io/origin-uid%3Djane-4711", "jane", "", ""},
		{"identity by a word", "q=jane-4711", "jane", "", ""},
		{"last login", login, "jane", "", "jane"},
		{"role on the platform", "globalrole=platform-admin", "jane", "403", "403"},
		{"members of the cluster", "cluster=true", "", "403", "403"},
		{"members of another workspace", "workspace=other", "", "403", "403"},
		{"members of the workspace", "workspace=w", "bob jane", "bob jane", "bob jane"},
		{"members of a project", "namespace=p", "", "403", "403"},
		{"group of another workspace", "ingroup=g2", "bob", "403", "403"},
		{"all but a group of another workspace", "notingroup=g2", "carl jane", "403", "403"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, as := range []struct {
				list, who, want string
				serve           func(http.ResponseWriter, *http.Request) error
			}{
				{"users", "admin", test.admin, h.listUsers},
				{"users", "dora", test.user, h.listUsers},
				{"members", "dora", test.members, workspaceMembers.list},
			} {
				body, names, code := serve(as.who, as.serve, test.parameters)
				got := strings.Join(names, " ")
				if code != 200 {
					got = "403"
				}
				if got != as.want {
					t.Errorf("%s for %s: %q, %d, want %q", as.list, as.who, got, code, as.want)
				}
				if as.who == "admin" {
					continue
				}
				for _, hidden := range []string{"platform-", "groups", "4711"} {
					if strings.Contains(body, hidden) {
						t.Errorf("%s for %s show %s: %s", as.list, as.who, hidden, body)
					}
				}
			}
		})
	}
	for _, test := range []struct {
		name, who, member string
		whole             bool
	}{{"another member", "dora", "jane", false}, {"oneself", "bob", "bob", true}, {"who reads users", "admin", "jane", true}} {
		t.Run(test.name, func(t *testing.T) {
			body, _, code := serve(test.who, func(w http.ResponseWriter, r *http.Request) error {
				r.SetPathValue("workspacemember", test.member)
				return workspaceMembers.get(w, r)
			}, "")
			role := gjson.Get(body, `metadata.annotations.iam\.kubesphere\.io/workspacerole`).String()
			if code != 200 || role != "w-viewer" || !strings.Contains(body, "lastLoginTime") || strings.Contains(body, "platform-") != test.whole || strings.Contains(body, "groups") != test.whole {
				t.Errorf("%d %s", code, body)
			}
		})
	}
	// The pages of members read these.
	body, _, _ := serve("dora", workspaceMembers.list, "name=jane")
	for path, want := range map[string]string{
		"metadata.name": "jane", "spec.email": "jane@example.com", "status.state": "Active", "status.lastLoginTime": "2026-01-02T03:04:05Z",
		`metadata.annotations.iam\.kubesphere\.io/workspacerole`: "w-viewer",
	} {
		if got := gjson.Get(body, "items.0."+path).String(); got != want {
			t.Errorf("%s is %q in %s", path, got, body)
		}
	}
	if body, _, _ := serve("dora", h.listUsers, ""); strings.Contains(body, "lastLoginTime") {
		t.Errorf("looked up: %s", body)
	}
}

// TestColumnsOfReducedUsers: a column that users are sorted by must not depend on what is
// hidden.
func TestColumnsOfReducedUsers(t *testing.T) {
	h := reducedHandler(t)
	users := h.Types.Type("users")
	for _, form := range []*objects.Form{lookupForm, memberForm} {
		for _, column := range users.Columns {
			view, err := h.Directory.Cache.View(t.Context(), users)
			if err != nil {
				t.Fatal(err)
			}
			view.All(func(item *objects.Item) bool {
				if whole, reduced := column.Derive(gjson.Parse(item.JSON())), column.Derive(gjson.Parse(form.Of(users, item).JSON())); whole != reduced {
					t.Errorf("%s of %s is %v, reduced %v", column.Name, item.Name(), whole, reduced)
				}
				return true
			})
		}
	}
}
