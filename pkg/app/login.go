package app

import (
	"crypto/rand"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauth"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// newTokens is the service that signs and verifies tokens.
func (a *app) newTokens() *token.Service {
	options := &a.config.Authentication
	service := token.NewService(options.OAuthOptions.Issuer, options.MaximumClockSkew.Duration, a.keys, time.Now, rand.Reader)
	service.SignShared = options.OAuthOptions.SigningAlgorithm == config.AlgorithmHS256
	if service.SignShared || options.OAuthOptions.AcceptHS256 {
		service.Shared = []byte(options.JWTSecret.Reveal())
	}
	return service
}

// rotation says which signing keys there are. ID tokens need a key pair where
// access tokens are signed with a shared secret.
func rotation(options *config.OAuth) token.Rotation {
	algorithm := token.Algorithm(options.SigningAlgorithm)
	if algorithm == token.HS256 {
		algorithm = token.ES256
	}
	longest := options.AccessTokenMaxAge.Duration
	for n := range options.Clients {
		if age := options.Clients[n].AccessTokenMaxAge; age != nil {
			longest = max(longest, age.Duration)
		}
	}
	return token.Rotation{Algorithm: algorithm, Period: keyPeriod, Announce: keyAnnounce, Retain: longest + time.Hour}
}

// ports are where the server listens.
func ports(c *config.Config) request.Ports {
	return request.Ports{Insecure: c.Server.InsecurePort, Secure: c.Server.SecurePort}
}

// newOAuth is the token service over HTTP.
func (a *app) newOAuth(tokens *token.Service, passwords *identity.Passwords, bearer authenticator.Request, people *people) *oauth.Handler {
	options := &a.config.Authentication
	return &oauth.Handler{
		Clients:   &oauthclient.Clients{Configured: options.OAuthOptions.Clients, Reader: a.client, Namespace: kube.Namespace, Now: time.Now},
		Passwords: passwords, ClientSecrets: passwords.ClientSecrets(a.newBackoff()), Sessions: a.sessions, Tokens: tokens, Accounts: a.directory, Bearer: bearer, Record: a.records.Record,
		Lifetime: options.OAuthOptions.AccessTokenMaxAge.Duration, MultipleLogin: options.MultipleLogin,
		PasswordGrant: options.OAuthOptions.PasswordGrant, Product: options.OAuthOptions.ProductName,
		Devices: oauth.NewDevices(), Polls: oauth.NewPolls(), Ports: ports(a.config),
		Providers: people.providers, External: people.accounts, Attempts: people.attempts,
	}
}
