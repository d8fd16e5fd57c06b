package kubeproxy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/util/retry"

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

// forwardDeletion forwards a deletion the caller may make.
func (p *Proxy) forwardDeletion(w http.ResponseWriter, r *http.Request, info *request.Info, who user.Info) {
	if info.APIGroup == groupTenant || info.Verb == "deletecollection" {
		forwarded, err := p.guardDeletion(r, info, who)
		if err != nil {
			status.Write(w, r, err)
			return
		}
		p.forward(w, forwarded, info)
		return
	}
	r, options, err := deleteOptions(r.Context(), r)
	if err != nil {
		status.Write(w, r, err)
		return
	}
	p.forwardOnPresent(w, r, info, options.Preconditions == nil, func() (*guardedWrite, error) {
		var write *guardedWrite
		conflict := retry.RetryOnConflict(retry.DefaultBackoff, func() (failed error) {
			write, failed = p.guardOne(r, info, who, options)
			return failed
		})
		return write, conflict // not in one expression, whose order is not specified
	})
}

// guardOne returns the deletion of an object in the state in which the caller may delete it,
// or the error to answer with.
func (p *Proxy) guardOne(r *http.Request, info *request.Info, who user.Info, options *metav1.DeleteOptions) (*guardedWrite, error) {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	before, err := p.before(r, info)
	if err != nil {
		return nil, err
	}
	bound := options.DeepCopy()
	if bound.Preconditions == nil {
		bound.Preconditions = &metav1.Preconditions{}
	}
	var uid types.UID // stays empty for an object that is not there: a later one was not looked at
	if before != nil {
		if err := p.permitDeletion(r.Context(), who, resource, before); err != nil {
			return nil, err
		}
		if (isRole(resource) || isBinding(resource)) && len(bound.DryRun) == 0 {
			lookedAt := before.GetResourceVersion()
			if before, err = p.empty(r, before, bound); err != nil {
				return nil, err
			}
			if version := before.GetResourceVersion(); bound.Preconditions.ResourceVersion == nil || version != lookedAt {
				bound.Preconditions.ResourceVersion = &version
			}
		}
		uid = before.GetUID()
	}
	if bound.Preconditions.UID == nil {
		bound.Preconditions.UID = &uid
	}
	deletion, err := withDeleteOptions(r, bound)
	return &guardedWrite{request: deletion, release: func() {}}, err
}

// empty takes the rules of a role, or the subjects of a binding, that is about to be deleted,
// as the caller may, and has finalizers: it would stay in force with them, see iam.Revoke.
func (p *Proxy) empty(r *http.Request, object *unstructured.Unstructured, options *metav1.DeleteOptions) (*unstructured.Unstructured, error) {
	emptied := iam.Emptied(object)
	if len(object.GetFinalizers()) == 0 || equality.Semantic.DeepEqual(emptied, object) {
		return object, nil
	}
	tried := options.DeepCopy()
	tried.DryRun = []string{metav1.DryRunAll}
	trial, err := withDeleteOptions(r, tried)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(trial.Body)
	if err != nil {
		return nil, err
	}
	if _, err := p.ask(r.Context(), http.MethodDelete, r.URL, nil, trial.Header, body); err != nil {
		return nil, err
	}
	if body, err = json.Marshal(emptied); err != nil {
		return nil, err
	}
	return p.ask(asServer(r.Context()), http.MethodPut, r.URL, nil, http.Header{"Content-Type": {runtime.ContentTypeJSON}}, body)
}

// guardDeletion returns the deletion of a workspace or of a collection the caller may make,
// or the error to answer with.
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
	return p.guardCollection(r, who, resource)
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
