package app

import (
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/resources"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// authorizer decides about all requests that are not public.
func (a *app) authorizer(mode string, rights *authz.RBAC, reserved sets.Set[string]) authorizer.UnconditionalAuthorizer {
	if mode == config.ModeAlwaysDeny {
		return authorizerfactory.NewAlwaysDenyAuthorizer()
	}
	decide := decider(a.types, rights, a.kubectl.Own, reserved, a.extensions.ServesPath)
	if a.config.Authentication.PasswordPolicy.EnforceFirstChange {
		decide = authz.AnyOf{authz.FirstChange{Waits: a.directory.Waits}, decide}
	}
	return decide
}

func decider(types *objects.Resolver, rights *authz.RBAC, kubectl func(user, namespace, pod string) bool, reserved sets.Set[string], delegated func(path string) bool) authorizer.UnconditionalAuthorizer {
	return authz.ClusterTypes{
		Served: reserved, Delegated: delegated,
		Next: authz.AnyOf{authz.Scoped{}, authz.Own{Filtered: resources.Filtered(types), Rights: rights, Kubectl: kubectl}, rights},
	}
}

// Authorizer decides about all requests for the routes, by rights alone: it
// needs no Kubernetes.
func Authorizer(groups []route.Group, rights *authz.RBAC) authorizer.UnconditionalAuthorizer {
	return authz.AnyOf{publicPaths(groups), decider(&objects.Resolver{Catalog: objects.NewCatalog()}, rights, nil, served(groups), nil)}
}
