package app

import (
	"context"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/kubeproxy"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// forwarded are the options of what forwards requests to Kubernetes: who may make them, and
// what is looked up for the objects in them. allowed decides again while a request lasts.
func (a *app) forwarded(network config.Network, decide authorizer.UnconditionalAuthorizer, limits *tenant.Limits, allowed func(*http.Request) error) kubeproxy.Options {
	return kubeproxy.Options{
		Config: a.rest, Rights: a.rights, Authorizer: decide, Revision: a.revision, Allowed: allowed,
		Isolation: a.isolation(network), Backend: a.extensions.NamesService, Limits: limits, SecondLock: a.lock,
		CheckQuotaName: func(ctx context.Context, workspace, name string) error {
			return tenant.CheckQuotaName(ctx, a.seen(), workspace, name)
		},
		CheckOrphans: func(ctx context.Context, who user.Info, workspace string) error {
			return tenant.CheckLeave(kube.AsServer(ctx), a.seen(), a.rights, who, workspace)
		},
		CheckNewNamespace: func(ctx context.Context, who user.Info, name string) error {
			if err := tenant.NamespaceRemains(ctx, a.seen(), name); err != nil {
				return err
			}
			return a.boundNames().Check(ctx, who, name)
		},
		GroupWorkspace: func(ctx context.Context, group string) (string, error) {
			return iam.GroupWorkspace(ctx, a.seen(), group)
		},
	}
}

// boundNames finds the bindings of service accounts of new namespaces.
func (a *app) boundNames() *tenant.BoundNames {
	return &tenant.BoundNames{Source: a.directory, Rights: a.rights}
}
