package authz

import (
	"context"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// PlatformReason is the reason of a refusal of requests for the platform's objects.
const PlatformReason = "it belongs to the platform itself, which takes all rights on the platform"

// Platform decides which objects belong to the platform itself: its credentials, and
// the objects that lead to them. Roles do not reach them, but for the role of the
// platform's administrators.
type Platform struct {
	// Names is the register of the platform's namespaces; nil for the built-in one.
	Names *reserved.Register
}

// NewPlatform returns the platform with the namespaces of a register.
func NewPlatform(names *reserved.Register) *Platform { return &Platform{Names: names} }

// Names returns the register of reserved names and fields.
func (r *RBAC) Names() *reserved.Register {
	if r.Platform == nil {
		return reserved.Default()
	}
	return r.Platform.Names
}

// Owns reports whether a request is for an object of the platform: every write
// in its namespaces, and there reads of secrets and configuration and
// connections to pods and services; the namespaces themselves; the definitions
// of the platform's own types.
func (p *Platform) Owns(a authorizer.Attributes) bool {
	if p == nil || !a.IsResourceRequest() {
		return false
	}
	if namespace := a.GetNamespace(); namespace != "" {
		return p.Names.HoldsCredentials(namespace) && isProtected(a)
	}
	if isRead(a.GetVerb()) {
		return false
	}
	switch a.GetResource() {
	case "namespaces":
		return p.Names.HoldsCredentials(a.GetName())
	case "customresourcedefinitions":
		_, group, _ := strings.Cut(a.GetName(), ".")
		return a.GetVerb() == "deletecollection" || IsPlatformGroup(group)
	}
	return false
}

// IsPlatformGroup reports whether an API group is one of the platform.
func IsPlatformGroup(group string) bool {
	return group == "kubesphere.io" || strings.HasSuffix(group, ".kubesphere.io")
}

// isProtected reports whether a request in a namespace with credentials of the
// platform is for objects the platform owns there.
func isProtected(a authorizer.Attributes) bool {
	if !isRead(a.GetVerb()) {
		return true
	}
	switch a.GetSubresource() {
	case "exec", "attach", "portforward", "proxy":
		return true
	}
	return isConfiguration(a.GetResource())
}

// isClusterGateway reports whether a request in a namespace of the platform is for
// the gateway of the cluster, which is managed by roles of the cluster.
func isClusterGateway(a authorizer.Attributes) bool {
	return a.GetAPIGroup() == "gateway.kubesphere.io"
}

// isConfiguration reports whether objects of a resource hold credentials. The
// viewer's names may carry a group.
func isConfiguration(resource string) bool {
	resource, _, _ = strings.Cut(resource, ".")
	return resource == "secrets" || resource == "configmaps"
}

// HiddenNamespaces returns the namespaces an action in all namespaces leaves out
// for a user: the platform's namespaces with credentials, for secrets and
// configuration and for users other than administrators of the platform.
func (r *RBAC) HiddenNamespaces(ctx context.Context, who user.Info, action Action) ([]string, error) {
	return r.hiddenNamespaces(ctx, action.by(who))
}

func (r *RBAC) hiddenNamespaces(ctx context.Context, request *authorizer.AttributesRecord) ([]string, error) {
	if r.Platform == nil || !isProtected(request) {
		return nil, nil
	}
	administers, err := r.Administers(ctx, request.User)
	if err != nil || administers {
		return nil, err
	}
	return r.Platform.Names.CredentialNamespaces(), nil
}

// Administers reports whether a user is an administrator of the platform, with
// all rights on it, and may act as one: a personal access token does not reach
// the platform's credentials, whatever its scopes.
func (r *RBAC) Administers(ctx context.Context, who user.Info) (bool, error) {
	if r.All {
		return true, nil
	}
	if IsLimited(who) {
		return false, nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return false, err
	}
	return current.administers(who), nil
}
