package iam

import (
	"net/http"

	"github.com/tidwall/sjson"
	rbacv1 "k8s.io/api/rbac/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// beyondLookup are the fields of users that those do not see who look them up only.
var beyondLookup = []string{"metadata.annotations", "spec.groups", "status.lastLoginTime"}

// writeLookup answers with a page of users for callers who look them up.
func (h *Handler) writeLookup(w http.ResponseWriter, r *http.Request, q *query.Query) error {
	page, err := h.Directory.Users(r.Context(), q)
	if err != nil {
		return err
	}
	return route.WriteList(w, page.TextsOf(q, lookedUp), q.Pretty)
}

// lookedUp is the JSON of a user for callers who look users up.
func lookedUp(item *objects.Item) (string, error) {
	shown := item.Shown(false)
	for _, field := range beyondLookup {
		less, err := sjson.Delete(shown, field)
		if err != nil {
			return "", err
		}
		shown = less
	}
	return shown, nil
}

// checkLookup refuses filters by which callers without the right to list users would learn
// of roles on the platform, and of members of places whose members they may not list.
func (h *Handler) checkLookup(r *http.Request, parameters *request.Parameters) error {
	if parameters.Get("globalrole") != "" {
		return status.Forbidden(iamv1alpha2.Resource("users"), "", "the filter globalrole takes the right to list users")
	}
	groups, err := h.Directory.Cache.View(r.Context(), h.Types.Type("groups"))
	if err != nil {
		return err
	}
	ofGroup := func(name string) authz.Scope {
		if group := groups.Get("", name); group != nil {
			return authz.Scope{Workspace: group.Labels().Get(iamv1alpha2.LabelWorkspace)}
		}
		return authz.Scope{}
	}
	for _, filter := range []struct {
		key, resource string
		scope         func(name string) authz.Scope
	}{
		{"workspace", "workspacemembers", func(name string) authz.Scope { return authz.Scope{Workspace: name} }},
		{"namespace", "members", func(name string) authz.Scope { return authz.Scope{Namespace: name} }},
		{"ingroup", "workspacemembers", ofGroup},
		{"notingroup", "workspacemembers", ofGroup},
	} {
		name := parameters.Get(filter.key)
		if name == "" {
			continue
		}
		missing, err := h.Rights.Covers(r.Context(), caller(r), filter.scope(name), []rbacv1.PolicyRule{{
			Verbs: []string{"list"}, APIGroups: []string{iamv1alpha2.GroupName}, Resources: []string{filter.resource},
		}})
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return status.Forbidden(iamv1alpha2.Resource("users"), "", "the filter %s takes the right to list %s there", filter.key, filter.resource)
		}
	}
	return nil
}
