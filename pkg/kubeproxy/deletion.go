package kubeproxy

import (
	"context"
	"net/http"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// guardsDeletion reports whether a request deletes what limits others or gives
// them rights: the right to delete such objects is not enough.
func guardsDeletion(info *request.Info) bool {
	if info.Verb != "delete" && info.Verb != "deletecollection" {
		return false
	}
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	switch resource {
	case schema.GroupResource{Resource: "resourcequotas"}:
		return true
	case schema.GroupResource{Group: groupQuota, Resource: "resourcequotas"}:
		return false // it limits nothing any more
	case schema.GroupResource{Resource: "namespaces"}, schema.GroupResource{Group: groupIAM, Resource: "users"}:
		return false // what goes with them is decided by the right to delete them
	}
	return guarded[resource] || interceptors[resource]
}

// guardDeletion returns a deletion the caller may make, or why not.
func (p *Proxy) guardDeletion(r *http.Request, info *request.Info, who user.Info) (*http.Request, error) {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if resource.Group == groupTenant {
		return r, checkWorkspaceDeletion(info, resource)
	}
	if info.Verb == "deletecollection" {
		return p.guardCollection(r, info, who, resource)
	}
	release, err := p.inspections.acquire(r.Context(), who)
	if err != nil {
		return nil, err
	}
	defer release()
	before, err := p.before(r, info)
	if err != nil || before == nil {
		return r, err
	}
	return r, p.permitDeletion(r.Context(), who, resource, before)
}

// guardCollection is guardDeletion for many objects, which may be others by the
// time they are deleted.
func (p *Proxy) guardCollection(r *http.Request, info *request.Info, who user.Info, resource schema.GroupResource) (*http.Request, error) {
	if interceptors[resource] {
		return r, p.requireAdministrator(r.Context(), who, resource, "", reasonInterception)
	}
	scope := authz.Scope{}
	switch {
	case info.Namespace != "" && resource.Resource != "resourcequotas":
		scope.Namespace = info.Namespace
	case resource.Group != groupIAM:
		scope.Cluster = authz.ThisCluster
	}
	missing, err := p.rights.Covers(r.Context(), who, scope, authz.Everything())
	if err != nil || len(missing) == 0 {
		return r, err
	}
	if resource.Resource != "resourcequotas" {
		return nil, status.Forbidden(resource, "", "user %q may delete them one by one only, unless with all rights there", who.GetName())
	}
	// Parts of the quota of a workspace are left out.
	values := r.URL.Query()
	selector := "!" + tenant.LabelQuota
	if given := values.Get("labelSelector"); given != "" {
		selector = given + "," + selector
	}
	values.Set("labelSelector", selector)
	r = r.Clone(r.Context())
	r.URL.RawQuery = values.Encode()
	return r, nil
}

// permitDeletion returns nil when a user may delete an object.
func (p *Proxy) permitDeletion(ctx context.Context, who user.Info, resource schema.GroupResource, object *unstructured.Unstructured) error {
	switch resource.Resource {
	case "roles", "clusterroles", "globalroles", "workspaceroles":
		// The platform counts on the roles with reserved names, also those without rules.
		if kind, found := reservedKinds[resource]; found {
			if err := authz.CheckName(ctx, p.rights, who, kind, resource, object.GetName()); err != nil {
				return err
			}
		}
		rules, err := iam.Given(object)
		if err != nil {
			return err
		}
		return p.rights.MayNarrow(ctx, who, scopeOf(object), resource, object.GetName(), rules)
	case "rolebindings", "clusterrolebindings", "globalrolebindings", "workspacerolebindings":
		return p.permitRevocation(ctx, who, object)
	case "clustertrustbundles":
		return nil // to trust a signer no longer takes no power
	case "resourcequotas":
		if !ofWorkspaceQuota(object) {
			return nil
		}
		missing, err := p.rights.Covers(ctx, who, authz.Scope{Cluster: authz.ThisCluster}, authz.Everything())
		if err != nil || len(missing) == 0 {
			return err
		}
		return status.Forbidden(resource, object.GetName(), "it is a part of a quota of the workspace, which is changed there")
	}
	if interceptors[resource] {
		return p.permitInterceptor(ctx, who, resource, object)
	}
	// Members of a group lose its roles, roles their templates: the APIs below
	// /kapis check what exactly, here it takes everything.
	missing, err := p.rights.Covers(ctx, who, authz.Scope{}, authz.Everything())
	if err != nil || len(missing) == 0 {
		return err
	}
	return status.Forbidden(resource, object.GetName(), "user %q may do this at the API of the platform below /kapis only", who.GetName())
}

// checkWorkspaceDeletion refuses to delete the workspace of the platform's own
// namespaces: no user could create it again.
func checkWorkspaceDeletion(info *request.Info, resource schema.GroupResource) error {
	if info.Verb == "deletecollection" {
		return status.Forbidden(resource, "", "workspaces are deleted one by one")
	}
	if info.Name == tenantv1alpha2.SystemWorkspace {
		return status.Forbidden(resource, info.Name, "the namespaces of the platform are in it")
	}
	return nil
}

// permitRevocation returns nil when a user may take the role of a binding away
// from its subjects. Everyone may leave.
func (p *Proxy) permitRevocation(ctx context.Context, who user.Info, object *unstructured.Unstructured) error {
	var binding struct {
		RoleRef  rbacv1.RoleRef
		Subjects []rbacv1.Subject
	}
	if err := convert(object.Object, &binding); err != nil {
		return err
	}
	if !slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool { return s.Kind != rbacv1.UserKind || s.Name != who.GetName() }) {
		return nil
	}
	return p.rights.MayRevoke(ctx, who, scopeOf(object), binding.RoleRef)
}

// ofWorkspaceQuota reports whether an object is a part of the quota of a workspace.
func ofWorkspaceQuota(object *unstructured.Unstructured) bool {
	if object == nil {
		return false
	}
	_, has := object.GetLabels()[tenant.LabelQuota]
	return has
}
