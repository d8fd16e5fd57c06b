package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// Type is the type of these providers in the configuration.
const Type = "OIDCIdentityProvider"

// Options are the provider section of the configuration. All but groupsKey and
// the root CAs are KubeSphere 3.x'.
type Options struct {
	outbound.CodeOptions
	// Issuer is where the endpoints are discovered that are not configured.
	Issuer string `json:"issuer"`
	// GetUserInfo asks the userinfo endpoint for what the ID token does not say.
	GetUserInfo bool `json:"getUserInfo"`
	// EmailKey, PreferredUsernameKey and GroupsKey are names of claims.
	EmailKey             string `json:"emailKey"`
	PreferredUsernameKey string `json:"preferredUsernameKey"`
	GroupsKey            string `json:"groupsKey"`
}

// Provider implements identity.RedirectProvider.
type Provider struct {
	options   Options
	client    *http.Client
	now       func() time.Time
	discovery discovery
}

// New returns a provider; it is asked for its endpoints when somebody logs in.
func New(options Options, now func() time.Time) (*Provider, error) {
	if err := options.Check(); err != nil {
		return nil, err
	}
	if options.Issuer == "" {
		return nil, errors.New("issuer is missing")
	}
	if err := outbound.CheckURL("issuer", options.Issuer); err != nil {
		return nil, err
	}
	if len(options.Scopes) == 0 {
		options.Scopes = []string{oidc.ScopeOpenID, "profile", "email"}
	}
	if !slices.Contains(options.Scopes, oidc.ScopeOpenID) {
		options.Scopes = append([]string{oidc.ScopeOpenID}, options.Scopes...)
	}
	for key, standard := range map[*string]string{&options.EmailKey: "email", &options.PreferredUsernameKey: "preferred_username", &options.GroupsKey: "groups"} {
		if *key == "" {
			*key = standard
		}
	}
	client, err := outbound.Client(options.Trust())
	if err != nil {
		return nil, err
	}
	return &Provider{options: options, client: client, now: now}, nil
}

// LoginURL is where the browser goes to log in.
func (p *Provider) LoginURL(ctx context.Context, visit identity.Visit) (string, error) {
	known, err := p.discovered(ctx)
	if err != nil {
		return "", err
	}
	var more []oauth2.AuthCodeOption
	if visit.Nonce != "" {
		more = append(more, oidc.Nonce(visit.Nonce))
	}
	return known.code.URL(visit, more...), nil
}

// Return says who came back.
func (p *Provider) Return(ctx context.Context, visit identity.Visit, parameters url.Values) (identity.External, error) {
	// An answer of another provider is not exchanged here (RFC 9207).
	if from := parameters.Get("iss"); from != "" && from != p.options.Issuer {
		return identity.External{}, identity.ErrIncorrect
	}
	known, err := p.discovered(ctx)
	if err != nil {
		return identity.External{}, err
	}
	token, err := known.code.Exchange(ctx, visit, parameters)
	if err != nil {
		return identity.External{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return identity.External{}, fmt.Errorf("%w: it gives no ID token", identity.ErrUnavailable)
	}
	proven, err := p.verify(ctx, known.keys, raw, token.AccessToken, visit.Nonce)
	if err != nil {
		return identity.External{}, err
	}
	claims := make(map[string]any)
	if err := proven.Claims(&claims); err != nil {
		return identity.External{}, fmt.Errorf("%w: its ID token cannot be read", identity.ErrUnavailable)
	}
	if p.options.GetUserInfo {
		if err := p.userInfo(ctx, known.endpoint.UserInfoURL, token, proven.Subject, claims); err != nil {
			return identity.External{}, err
		}
	}
	return p.external(proven.Subject, claims), nil
}

// verify checks an ID token (OpenID Connect Core §3.1.3.7).
func (p *Provider) verify(ctx context.Context, keys oidc.KeySet, raw, accessToken, nonce string) (*oidc.IDToken, error) {
	fetched := &keySet{KeySet: keys}
	verifier := oidc.NewVerifier(p.options.Issuer, fetched, &oidc.Config{ClientID: p.options.ClientID, SupportedSigningAlgs: algorithms(), Now: p.now})
	refuse := func(reason string) (*oidc.IDToken, error) {
		slog.WarnContext(ctx, "an ID token is refused", "issuer", p.options.Issuer, "reason", reason)
		return nil, identity.ErrIncorrect
	}
	proven, err := verifier.Verify(ctx, raw)
	var call *url.Error
	if errors.As(fetched.failed, &call) {
		return nil, outbound.Unavailable("asking the provider for its keys", fetched.failed)
	}
	if err != nil {
		return refuse(err.Error())
	}
	var party struct {
		Authorized string `json:"azp"`
	}
	switch {
	case proven.Claims(&party) != nil || party.Authorized != "" && party.Authorized != p.options.ClientID:
		return refuse("it is for another client")
	case nonce != "" && subtle.ConstantTimeCompare([]byte(nonce), []byte(proven.Nonce)) != 1:
		return refuse("it is not of this login")
	case proven.AccessTokenHash != "" && proven.VerifyAccessToken(accessToken) != nil:
		return refuse("it does not belong to the access token")
	}
	return proven, nil
}

// algorithms are those whose keys the provider has for itself.
func algorithms() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}
}

// keySet remembers why a signature was not verified.
type keySet struct {
	oidc.KeySet
	failed error
}

func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, token)
	k.failed = err
	return payload, err
}

// userInfo adds the claims of the userinfo endpoint.
func (p *Provider) userInfo(ctx context.Context, address string, token *oauth2.Token, subject string, claims map[string]any) error {
	if address == "" {
		return fmt.Errorf("%w: it has no userinfo endpoint", identity.ErrUnavailable)
	}
	more := make(map[string]any)
	if err := outbound.GetJSON(ctx, p.client, address, token.AccessToken, &more); err != nil {
		return err
	}
	if text(more, "sub") != subject { // OpenID Connect Core §5.3.2
		slog.WarnContext(ctx, "the userinfo is of somebody else", "issuer", p.options.Issuer)
		return identity.ErrIncorrect
	}
	// What the ID token says of its address is not said of another.
	if _, said := more["email_verified"]; !said && text(more, "email") != "" && text(more, "email") != text(claims, "email") {
		delete(claims, "email_verified")
	}
	for name, value := range more {
		claims[name] = value
	}
	return nil
}

func (p *Provider) external(subject string, claims map[string]any) identity.External {
	who := identity.External{Subject: subject, Email: text(claims, p.options.EmailKey), DisplayName: text(claims, "name")}
	for _, key := range []string{p.options.PreferredUsernameKey, "nickname", "name"} {
		if who.Username = text(claims, key); who.Username != "" {
			break
		}
	}
	// What is verified is the claim email, and no other.
	verified := claims["email_verified"]
	who.EmailVerified = who.Email != "" && who.Email == text(claims, "email") && (verified == true || verified == "true")
	who.Groups = texts(claims[p.options.GroupsKey])
	return who
}

func text(claims map[string]any, key string) string {
	value, _ := claims[key].(string)
	return value
}

const mostGroups = 1000

// texts are the texts of a claim that is one or a list.
func texts(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, one := range value[:min(len(value), mostGroups)] {
			if name, isText := one.(string); isText {
				all = append(all, name)
			}
		}
		return all
	}
	return nil
}

var _ identity.RedirectProvider = (*Provider)(nil)
