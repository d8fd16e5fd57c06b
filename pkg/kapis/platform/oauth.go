package platform

import (
	"log/slog"
	"net/http"
	"sync"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// OAuthOptions are what login pages have to know, without any secret.
type OAuthOptions struct {
	Issuer            string             `json:"issuer" description:"Address clients know the token service by."`
	IdentityProviders []IdentityProvider `json:"identityProviders,omitempty" description:"Where people may log in instead."`
	Clients           []OAuthClient      `json:"clients,omitempty" description:"The applications of the configuration file."`
	// AccessTokenMaxAge and AccessTokenInactivityTimeout are in nanoseconds, as
	// KubeSphere encodes them.
	AccessTokenMaxAge            int64 `json:"accessTokenMaxAge" description:"How long access tokens are valid, in nanoseconds."`
	AccessTokenInactivityTimeout int64 `json:"accessTokenInactivityTimeout" description:"How much longer a session can be refreshed, in nanoseconds."`
}

// IdentityProvider is a way to log in.
type IdentityProvider struct {
	Name                     string `json:"name" description:"Name of the identity provider."`
	Title                    string `json:"title,omitempty" description:"What to show instead of the name."`
	Type                     string `json:"type" description:"Kind of provider, such as LDAPIdentityProvider."`
	MappingMethod            string `json:"mappingMethod" description:"How people get accounts: auto, lookup, manual or mixed."`
	DisableLoginConfirmation bool   `json:"disableLoginConfirmation" description:"Whether accounts are made without asking."`
	// Provider are the options clients may know.
	Provider route.Object `json:"provider" description:"What is needed to send a browser there."`
}

// OAuthClient is an application.
type OAuthClient struct {
	Name         string   `json:"name" description:"Name of the application."`
	RedirectURIs []string `json:"redirectURIs,omitempty" description:"Where it may send browsers back to."`
}

func (h *Handler) oauthRoute() route.Route {
	return route.Route{
		Method: http.MethodGet, Path: "/kapis/config.kubesphere.io/v1alpha2/configs/oauth", ID: "getOAuthConfig", Public: true,
		Summary: "How one can log in", Description: "What login pages have to know: the identity providers with the addresses to send browsers to, and no secrets.", Handler: h.oauth,
		Responses: []route.Response{{Code: http.StatusOK, Description: "The options of the token service.", Model: OAuthOptions{}}},
	}
}

func (h *Handler) oauth(w http.ResponseWriter, r *http.Request) error {
	options := h.Config.Authentication.OAuthOptions
	shown := OAuthOptions{
		Issuer: options.Issuer, AccessTokenMaxAge: options.AccessTokenMaxAge.Nanoseconds(), AccessTokenInactivityTimeout: options.AccessTokenInactivityTimeout.Nanoseconds(),
	}
	for n := range options.Clients {
		shown.Clients = append(shown.Clients, OAuthClient{Name: options.Clients[n].Name, RedirectURIs: options.Clients[n].RedirectURIs})
	}
	ctx := r.Context()
	providers, err := h.Providers.List(ctx)
	if err != nil {
		slog.WarnContext(r.Context(), "some identity providers may be missing", "error", err)
	}
	var offered []*identity.Provider
	for _, p := range providers {
		if !p.Hidden {
			offered = append(offered, p)
		}
	}
	shown.IdentityProviders = make([]IdentityProvider, len(offered))
	var asked sync.WaitGroup // some have to ask where their login pages are
	for n, p := range offered {
		asked.Go(func() {
			one := IdentityProvider{
				Name: p.Name, Title: p.Title, Type: p.Type, MappingMethod: string(p.Mapping.Method), DisableLoginConfirmation: p.Mapping.WithoutConfirmation, Provider: route.Object{},
			}
			if p.Public != nil {
				one.Provider = p.Public(ctx)
			}
			shown.IdentityProviders[n] = one
		})
	}
	asked.Wait()
	status.WriteJSON(w, http.StatusOK, shown)
	return nil
}
