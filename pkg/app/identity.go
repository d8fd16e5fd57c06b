package app

import (
	"net/url"
	"strings"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/mapping"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/providers"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// people are who comes from identity providers.
type people struct {
	// providers are those there are now, and accounts finds their users.
	providers identity.Providers
	set       *providers.Set // the same
	accounts  identity.Accounts
	// attempts bounds how often passwords are tried at providers.
	attempts *identity.Attempts
	// callback is where browsers come back to from a provider.
	callback func(provider string) string
}

// newPeople builds what knows the people of identity providers. Reload reads
// the configuration as it is now; without it, it stays as it was.
func newPeople(a *app, users *iam.Users, groups *iam.Groups, backoff *identity.Backoff, reload func() (*config.Config, error)) *people {
	configured := func() ([]config.IdentityProvider, error) {
		if reload == nil {
			return a.config.Authentication.OAuthOptions.IdentityProviders, nil
		}
		now, err := reload()
		if err != nil {
			return nil, err
		}
		return now.Authentication.OAuthOptions.IdentityProviders, nil
	}
	issuer := strings.TrimSuffix(a.config.Authentication.OAuthOptions.Issuer, "/")
	set := &providers.Set{Configured: configured, Reader: a.client, Namespace: kube.Namespace, Now: time.Now}
	return &people{
		providers: set, set: set,
		accounts: &mapping.Accounts{Directory: a.directory, Users: users, Groups: groups},
		attempts: identity.NewAttempts(backoff),
		callback: func(provider string) string { return issuer + "/oauth/callback/" + url.PathEscape(provider) },
	}
}
