package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// Accounts says what is known of users.
type Accounts interface {
	// Account is what is known of a user without asking Kubernetes.
	Account(ctx context.Context, name string) (iam.Account, bool, error)
	// Get reads a user as it is stored now, or a not-found error.
	Get(ctx context.Context, name string) (*iamv1alpha2.User, error)
	// NameByOrigin is the user registered for somebody of an identity provider.
	NameByOrigin(ctx context.Context, provider, subject string) (string, bool, error)
	// ClaimedGroups are groups of a user by the names that applications know them by.
	ClaimedGroups(ctx context.Context, user string, names []string) ([]string, error)
}

// Handler serves the OAuth endpoints and the pages for logging in.
type Handler struct {
	Clients   *oauthclient.Clients
	Passwords authn.PasswordChecker
	// ClientSecrets bounds how many secrets of clients are compared; nil for no bound.
	ClientSecrets *identity.ClientSecrets
	Sessions      *session.Sessions
	Tokens        *token.Service
	Accounts      Accounts
	// Bearer authenticates requests with an access token, as the API does.
	Bearer authenticator.Request
	// Providers are where users other than local ones come from, and External
	// finds their accounts; nil for none.
	Providers identity.Providers
	External  identity.Accounts
	// Attempts bounds how often passwords are tried at providers; nil for no bound.
	Attempts *identity.Attempts
	// Lifetime is how long an access token is valid, unless its client says otherwise.
	Lifetime time.Duration
	// Record notes attempts to log in; nil for not at all.
	Record func(ctx context.Context, login iam.Login)
	// MultipleLogin lets a login leave the user's other sessions alone.
	MultipleLogin bool
	// PasswordGrant lets trusted clients exchange passwords for tokens.
	PasswordGrant bool
	// Product is what the pages call the product.
	Product string
	// Devices bounds how many devices may begin to log in; nil for no bound.
	Devices *Devices
	// Polls remembers devices that asked a moment ago.
	Polls *Polls
	// Ports are where this server listens.
	Ports request.Ports
}

// url is the address of an endpoint as clients know it, which may be far from
// where this process listens (ks#6274).
func (h *Handler) url(path string) string {
	return strings.TrimSuffix(h.Tokens.Issuer, "/") + path
}

// pageURL is the address of a page a person opens: at the issuer, or at the address
// that was used where the issuer is a name that is known inside the cluster only.
func (h *Handler) pageURL(r *http.Request, path string) string {
	issuer, err := url.Parse(h.Tokens.Issuer)
	if err != nil || r.Host == "" || !insideCluster(issuer.Hostname()) {
		return h.url(path)
	}
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host, Path: strings.TrimSuffix(issuer.Path, "/") + path}).String()
}

// insideCluster reports whether a name is that of a Service, which the cluster's own
// DNS alone knows.
func insideCluster(host string) bool {
	return strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local")
}

// path is the path of an endpoint as browsers know it.
func (h *Handler) path(path string) string {
	issuer, err := url.Parse(h.Tokens.Issuer)
	if err != nil {
		return path
	}
	return strings.TrimSuffix(issuer.EscapedPath(), "/") + path
}

// secure reports whether browsers reach this server by HTTPS.
func (h *Handler) secure() bool { return strings.HasPrefix(h.Tokens.Issuer, "https:") }

// lifetime is how long access tokens of a client are valid.
func (h *Handler) lifetime(c *oauthclient.Client) time.Duration {
	if c.AccessTokenMaxAgeSeconds > 0 {
		return time.Duration(c.AccessTokenMaxAgeSeconds) * time.Second
	}
	return h.Lifetime
}

// login is a login that a request of a client asks for.
func (h *Handler) login(r *http.Request, c *oauthclient.Client, scopes []string) session.Login {
	login := session.Login{
		Client: c.Name, Address: request.ClientAddress(r), UserAgent: r.UserAgent(), Scopes: scopes, Audience: []string{h.Tokens.Issuer},
	}
	if c.AccessTokenMaxAgeSeconds > 0 {
		login.AccessToken = h.lifetime(c)
	}
	if c.AccessTokenInactivityTimeoutSeconds > 0 {
		login.Idle = h.lifetime(c) + time.Duration(c.AccessTokenInactivityTimeoutSeconds)*time.Second
	}
	return login
}

// began ends the user's other sessions, if he may have one only.
func (h *Handler) began(ctx context.Context, created *iamv1alpha2.Session) error {
	if h.MultipleLogin || created.Spec.User == identity.PreRegistration {
		return nil
	}
	return h.Sessions.EndOthers(ctx, created.Spec.User, created.Name, "the user logged in again")
}

// record notes an attempt to log in, by whatever name it was made.
func (h *Handler) record(r *http.Request, kind, user string, success bool) {
	if h.Record != nil && user != "" {
		h.Record(r.Context(), iam.Login{User: user, Type: kind, SourceIP: request.ClientAddress(r), UserAgent: r.UserAgent(), Success: success})
	}
	if !success {
		slog.InfoContext(r.Context(), "login refused", "id", request.ID(r.Context()), "user", user, "address", request.ClientAddress(r))
	}
}

// extraOf is what tokens say of a user beside the name.
func extraOf(user *iamv1alpha2.User) map[string][]string {
	if value := user.Annotations[iamv1alpha2.AnnotationUninitialized]; value != "" {
		return map[string][]string{"uninitialized": {value}}
	}
	return nil
}
