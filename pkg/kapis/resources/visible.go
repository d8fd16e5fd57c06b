package resources

import (
	"context"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Rights says what a caller may see. *authz.RBAC does.
type Rights interface {
	VisibleNamespaces(ctx context.Context, who user.Info, actions ...authz.Action) (authz.Visible, error)
	VisibleWorkspaces(ctx context.Context, who user.Info) (authz.Visible, error)
}

// Filtered reports whether the list of all objects of a type shows each caller
// what they may see of it, so that everybody may ask for it.
func Filtered(types *objects.Resolver) func(context.Context, string) bool {
	return func(ctx context.Context, resource string) bool {
		kind, err := types.Type(ctx, resource)
		return err == nil && (kind.Namespaced || isNamespaces(kind) || isWorkspaces(kind))
	}
}

func isNamespaces(kind *objects.Type) bool { return kind.Group == "" && kind.Resource == "namespaces" }

func isWorkspaces(kind *objects.Type) bool {
	return kind.Group == "tenant.kubesphere.io" && kind.Resource == "workspaces"
}

// visible is what the caller may see of a list, nil for all of it. What is
// listed in one namespace, and types that belong to none, were decided about
// before the request came here.
func (h *Handler) visible(r *http.Request, kind *objects.Type, namespace string) (*objects.Only, error) {
	if namespace != "" || !kind.Namespaced && !isNamespaces(kind) && !isWorkspaces(kind) {
		return nil, nil
	}
	who, _ := kuberequest.UserFrom(r.Context()) // nobody sees nothing
	if isWorkspaces(kind) {
		visible, err := h.Rights.VisibleWorkspaces(r.Context(), who)
		return visible.Only(), err
	}
	// A right in either group suffices: roles made for the console name the
	// group of this viewer, those made for Kubernetes its own.
	action := authz.Action{Verb: "list", Group: "resources.kubesphere.io", Resource: kind.Resource}
	native := action
	native.Group = kind.Group
	visible, err := h.Rights.VisibleNamespaces(r.Context(), who, action, native)
	return visible.Only(), err
}
