package oidc

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// TestZitadel completes every flow with the relying party and the resource
// server of zitadel/oidc, whose handlers an application mounts.
func TestZitadel(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			forgetKeys(t)
			a := newApplication(t)
			issuer := startServer(t, algorithm, a)
			ctx := t.Context()
			key := []byte("0123456789abcdef0123456789abcdef")
			scopes := []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, "groups", oidc.ScopeOfflineAccess}
			party := func(t *testing.T, client, secret string) rp.RelyingParty {
				t.Helper()
				party, err := rp.NewRelyingPartyOIDC(ctx, issuer, client, secret, a.callback(), scopes,
					rp.WithPKCE(httphelper.NewCookieHandler(key, key, httphelper.WithUnsecure())), rp.WithSigningAlgsFromDiscovery(),
					rp.WithVerifierOpts(rp.WithIssuedAtOffset(5*time.Second)))
				if err != nil {
					t.Fatal(err)
				}
				return party
			}
			app := party(t, confidential, confidentialSecret)
			got := make(chan *oidc.Tokens[*oidc.IDTokenClaims], 1)
			a.mux.HandleFunc("/login", rp.AuthURLHandler(func() string { return "the state" }, app))
			a.mux.HandleFunc("/callback", rp.CodeExchangeHandler(rp.UserinfoCallback(
				func(w http.ResponseWriter, _ *http.Request, tokens *oidc.Tokens[*oidc.IDTokenClaims], state string, _ rp.RelyingParty, info *oidc.UserInfo) {
					if state != "the state" || info.Subject != username || info.Email != "admin@kubesphere.io" {
						t.Errorf("state %q, user %+v", state, info)
					}
					got <- tokens
					_, _ = w.Write([]byte("welcome"))
				}), app))

			someone := newPerson(t)
			if last := someone.visit(t, a.URL+"/login"); last != "welcome" {
				t.Fatalf("pages %q, then %s", someone.pages, last)
			}
			tokens := <-got
			if tokens.IDTokenClaims.Subject != username || tokens.IDTokenClaims.Email != "admin@kubesphere.io" || len(tokens.IDTokenClaims.AuthenticationMethodsReferences) != 1 {
				t.Errorf("claims %+v", tokens.IDTokenClaims)
			}
			mayUse(t, issuer, tokens.AccessToken)

			t.Run("refresh", func(t *testing.T) {
				next, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, app, tokens.RefreshToken, "", "")
				if err != nil || next.RefreshToken == tokens.RefreshToken || next.IDTokenClaims.Subject != username {
					t.Fatalf("%v", err)
				}
				mayUse(t, issuer, next.AccessToken)
				tokens = next
			})
			resource, err := rs.NewResourceServerClientCredentials(ctx, issuer, service, serviceSecret)
			if err != nil {
				t.Fatal(err)
			}
			introspect := func(t *testing.T, text string) *oidc.IntrospectionResponse {
				t.Helper()
				answer, err := rs.Introspect[*oidc.IntrospectionResponse](ctx, resource, text)
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			t.Run("introspection", func(t *testing.T) {
				if answer := introspect(t, tokens.AccessToken); !answer.Active || answer.Subject != username || answer.ClientID != confidential || len(answer.Scope) != 5 {
					t.Errorf("%+v", answer)
				}
				if answer := introspect(t, tokens.AccessToken+"x"); answer.Active {
					t.Errorf("%+v", answer)
				}
			})
			t.Run("client credentials", func(t *testing.T) {
				token, err := rp.ClientCredentials(ctx, party(t, service, serviceSecret), nil)
				if err != nil {
					t.Fatal(err)
				}
				mayUse(t, issuer, token.AccessToken)
			})
			t.Run("device", func(t *testing.T) {
				native := party(t, public, "")
				device, err := rp.DeviceAuthorization(ctx, scopes, native, nil)
				if err != nil {
					t.Fatal(err)
				}
				if last := someone.visit(t, device.VerificationURIComplete); !strings.Contains(last, "Device connected") {
					t.Fatalf("%q: %s", someone.pages, last)
				}
				waiting, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				answer, err := rp.DeviceAccessToken(waiting, device.DeviceCode, time.Duration(device.Interval)*time.Second, native)
				if err != nil {
					t.Fatal(err)
				}
				claims, err := rp.VerifyTokens[*oidc.IDTokenClaims](ctx, answer.AccessToken, answer.IDToken, native.IDTokenVerifier())
				if err != nil || claims.Subject != username {
					t.Errorf("%v, %+v", err, claims)
				}
				mayUse(t, issuer, answer.AccessToken)
			})
			t.Run("password", func(t *testing.T) {
				token, err := app.OAuthConfig().PasswordCredentialsToken(ctx, username, password)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := token.Extra("id_token").(string)
				if _, err := rp.VerifyTokens[*oidc.IDTokenClaims](ctx, token.AccessToken, text, app.IDTokenVerifier()); err != nil {
					t.Error(err)
				}
			})
			t.Run("revocation", func(t *testing.T) {
				token, err := app.OAuthConfig().PasswordCredentialsToken(ctx, username, password)
				if err != nil {
					t.Fatal(err)
				}
				if err := rp.RevokeToken(ctx, app, token.RefreshToken, "refresh_token"); err != nil {
					t.Fatal(err)
				}
				deadline := time.Now().Add(time.Second)
				for introspect(t, token.AccessToken).Active {
					if time.Now().After(deadline) {
						t.Fatal("the access token is active a second later")
					}
				}
				_, err = app.OAuthConfig().TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
				if err == nil || !strings.Contains(err.Error(), "invalid_grant") {
					t.Errorf("refreshed: %v", err)
				}
			})
			t.Run("logout", func(t *testing.T) {
				to, err := rp.EndSession(ctx, app, tokens.IDToken, a.URL+"/bye", "the end", "", nil)
				if err != nil || to == nil || to.String() != a.URL+"/bye?state=the+end" {
					t.Fatalf("to %v, %v", to, err)
				}
				if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, app, tokens.RefreshToken, "", ""); err == nil {
					t.Error("the session goes on")
				}
			})
		})
	}
}
