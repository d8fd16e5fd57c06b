package kubeproxy

import (
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// guardsDeletion reports whether a request deletes objects that limit other users or
// give them rights, so that the right to delete such objects is not enough.
func guardsDeletion(info *request.Info) bool {
	if info.Verb != "delete" && info.Verb != "deletecollection" {
		return false
	}
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	switch resource {
	case schema.GroupResource{Resource: "namespaces"}, schema.GroupResource{Group: groupIAM, Resource: "users"}:
		return false // the right to delete them decides about their content, too
	case isolationPolicies:
		return info.Verb == "deletecollection" || isolation.IsReserved(info.Name)
	}
	return guarded[resource] || interceptors[resource] || isLockable(resource)
}

// guardDeletion returns a deletion the caller may make, or the error to answer with.
func (p *Proxy) guardDeletion(r *http.Request, info *request.Info, who user.Info) (*http.Request, error) {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if resource.Group == groupTenant {
		if err := checkWorkspaceDeletion(info, resource); err != nil || p.options.CheckOrphans == nil {
			return r, err
		}
		forwarded, orphans, err := orphansDependents(r.Context(), r)
		if err == nil && orphans {
			err = p.options.CheckOrphans(r.Context(), who, info.Name)
		}
		return forwarded, err
	}
	release, err := p.inspections.Take(r.Context(), turns.HolderFrom(r.Context()))
	if err != nil {
		return r, err
	}
	defer release()
	if info.Verb == "deletecollection" {
		return p.guardCollection(r, who, resource)
	}
	before, err := p.before(r, info)
	if err != nil || before == nil {
		return r, err
	}
	return r, p.permitDeletion(r.Context(), who, resource, before)
}

// permitDeletion returns nil when a user may delete an object.
func (p *Proxy) permitDeletion(ctx context.Context, who user.Info, resource schema.GroupResource, object *unstructured.Unstructured) error {
	switch resource.Resource {
	case "roles", "clusterroles", "globalroles", "workspaceroles":
		rules, err := iam.Given(object)
		if err != nil {
			return err
		}
		return authz.CheckRoleDeletion(ctx, p.rights, who, reservedKinds[resource], scopeOf(object), resource, object, rules)
	case "rolebindings", "clusterrolebindings", "globalrolebindings", "workspacerolebindings":
		if err := authz.CheckName(ctx, p.rights, who, reservedKinds[resource], resource, object.GetName()); err != nil {
			return err
		}
		return p.permitRevocation(ctx, who, object)
	case "networkpolicies":
		return p.permitPolicyDeletion(ctx, who, object)
	case "clustertrustbundles":
		return nil // to trust a signer no longer takes no power
	case "resourcequotas", "limitranges":
		return authz.CheckLock(ctx, p.rights, who, resource, object)
	}
	if interceptors[resource] {
		return p.permitInterceptor(ctx, who, resource, object)
	}
	// Members of a group lose its roles, roles their templates: the APIs below
	// /kapis check which ones, here it takes all rights on the platform.
	held, err := authz.HoldsAll(ctx, p.rights, who, authz.Scope{})
	if err != nil || held {
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

// isLockable reports whether objects of a resource may be locked against those who may
// write the resource otherwise.
func isLockable(resource schema.GroupResource) bool {
	return len(reserved.Default().LockingLabels(resource)) > 0
}
