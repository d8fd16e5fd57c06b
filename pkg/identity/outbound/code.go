package outbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// CodeOptions are the options all providers of OAuth 2.0 have.
type CodeOptions struct {
	ClientID     string        `json:"clientID"`
	ClientSecret config.Secret `json:"clientSecret"`
	Endpoint     Endpoint      `json:"endpoint"`
	// RedirectURL is where the browser comes back to; the callback of this
	// server if empty.
	RedirectURL        string   `json:"redirectURL"`
	Scopes             []string `json:"scopes"`
	InsecureSkipVerify bool     `json:"insecureSkipVerify"`
	RootCA             string   `json:"rootCA"`
	RootCAData         string   `json:"rootCAData"`
}

// Endpoint is where a provider is called.
type Endpoint struct {
	AuthURL       string `json:"authURL,omitempty"`
	TokenURL      string `json:"tokenURL,omitempty"`
	UserInfoURL   string `json:"userInfoURL,omitempty"`
	JWKSURL       string `json:"jwksURL,omitempty"`
	EndSessionURL string `json:"endSessionURL,omitempty"`
}

// Or are the addresses, with others for those that are empty.
func (e Endpoint) Or(others Endpoint) Endpoint {
	for _, one := range []struct {
		address *string
		other   string
	}{
		{&e.AuthURL, others.AuthURL}, {&e.TokenURL, others.TokenURL}, {&e.UserInfoURL, others.UserInfoURL},
		{&e.JWKSURL, others.JWKSURL}, {&e.EndSessionURL, others.EndSessionURL},
	} {
		if *one.address == "" {
			*one.address = one.other
		}
	}
	return e
}

// Check says what is wrong with the options.
func (o *CodeOptions) Check() error {
	if o.ClientID == "" {
		return errors.New("clientID is missing")
	}
	for name, address := range map[string]string{
		"endpoint.authURL": o.Endpoint.AuthURL, "endpoint.tokenURL": o.Endpoint.TokenURL, "endpoint.userInfoURL": o.Endpoint.UserInfoURL,
		"endpoint.jwksURL": o.Endpoint.JWKSURL, "endpoint.endSessionURL": o.Endpoint.EndSessionURL, "redirectURL": o.RedirectURL,
	} {
		if address != "" {
			if err := CheckURL(name, address); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckURL refuses what is no absolute URL of HTTP.
func CheckURL(name, address string) error {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" {
		return fmt.Errorf("%s is not an absolute URL", name)
	}
	return nil
}

// Trust says whose certificates are believed.
func (o *CodeOptions) Trust() Trust {
	return Trust{InsecureSkipVerify: o.InsecureSkipVerify, RootCA: o.RootCA, RootCAData: o.RootCAData}
}

// Public are the options clients need that build the address of the login page.
func (o *CodeOptions) Public() map[string]any {
	return map[string]any{"clientID": o.ClientID, "endpoint": o.Endpoint, "redirectURL": o.RedirectURL, "scopes": o.Scopes}
}

// Code is a login by the authorization code of OAuth 2.0 (RFC 6749 §4.1).
type Code struct {
	Client *http.Client
	// Config has no RedirectURL: that of the visit is used, unless one is
	// configured here.
	Config      oauth2.Config
	RedirectURL string
	// PKCE is for providers that know it (RFC 7636).
	PKCE bool
}

// NewCode returns the login of a provider, with the endpoints in the options.
func NewCode(client *http.Client, options *CodeOptions, style oauth2.AuthStyle, pkce bool) *Code {
	if options.ClientSecret == "" {
		style = oauth2.AuthStyleInParams // a public client names itself
	}
	return &Code{Client: client, RedirectURL: options.RedirectURL, PKCE: pkce, Config: oauth2.Config{
		ClientID: options.ClientID, ClientSecret: options.ClientSecret.Reveal(), Scopes: options.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: options.Endpoint.AuthURL, TokenURL: options.Endpoint.TokenURL, AuthStyle: style},
	}}
}

func (c *Code) at(visit identity.Visit) *oauth2.Config {
	config := c.Config
	config.RedirectURL = visit.CallbackURL
	if c.RedirectURL != "" {
		config.RedirectURL = c.RedirectURL
	}
	return &config
}

// URL is where the browser goes to log in.
func (c *Code) URL(visit identity.Visit, more ...oauth2.AuthCodeOption) string {
	if c.PKCE && visit.Verifier != "" {
		more = append(more, oauth2.S256ChallengeOption(visit.Verifier))
	}
	return c.at(visit).AuthCodeURL(visit.State, more...)
}

// longestCode bounds what a browser may come back with.
const longestCode = 4096

// Exchange gets the tokens for the code a browser came back with.
func (c *Code) Exchange(ctx context.Context, visit identity.Visit, parameters url.Values) (*oauth2.Token, error) {
	if code := parameters.Get("error"); code != "" {
		if !errorCode.MatchString(code) {
			code = "an error"
		}
		slog.InfoContext(ctx, "an identity provider let nobody in", "error", code)
		return nil, identity.ErrIncorrect
	}
	code := parameters.Get("code")
	if code == "" || len(code) > longestCode {
		return nil, identity.ErrIncorrect
	}
	var options []oauth2.AuthCodeOption
	if c.PKCE && visit.Verifier != "" {
		options = append(options, oauth2.VerifierOption(visit.Verifier))
	}
	token, err := c.at(visit).Exchange(context.WithValue(ctx, oauth2.HTTPClient, c.Client), code, options...)
	var refused *oauth2.RetrieveError
	switch {
	case err == nil:
		return token, nil
	case !errors.As(err, &refused):
		return nil, Unavailable("asking for a token", err)
	case refused.ErrorCode == "invalid_grant", refused.ErrorCode == "bad_verification_code": // the latter is GitHub's
		slog.InfoContext(ctx, "an identity provider does not take a code", "error", refused.ErrorCode)
		return nil, identity.ErrIncorrect
	}
	if !errorCode.MatchString(refused.ErrorCode) {
		refused.ErrorCode = "no code"
	}
	return nil, fmt.Errorf("%w: it refuses a token with status %d, %s", identity.ErrUnavailable, refused.Response.StatusCode, refused.ErrorCode)
}
