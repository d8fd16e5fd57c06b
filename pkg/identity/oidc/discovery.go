package oidc

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// A provider is asked for its endpoints once in a while, and not again at once
// when it does not answer: many may want to log in then.
const (
	discoverEvery = time.Hour
	retryEvery    = 5 * time.Second
)

// discovery is what is known of a provider.
type discovery struct {
	mu     sync.Mutex
	next   time.Time // when to ask again
	failed error
	known  *known
}

// known is what a provider said of itself.
type known struct {
	endpoint outbound.Endpoint
	keys     oidc.KeySet
	code     *outbound.Code
}

func (p *Provider) discovered(ctx context.Context) (*known, error) {
	d := &p.discovery
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.now().Before(d.next) {
		return d.known, d.failed
	}
	found, err := p.discover(ctx)
	switch {
	case err == nil:
		d.known, d.failed, d.next = found, nil, p.now().Add(discoverEvery)
	case d.known == nil:
		d.failed, d.next = err, p.now().Add(retryEvery)
	default:
		d.next = p.now().Add(retryEvery) // what was known goes on meanwhile
	}
	return d.known, d.failed
}

func (p *Provider) discover(ctx context.Context) (*known, error) {
	// Keys are fetched later on, for other logins.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), p.client)
	options, style := p.options.CodeOptions, oauth2.AuthStyleAutoDetect
	if e := options.Endpoint; e.AuthURL == "" || e.TokenURL == "" || e.JWKSURL == "" {
		provider, err := oidc.NewProvider(ctx, p.options.Issuer)
		if err != nil {
			return nil, outbound.Unavailable("asking the provider for its endpoints", err)
		}
		var metadata struct {
			Methods       []string `json:"token_endpoint_auth_methods_supported"`
			JWKSURL       string   `json:"jwks_uri"`
			EndSessionURL string   `json:"end_session_endpoint"`
		}
		if err := provider.Claims(&metadata); err != nil {
			return nil, outbound.Unavailable("asking the provider for its endpoints", err)
		}
		// The default is HTTP Basic (OpenID Connect Discovery §3).
		style = oauth2.AuthStyleInHeader
		if len(metadata.Methods) > 0 && !slices.Contains(metadata.Methods, "client_secret_basic") {
			style = oauth2.AuthStyleInParams
		}
		options.Endpoint = options.Endpoint.Or(outbound.Endpoint{
			AuthURL: provider.Endpoint().AuthURL, TokenURL: provider.Endpoint().TokenURL, UserInfoURL: provider.UserInfoEndpoint(),
			JWKSURL: metadata.JWKSURL, EndSessionURL: metadata.EndSessionURL,
		})
		if err := options.Check(); err != nil {
			return nil, outbound.Unavailable("what the provider says of itself", err)
		}
	}
	return &known{
		endpoint: options.Endpoint, keys: oidc.NewRemoteKeySet(ctx, options.Endpoint.JWKSURL), code: outbound.NewCode(p.client, &options, style, true),
	}, nil
}

// Public are the options clients may know, with the endpoints that were discovered.
func (p *Provider) Public(ctx context.Context) map[string]any {
	options := p.options.CodeOptions
	if found, err := p.discovered(ctx); err == nil {
		options.Endpoint = found.endpoint
	}
	public := options.Public()
	public["issuer"] = p.options.Issuer
	return public
}
