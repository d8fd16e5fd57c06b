package authz

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// PlatformReason is the reason of a refusal of what Platform names.
const PlatformReason = "it belongs to the platform itself, which takes all rights on the platform"

// Platform names what belongs to the platform itself: its credentials, and what
// leads to them. No role reaches it but that of the platform's administrators.
type Platform struct {
	// Namespaces are those the platform's components and credentials are in.
	Namespaces []string
}

// NewPlatform returns the platform's objects. The namespaces are those of this
// server, those KubeSphere 3.x keeps credentials of users in, and the ones named.
func NewPlatform(namespaces ...string) *Platform {
	all := append([]string{kube.Namespace, kube.ControlsNamespace}, namespaces...)
	slices.Sort(all)
	return &Platform{Namespaces: slices.DeleteFunc(slices.Compact(all), func(name string) bool { return name == "" })}
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
		return slices.Contains(p.Namespaces, namespace) && isProtected(a)
	}
	if isRead(a.GetVerb()) {
		return false
	}
	switch a.GetResource() {
	case "namespaces":
		return slices.Contains(p.Namespaces, a.GetName())
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

// isProtected reports whether a request in a namespace of the platform is for
// what the platform owns there.
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
// for a user: those of the platform, for secrets and configuration and for who
// does not administer the platform.
func (r *RBAC) HiddenNamespaces(ctx context.Context, who user.Info, action Action) ([]string, error) {
	if r.Platform == nil || !isProtected(action.by(who)) {
		return nil, nil
	}
	administers, err := r.Administers(ctx, who)
	if err != nil || administers {
		return nil, err
	}
	return r.Platform.Namespaces, nil
}

// IsLimited reports whether a user's credential is a personal access token.
func IsLimited(who user.Info) bool {
	if who == nil {
		return false
	}
	_, limited := who.GetExtra()[ExtraScopes]
	return limited
}

// Administers reports whether a user is an administrator of the platform, who
// has everything there is on it, and may act as one: a personal access token is
// no way to the platform's credentials, whatever its scopes.
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
