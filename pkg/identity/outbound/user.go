package outbound

import (
	"context"
	"errors"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// User is a provider of OAuth 2.0 that tells who a token belongs to at an
// address of its own. It implements identity.RedirectProvider.
type User struct {
	code *Code
	info string
	read func(ctx context.Context, u *User, token *oauth2.Token) (identity.External, error)
}

// NewUser returns a provider whose endpoints are those in the options, or else
// the standard ones. Who a token belongs to is up to read.
func NewUser(options *CodeOptions, standard Endpoint, pkce bool, read func(context.Context, *User, *oauth2.Token) (identity.External, error)) (*User, error) {
	options.Endpoint = options.Endpoint.Or(standard)
	if e := options.Endpoint; e.AuthURL == "" || e.TokenURL == "" || e.UserInfoURL == "" {
		return nil, errors.New("endpoint: authURL, tokenURL and userInfoURL are needed")
	}
	if err := options.Check(); err != nil {
		return nil, err
	}
	client, err := Client(options.Trust())
	if err != nil {
		return nil, err
	}
	return &User{code: NewCode(client, options, oauth2.AuthStyleInParams, pkce), info: options.Endpoint.UserInfoURL, read: read}, nil
}

// LoginURL implements identity.RedirectProvider.
func (u *User) LoginURL(_ context.Context, visit identity.Visit) (string, error) {
	return u.code.URL(visit), nil
}

// Return implements identity.RedirectProvider.
func (u *User) Return(ctx context.Context, visit identity.Visit, parameters url.Values) (identity.External, error) {
	token, err := u.code.Exchange(ctx, visit, parameters)
	if err != nil {
		return identity.External{}, err
	}
	return u.read(ctx, u, token)
}

// Info decodes what the provider says at its address, or below it.
func (u *User) Info(ctx context.Context, below string, token *oauth2.Token, into any) error {
	return GetJSON(ctx, u.code.Client, u.info+below, token.AccessToken, into)
}

var _ identity.RedirectProvider = (*User)(nil)
