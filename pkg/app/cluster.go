package app

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/certificate"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/egress"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/components"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/gateways"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/ippools"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/kubeconfig"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/nodes"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/registries"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/statistics"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/terminal"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/workloads"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/kubeproxy"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// clusterGroups are the operations on what runs in the cluster.
func (d doors) clusterGroups() []route.Group {
	a := d.accounts
	health := &components.Handler{Cache: d.cache, Catalog: d.types.Catalog}
	jobs := &workloads.Handler{Client: a.client, Rights: d.rights}
	numbers := &statistics.Handler{Cache: d.cache, Types: d.types, Directory: a.directory, Now: time.Now}
	shells := &terminal.Handler{
		Config: d.asUsers, Client: a.client, Rights: d.rights, Allowed: d.stillAllowed, Kubectl: d.kubectl, Limits: d.terminals, Image: d.config.Terminal.Image,
		IdleTimeout: time.Duration(d.config.Terminal.Timeout) * time.Second, MaxLifetime: d.config.Terminal.MaxLifetime.Duration,
		MaxFileBytes: d.config.Terminal.MaxFileBytes, Now: time.Now,
	}
	others := &registries.Handler{Client: a.client, Rights: d.rights, Egress: d.egress, Asks: registries.NewAsks()}
	groups := append(health.Groups(), jobs.Groups()...)
	groups = append(groups, others.Groups()...)
	groups = append(groups, (&gateways.Handler{Client: a.client, Namespace: d.config.Gateway.Namespace, Rights: d.rights}).Groups()...)
	groups = append(groups, (&ippools.Handler{Cache: d.cache, Types: d.types}).Group())
	groups = append(groups, numbers.Group(), (&nodes.Handler{Client: a.client, Rights: d.rights}).Group())
	return append(groups, shells.Groups()...)
}

// newEgress guards the connections users ask for.
func newEgress(a *app) (*egress.Guard, error) {
	cluster := &egress.Cluster{Reader: a.acting, Now: time.Now}
	return egress.New(a.config.Egress, func(ctx context.Context, address netip.Addr) (bool, error) {
		return cluster.Inside(kube.AsServer(ctx), address)
	})
}

// isolation returns the network isolation of namespaces; nil when there is none.
func (a *app) isolation(options config.Network) kubeproxy.IsolationReader {
	if !options.EnableNetworkPolicy {
		return nil
	}
	return func(ctx context.Context, name string) (isolation.State, error) {
		ctx = kube.AsServer(ctx)
		namespace := &corev1.Namespace{}
		if err := a.acting.Get(ctx, client.ObjectKey{Name: name}, namespace); err != nil {
			return isolation.State{}, kube.Err(client.IgnoreNotFound(err))
		}
		state, err := isolation.ForNamespace(ctx, a.acting, namespace)
		return state, kube.Err(err)
	}
}

// newKubectl makes the pods people run kubectl in.
func newKubectl(a *app, credentials *kubeconfig.Handler) (*terminal.Kubectl, error) {
	options := a.config.Terminal.Kubectl
	k := &terminal.Kubectl{
		Client: a.acting, Accounts: a.directory, Credentials: credentials, Namespace: options.Namespace, Image: a.config.Authentication.KubectlImage,
		Server: options.Server, Lifetime: min(kubectlTokens, a.config.Authentication.OAuthOptions.AccessTokenMaxAge.Duration),
		IdleTimeout: options.IdleTimeout.Duration, Now: time.Now,
	}
	switch {
	case options.CertificateAuthority != "":
		authority, err := os.ReadFile(options.CertificateAuthority)
		if err != nil {
			return nil, fmt.Errorf("configuration: terminal.kubectl.certificateAuthority: %w", err)
		}
		k.Authority = func() ([]byte, error) { return authority, nil }
	case options.Server == "" && a.certificate != nil:
		k.Server, k.Authority = "https://"+secureService+"."+kube.Namespace+".svc", a.certificate.Authority
	case options.Server == "" && credentials.Address.PublicURL != "":
		k.Server, k.Authority = credentials.Address.PublicURL, credentials.Address.PublicAuthority
	default: // those of the image
		k.Authority = func() ([]byte, error) { return nil, nil }
	}
	return k, nil
}

// secureService is the Service over which this server is reached by HTTPS.
const secureService = "ks-apiserver-secure"

// certificateSecret is where the certificate is kept that is made here.
const certificateSecret = "ks-apiserver-certificate" //nolint:gosec // a name

// newCertificate keeps a certificate for the names of this server within the
// cluster; nil when it is given another, or none is shown.
func newCertificate(a *app) *certificate.Store {
	if a.config.Server.SecurePort == 0 || a.config.Server.TLSCertFile != "" {
		return nil
	}
	hosts := []string{"localhost", "127.0.0.1"}
	for _, service := range []string{secureService, "ks-apiserver"} {
		name := service + "." + kube.Namespace
		hosts = append(hosts, service, name, name+".svc", name+".svc.cluster.local")
	}
	return &certificate.Store{Client: a.client, Namespace: kube.Namespace, Name: certificateSecret, Hosts: hosts, Now: time.Now, Interval: certificateEvery}
}

// certificateEvery is how often the certificate is read, which another replica
// may have changed.
const certificateEvery = time.Minute

// kubectlTokens is how long a token in a pod is valid: not much longer than
// somebody uses it.
const kubectlTokens = 30 * time.Minute

// stillAllowed returns the caller of a request that lasts as of now, or why it
// may not go on: the session or token has ended, the user is disabled, or a
// right is gone.
func (d doors) stillAllowed(r *http.Request) (user.Info, error) {
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		return nil, status.Unauthorized("Unauthorized: this needs credentials")
	}
	sender := who
	if another, ok := who.(*kube.Another); ok {
		sender = another.By
	}
	as, err := d.currentUser(r.Context(), sender)
	if err != nil {
		return nil, err
	}
	asked, err := authz.Asked(r.Header)
	if err == nil && asked != nil {
		as, err = asked.By(r.Context(), d.authorizer, as)
	}
	if err != nil {
		return nil, err
	}
	_, decision, _, err := authz.AuthorizeRequest(r.Context(), d.authorizer, request.InfoFrom(r.Context()), as)
	if err != nil {
		return nil, err
	}
	if decision != authorizer.DecisionAllow {
		return nil, status.New(http.StatusForbidden, "Forbidden", "the right to do this was taken away")
	}
	return as, nil
}
