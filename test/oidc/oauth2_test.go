package oidc

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// TestOAuth2AndGoOIDC completes every flow with golang.org/x/oauth2, and
// verifies what comes of it with coreos/go-oidc.
func TestOAuth2AndGoOIDC(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			forgetKeys(t)
			a := newApplication(t)
			issuer := startServer(t, algorithm, a)
			ctx := t.Context()
			provider, err := oidc.NewProvider(ctx, issuer)
			if err != nil {
				t.Fatal(err)
			}
			conf := &oauth2.Config{ClientID: confidential, ClientSecret: confidentialSecret, Endpoint: provider.Endpoint(), RedirectURL: a.callback(),
				Scopes: []string{oidc.ScopeOpenID, "profile", "email", "groups"}}
			check := func(t *testing.T, token *oauth2.Token, audience, nonce string) {
				t.Helper()
				text, _ := token.Extra("id_token").(string)
				id, err := provider.Verifier(&oidc.Config{ClientID: audience}).Verify(ctx, text)
				if err != nil {
					t.Fatal(err)
				}
				if err := id.VerifyAccessToken(token.AccessToken); err != nil {
					t.Error(err)
				}
				var claims struct{ Email, Name string }
				if err := id.Claims(&claims); err != nil || id.Subject != username || claims.Email != "admin@kubesphere.io" || claims.Name == "" || id.Nonce != nonce {
					t.Errorf("%v, %+v, %+v", err, id, claims)
				}
				info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
				if err != nil || info.Subject != username || info.Email != "admin@kubesphere.io" {
					t.Errorf("%v, %+v", err, info)
				}
				mayUse(t, issuer, token.AccessToken)
			}
			refresh := func(t *testing.T, conf *oauth2.Config, token *oauth2.Token) {
				t.Helper()
				token.Expiry = time.Now().Add(-time.Minute)
				next, err := conf.TokenSource(ctx, token).Token()
				if err != nil || next.RefreshToken == token.RefreshToken || next.AccessToken == token.AccessToken {
					t.Fatalf("%v", err)
				}
				check(t, next, conf.ClientID, "")
			}
			t.Run("password", func(t *testing.T) {
				token, err := conf.PasswordCredentialsToken(ctx, username, password)
				if err != nil {
					t.Fatal(err)
				}
				check(t, token, confidential, "")
				refresh(t, conf, token)
			})
			for name, conf := range map[string]*oauth2.Config{"code and PKCE": conf, "code and PKCE, without a secret": {ClientID: public, Endpoint: provider.Endpoint(), RedirectURL: a.callback(), Scopes: conf.Scopes}} {
				t.Run(name, func(t *testing.T) {
					someone, verifier := newPerson(t), oauth2.GenerateVerifier()
					address := conf.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("the nonce"))
					code := make(chan string, 2)
					someone.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
						if strings.HasPrefix(r.URL.String(), a.callback()) {
							if r.URL.Query().Get("state") != "the state" || r.URL.Query().Get("iss") != issuer {
								t.Errorf("returned to %s", r.URL)
							}
							code <- r.URL.Query().Get("code")
							return http.ErrUseLastResponse
						}
						return nil
					}
					someone.visit(t, address)
					if strings.Join(someone.pages, ", ") != "Log in, Allow "+conf.ClientID+"?" && strings.Join(someone.pages, ", ") != "Log in" {
						t.Errorf("pages %q", someone.pages)
					}
					token, err := conf.Exchange(ctx, <-code, oauth2.VerifierOption(verifier))
					if err != nil {
						t.Fatal(err)
					}
					check(t, token, conf.ClientID, "the nonce")
					refresh(t, conf, token)
				})
			}
			t.Run("client credentials", func(t *testing.T) {
				conf := clientcredentials.Config{ClientID: service, ClientSecret: serviceSecret, TokenURL: provider.Endpoint().TokenURL}
				token, err := conf.Token(ctx)
				if err != nil || token.RefreshToken != "" {
					t.Fatal(err)
				}
				mayUse(t, issuer, token.AccessToken)
			})
			t.Run("device", func(t *testing.T) {
				conf := &oauth2.Config{ClientID: public, Endpoint: provider.Endpoint(), Scopes: conf.Scopes}
				device, err := conf.DeviceAuth(ctx)
				if err != nil {
					t.Fatal(err)
				}
				someone := newPerson(t)
				if last := someone.visit(t, device.VerificationURIComplete); !strings.Contains(last, "Device connected") {
					t.Fatalf("%q: %s", someone.pages, last)
				}
				waiting, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				token, err := conf.DeviceAccessToken(waiting, device)
				if err != nil {
					t.Fatal(err)
				}
				check(t, token, public, "")
				refresh(t, conf, token)
			})
		})
	}
}

// mayUse fails unless the API takes a token for the user's.
func mayUse(t *testing.T, issuer, access string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/kapis/resources.kubesphere.io/v1alpha3/nodes?limit=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+access)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the API answers %d", response.StatusCode)
	}
}
