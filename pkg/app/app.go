package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/client-go/discovery"
	authenticationv1client "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/certificate"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/controllers"
	"github.com/super-kubenetes/ks-apiserver/pkg/extensions"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/kubeconfig"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/roles"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/terminal"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/kubeproxy"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/openapi"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/secondlock"
	"github.com/super-kubenetes/ks-apiserver/pkg/server"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/setup"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// Signing keys change every month and are published a day before they sign.
const (
	keyPeriod    = 30 * 24 * time.Hour
	keyAnnounce  = 24 * time.Hour
	keyInterval  = 15 * time.Second
	keysSecret   = "ks-apiserver-signing-keys" //nolint:gosec // a name
	refreshGrace = 30 * time.Second
	sweepEvery   = 10 * time.Minute
)

// Options are what Run needs.
type Options struct {
	// Config is validated by Run.
	Config *config.Config
	// Reload reads the configuration as it is now, for what follows it without a
	// restart: identity providers. Nil when it cannot change.
	Reload func() (*config.Config, error)
	// Listening, when set, is called with the plain address once the server
	// accepts connections; it serves requests soon after.
	Listening func(net.Addr)
	// Transport, when set, wraps what sends the requests of the server to Kubernetes, for
	// who observes them.
	Transport func(http.RoundTripper) http.RoundTripper
}

// app is everything that was built.
type app struct {
	config    *config.Config
	names     *reserved.Register
	rest      *rest.Config
	client    client.Client
	acting    client.Client // as the user of the context
	monitor   *kube.Monitor
	catalog   *objects.Catalog
	types     *objects.Resolver
	cache     *objects.Cache
	directory *iam.Directory
	keys      *token.SecretKeys
	sessions  *session.Sessions
	tokens    *accesstoken.Tokens
	setup     *setup.Setup
	reconcile *controllers.Controllers
	records   *iam.Records
	kubectl   *terminal.Kubectl
	rights    *authz.RBAC
	lock      *secondlock.Lock
	mirrored  *controllers.Mirrors
	proxy     *kubeproxy.Proxy
	// certificate is nil when there is no need to make one.
	certificate *certificate.Store
	// extensions are the services that serve a part of the API, and documents
	// what they say of it.
	extensions *extensions.Registry
	documents  *extensions.Documents
	problems   *problemReporter
	// revisions counts the calls of revision for service accounts.
	revisions atomic.Uint64
	server    *server.Server
}

// Run serves until the context ends. Kubernetes may come and go meanwhile.
func Run(ctx context.Context, options Options) error {
	if err := options.Config.Validate(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	a, err := build(ctx, &options)
	if err != nil {
		return err
	}
	for _, name := range options.Config.Unused() {
		slog.WarnContext(ctx, "this part of the configuration has no effect in this version", "key", name)
	}
	if options.Listening != nil {
		options.Listening(a.server.Address())
	}
	slog.InfoContext(ctx, "listening", "address", a.server.Address(), "version", Version)

	// What serves requests ends after the requests do.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	runs := []func(context.Context){a.monitor.Run, a.cache.Run, a.keys.Run, a.prepare, a.sweep, a.reconcile.Run, a.records.Run, a.follow, a.documents.Run, a.kubectl.Run, a.standing, a.mirror, a.problems.Run}
	if a.certificate != nil {
		runs = append(runs, a.certificate.Run)
	}
	for _, run := range runs {
		running.Go(func() { run(background) })
	}
	err = a.server.Run(ctx)
	stop()
	running.Wait()
	return err
}

// prepare reads what always has to be known and sets the cluster up. Only the
// types that setup may have to install first wait for it: reading the pods of a
// large cluster takes longer than setting it up.
func (a *app) prepare(ctx context.Context) {
	a.pin(a.config.Objects.AlwaysOn) //nolint:contextcheck // a type outlives who asked for it
	a.setup.Run(ctx)
	a.pin(append(iam.Pinned(), extensions.Pinned()...)) //nolint:contextcheck // see above
}

func (a *app) pin(resources []string) {
	for _, resource := range resources {
		a.cache.Pin(a.catalog.Type(resource))
	}
}

// standing keeps asking whether Kubernetes lets this server in, which it does
// not before the cluster is set up.
func (a *app) standing(ctx context.Context) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for a.setup.Ready() != nil {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	a.proxy.Run(ctx)
}

// sweep deletes sessions and tokens that are over.
func (a *app) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := a.sessions.Sweep(ctx, a.config.Authentication.OAuthOptions.AccessTokenMaxAge.Duration); err != nil {
			slog.WarnContext(ctx, "ended sessions cannot be deleted", "error", err)
		}
		if err := a.tokens.Sweep(ctx); err != nil {
			slog.WarnContext(ctx, "ended access tokens cannot be deleted", "error", err)
		}
	}
}

func build(ctx context.Context, o *Options) (*app, error) {
	c, reload := o.Config, o.Reload
	a := &app{config: c, catalog: objects.NewCatalog(), names: reservedNames(c)}
	for _, resource := range c.Objects.AlwaysOn {
		if a.catalog.Type(resource) == nil {
			return nil, fmt.Errorf("configuration: objects.alwaysOn: unknown resource type %q", resource)
		}
	}
	if err := a.connect(c, o.Transport); err != nil {
		return nil, err
	}
	options := c.Authentication.OAuthOptions
	a.keys = &token.SecretKeys{
		Client: a.client, Namespace: kube.Namespace, Name: keysSecret, Now: time.Now, Random: rand.Reader, Interval: keyInterval,
		Rotation: rotation(&options),
	}
	a.sessions = &session.Sessions{
		Client: a.client, Now: time.Now, Random: rand.Reader, Grace: refreshGrace, Lifetime: options.SessionMaxAge.Duration,
		IdleTimeout: options.AccessTokenMaxAge.Duration + options.AccessTokenInactivityTimeout.Duration,
	}
	a.sessions.MaxConsents = c.Limits.ConsentsPerUser
	a.sessions.Bound = &session.Bound{Cache: a.cache, Kind: a.catalog.Type("sessions"), PerUser: options.MaxSessionsPerUser}
	a.sessions.Lookups = session.NewLookups(a.cache, a.catalog.Type("sessions"))
	a.tokens = accesstoken.New(a.cache, a.catalog.Type("personalaccesstokens"), a.client, time.Now, rand.Reader)
	a.tokens.PerUser = c.Authentication.MaxTokensPerUser
	a.setup = &setup.Setup{
		Client: a.client, AdminPassword: c.Authentication.AdminPassword, ConfiguredClients: options.Clients, Random: rand.Reader, Now: time.Now,
		Hasher: hasher(c.Authentication), Names: a.names,
	}
	own := rest.CopyConfig(a.rest)
	own.QPS = -1
	unlimited, err := kube.NewClient(own)
	if err != nil {
		return nil, err
	}
	a.mirrored = a.mirrors(unlimited)
	a.records = iam.NewRecords(a.client, a.directory)
	a.reconcile = &controllers.Controllers{
		Config: a.rest, Client: a.acting, Identity: identityOf(), Ready: a.setup.Ready, Sessions: a.sessions, Passwords: chosenPasswords(c.Authentication), Now: time.Now,
		MaximumRecords: c.Authentication.LoginHistoryMaximumEntries, RecordRetention: c.Authentication.LoginHistoryRetentionPeriod.Duration,
		Network: c.Network, Names: a.names,
		Also: []manager.Runnable{a.mirrors(unlimited), &controllers.FormerBinding{Client: a.client, Now: time.Now}},
	}
	return a, a.serve(ctx, c, reload)
}

// connect builds what talks to Kubernetes, without talking to it yet.
func (a *app) connect(c *config.Config, wrap func(http.RoundTripper) http.RoundTripper) (err error) {
	if a.rest, err = kube.RESTConfig(c.Kubernetes); err != nil {
		return err
	}
	a.rest.Wrap(wrap)
	if a.client, err = kube.NewClient(a.rest); err != nil {
		return err
	}
	questions := rest.CopyConfig(a.rest)
	questions.Timeout = 5 * time.Second
	asked, err := discovery.NewDiscoveryClientForConfig(questions)
	if err != nil {
		return err
	}
	a.monitor = &kube.Monitor{Discovery: asked, Interval: 5 * time.Second}
	if a.cache, err = objects.NewCache(objects.Options{
		Config: a.rest, SyncTimeout: c.Objects.SyncTimeout.Duration, IdleTimeout: c.Objects.IdleTimeout.Duration,
	}); err != nil {
		return err
	}
	a.types = &objects.Resolver{Catalog: a.catalog, Discovery: asked, Now: time.Now, Definition: a.definition}
	a.directory = &iam.Directory{Cache: a.cache, Catalog: a.catalog, Client: a.client}
	a.rights = &authz.RBAC{
		Source: a.directory, All: c.Authorization.Mode == config.ModeAlwaysAllow,
		Platform: authz.NewPlatform(a.names),
	}
	if a.lock, err = a.secondLock(); err != nil {
		return err
	}
	a.acting, err = kube.NewClient(kube.Acting(a.patient(a.rest), a.identify))
	return err
}

// definition reads the definition of a custom resource.
func (a *app) definition(ctx context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	return definition, a.client.Get(ctx, client.ObjectKey{Name: name}, definition)
}

func (a *app) serve(ctx context.Context, c *config.Config, reload func() (*config.Config, error)) error {
	backoff := a.newBackoff()
	backoff.Earlier = a.directory.Failures(c.Authentication.AuthenticateRateLimiterDuration.Duration, time.Now)
	passwords, err := identity.NewPasswords(a.directory, hasher(c.Authentication), backoff)
	if err != nil {
		return err
	}
	passwords.Version = a.directory.Version
	seen := *a.sessions
	seen.Client = a.seen()
	seenTokens := *a.tokens
	seenTokens.Client = a.seen()
	tokens := a.newTokens()
	a.extend(tokens)
	active := session.NewRegistry(a.cache, a.catalog.Type("sessions"), a.client)
	// Kubernetes may ask this server about tokens in turn: it is not asked back.
	own := authn.New(tokens, active, a.directory, passwords, a.tokens)
	requests := own
	var serviceAccounts authenticator.Token
	if c.Authentication.ServiceAccountTokens {
		reviewer, err := authenticationv1client.NewForConfig(a.rest)
		if err != nil {
			return err
		}
		serviceAccounts = authn.NewServiceAccounts(reviewer.TokenReviews(), tokens.Issuer)
		requests = authn.New(tokens, active, a.directory, passwords, a.tokens, serviceAccounts)
	}
	rights := a.rights
	credentials := &kubeconfig.Handler{
		Accounts: a.directory, Sessions: &seen, Tokens: tokens,
		Lifetime: c.Authentication.OAuthOptions.AccessTokenMaxAge.Duration, Address: a.address(c),
	}
	a.certificate = newCertificate(a)
	if a.kubectl, err = newKubectl(a, credentials); err != nil {
		return err
	}
	guard, err := newEgress(a)
	if err != nil {
		return err
	}
	reserved := served(Routes())
	decide := a.authorizer(c.Authorization.Mode, rights, reserved)
	limits := &tenant.Limits{Cache: a.cache, Catalog: a.catalog, Client: a.client, Rights: rights, Values: c.Limits}
	var d doors
	allowed := func(r *http.Request) error { _, err := d.stillAllowed(r); return err }
	forwarded := a.forwarded(c.Network, decide, limits, allowed)
	if a.proxy, err = kubeproxy.New(forwarded); err != nil {
		return err
	}
	proxy := a.proxy
	accounts := newAccounts(a.seen(), a.directory, passwords, chosenPasswords(c.Authentication), &seen, &seenTokens)
	accounts.projects.Names, accounts.projects.BoundNames = a.names, a.boundNames()
	people := newPeople(a, accounts.users, accounts.groups, backoff, reload)
	d = doors{
		limits: limits,
		proxy:  proxy, lock: a.lock, asUsers: kube.Acting(a.patient(a.rest), a.identify), active: active, serviceAccounts: serviceAccounts, people: people,
		oauth: a.newOAuth(tokens, passwords, own, people),
		roles: &roles.Handler{
			Cache: a.cache, Catalog: a.catalog, Client: a.seen(), Authorizer: decide, Rights: rights, Accounts: a.directory,
			Limits: limits, Capabilities: capabilities{types: a.types, backends: a.extensions},
		},
		revision: a.revision,
		cache:    a.cache, types: a.types, authorizer: decide, rights: rights, config: c, kubernetes: a.monitor.Version,
		accounts: accounts, kubeconfig: credentials, kubectl: a.kubectl, egress: guard, terminals: terminal.NewLimits(c.Terminal.MaxPerUser, c.Terminal.MaxOpen).Files(c.Terminal.MaxFileBytes),
	}
	a.problems = newProblemReporter(a.acting, d.oauth.Clients, people.set)
	a.extensions.Allowed = allowed
	a.extensions.Revision = a.revision
	groups := d.groups()
	inTurn(groups)
	reviews, err := d.roles.SelfReviews()
	if err != nil {
		return err
	}
	documents := &openapi.Documents{}
	groups = append(groups, documents.Group(proxy), reviews, d.users().OwnGroup(proxy))
	a.documents = &extensions.Documents{Registry: a.extensions, Publish: publish(documents)}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "ks_apiserver_terminals", Help: "Terminals that are open, and files on their way."},
		func() float64 { return float64(d.terminals.Open()) },
	))
	registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "ks_apiserver_extensions_left_alone", Help: "Back ends of extensions that are left alone for a moment, since they could not be reached several times in a row."},
		a.extensions.Open,
	))
	registry.MustRegister(newCacheMetrics(a.cache), newGroupOmissions(), newDisagreements(a.lock))
	options := server.Options{
		Config: c.Server, Groups: groups, Kubernetes: proxy, Registry: registry, Ready: a.checks(),
		Authenticator: requests,
		Authorizer:    authz.AnyOf{publicPaths(append(groups, server.HealthGroup(nil))), decide}, DevOpsNamespace: a.directory.DevOpsNamespace, OwnerOf: d.limits.OwnerOf, Elsewhere: a.extensions, ReadsBody: proxy.ReadsBody, StillAllowed: allowed,
	}
	if a.certificate != nil {
		options.Certificate = a.certificate.Certificate
	}
	if a.server, err = server.New(ctx, options); err != nil {
		return err
	}
	return documents.SetOwn(openapi.Swagger(a.server.Container(), Version))
}
