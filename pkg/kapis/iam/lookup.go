package iam

import (
	"net/http"

	rbacv1 "k8s.io/api/rbac/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// The forms of users for callers who may not read all of them.
var (
	// lookupForm is what callers see of users they look up to invite them.
	lookupForm = newUserForm("lookup", "status.lastLoginTime")
	// memberForm is what they see of the members of a place. The pages of consoles show
	// the last login of members.
	memberForm = newUserForm("member")
)

// newUserForm returns a form without roles, groups and identities at providers, which are
// annotations, and labels of accounts of KubeSphere 3.x, and without further fields.
func newUserForm(name string, hidden ...string) *objects.Form {
	hidden = append(hidden, "metadata.annotations", "spec.groups")
	for _, label := range []string{iamv1alpha2.LabelIdentityProvider, iamv1alpha2.LabelOriginUID} {
		hidden = append(hidden, "metadata.labels."+escaped(label))
	}
	return objects.NewForm(name, []string{"email", "status"}, hidden...)
}

// checkUserFilters refuses filters by which callers without the right to list users would
// learn of roles on the platform, and of members of places whose members they may not list.
func (h *Handler) checkUserFilters(r *http.Request, parameters *request.Parameters) error {
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
		{"cluster", "clustermembers", func(string) authz.Scope { return authz.Scope{Cluster: authz.ThisCluster} }},
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
