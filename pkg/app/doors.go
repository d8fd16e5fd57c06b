package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/rest"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/egress"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/kubeconfig"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/platform"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/resources"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/roles"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/terminal"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauth"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/openapi"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/secondlock"
	"github.com/super-kubenetes/ks-apiserver/pkg/server"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// Version is the version of the KubeSphere API that is served; it and the
// commit are set when the binary is built.
var (
	Version   = "v3.4.0"
	GitCommit = ""
	BuildDate = ""
)

// doors are what the API groups depend on.
type doors struct {
	oauth      *oauth.Handler
	cache      *objects.Cache
	types      *objects.Resolver
	authorizer authorizer.UnconditionalAuthorizer
	rights     *authz.RBAC
	limits     *tenant.Limits
	roles      *roles.Handler
	config     *config.Config
	kubernetes func() *version.Info
	accounts   *accounts
	people     *people
	kubeconfig *kubeconfig.Handler
	asUsers    *rest.Config // reaches kube-apiserver as the user of the context
	active     *session.Registry
	// serviceAccounts authenticates the tokens of service accounts; nil where they are not accepted.
	serviceAccounts authenticator.Token
	kubectl         *terminal.Kubectl
	terminals       *terminal.Limits
	egress          *egress.Guard
	lock            *secondlock.Lock
	proxy           http.Handler // /api and /apis of Kubernetes, as the caller
	revision        func(context.Context) any
}

// groups are all operations of the API.
func (d doors) groups() []route.Group {
	viewer := &resources.Handler{
		Cache: d.cache, Types: d.types, Authorizer: d.authorizer, Agrees: d.lock.Agrees, Rights: d.rights, Now: time.Now,
		Allowed: func(r *http.Request) error { _, err := d.stillAllowed(r); return err }, Revision: d.revision,
	}
	groups := append(d.oauth.Groups(),
		d.oauth.LoginGroup(),
		viewer.Group(), viewer.LegacyGroup(),
		d.roles.Group(),
		(&platform.Handler{Config: d.config, Build: Build(), Kubernetes: d.kubernetes, Providers: d.people.providers, Themes: &platform.Themes{Client: d.accounts.client, Now: time.Now}}).Group(),
	)
	groups = append(groups, d.accountGroups()...)
	groups = append(groups, d.clusterGroups()...)
	return append(groups, (&resources.Dynamic{
		Handler: viewer, Kubernetes: d.proxy, MaxBodyBytes: d.config.Server.MaxBodyBytes, Reserved: served(groups),
	}).Group())
}

// gatewayGroup has a door for what consoles do, which checks nothing that
// Kubernetes' API would not: its other types, and versions, are served as any.
const gatewayGroup = "gateway.kubesphere.io"

// served are the API groups with a door of their own, and those of the platform
// whose objects must not be written past the checks of theirs.
func served(groups []route.Group) sets.Set[string] {
	names := sets.New("iam.kubesphere.io", "tenant.kubesphere.io", "resources.kubesphere.io")
	for g := range groups {
		if rest, found := strings.CutPrefix(groups[g].Prefix, "/kapis/"); found {
			if name, _, _ := strings.Cut(rest, "/"); name != gatewayGroup {
				names.Insert(name)
			}
		}
	}
	return names
}

// Build describes this binary.
func Build() platform.Version {
	major, minor, _ := strings.Cut(strings.TrimPrefix(Version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	return platform.Version{GitVersion: Version, GitMajor: major, GitMinor: minor, GitCommit: GitCommit, BuildDate: BuildDate}
}

// Routes are all operations. They need no configuration and no Kubernetes, and
// serve nothing: they are for documents, and for tests of who may do what.
func Routes() []route.Group {
	d := doors{oauth: &oauth.Handler{}, roles: &roles.Handler{}, accounts: &accounts{}, people: &people{}, kubeconfig: &kubeconfig.Handler{}, types: &objects.Resolver{Catalog: objects.NewCatalog()}, config: config.Default()}
	return append(d.groups(), new(openapi.Documents).Group(http.NotFoundHandler()), server.HealthGroup(nil), server.MetricsGroup(prometheus.NewRegistry()))
}

// Document returns the document of all operations, as Swagger 2.0 or as OpenAPI
// 3.0. It needs no configuration and no Kubernetes.
func Document(v3 bool) ([]byte, error) {
	container, err := route.NewContainer(Routes()...)
	if err != nil {
		return nil, err
	}
	document := openapi.Swagger(container, Version)
	if v3 {
		return openapi.V3(document)
	}
	return openapi.Encode(document)
}

// publicPaths are the paths that need no rights: those of the operations
// declared public, and the token service.
func publicPaths(groups []route.Group) authz.AnyOf {
	public := authz.Public{"/oauth/"}
	var reads authz.PublicReads
	closed := sets.New[string]() // to some methods
	for g := range groups {
		for n := range groups[g].Routes {
			if r := &groups[g].Routes[n]; !r.Public {
				closed.Insert(groups[g].Path(r))
			}
		}
	}
	for g := range groups {
		for n := range groups[g].Routes {
			r := &groups[g].Routes[n]
			path := groups[g].Path(r)
			switch below, _, tail := strings.Cut(path, "{"); {
			case r.Public && !closed.Has(path) && tail && strings.HasSuffix(path, ":*}"):
				public = append(public, below)
			case r.Public && !closed.Has(path):
				public = append(public, path)
			case r.Public && r.Method == http.MethodGet:
				reads = append(reads, path)
			}
		}
	}
	return authz.AnyOf{public, reads}
}
