package identity

import (
	"context"
	"errors"
	"net/url"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// Attempt is an attempt to log in.
type Attempt struct {
	// Name is the name or the e-mail address of the user.
	Name     string
	Password string
	// Address is that of the client, without a port.
	Address string
}

// External is who a provider says somebody is.
type External struct {
	// Subject tells the person from all others of the provider, for ever:
	// OpenID Connect's sub, or what the provider has instead.
	Subject string
	// Username is what the person is called there; it may be no name of an object.
	Username string
	Email    string
	// EmailVerified says that the provider knows the address to be theirs.
	EmailVerified bool
	DisplayName   string
	// Groups are what the provider calls the groups they are in.
	Groups []string
}

// PasswordProvider checks passwords elsewhere, such as LDAP.
type PasswordProvider interface {
	// Authenticate returns who has the name and the password, ErrIncorrect, or
	// an error that wraps ErrUnavailable.
	Authenticate(ctx context.Context, username, password string) (External, error)
}

// Visit is a browser's way to a provider and back. All but CallbackURL is
// random, and kept by who sends the browser there.
type Visit struct {
	// CallbackURL is where the provider sends the browser back to. The one of
	// the provider's own configuration goes first.
	CallbackURL string
	State       string
	// Nonce is that of OpenID Connect; providers without ID tokens ignore it. It
	// is empty for visits that others began, whose nonce nobody here knows.
	Nonce string
	// Verifier is that of PKCE (RFC 7636), empty as Nonce is.
	Verifier string
}

// RedirectProvider shows its own pages, such as OpenID Connect.
type RedirectProvider interface {
	// LoginURL is where the browser goes to log in.
	LoginURL(ctx context.Context, visit Visit) (string, error)
	// Return says who came back with the parameters of the callback;
	// ErrIncorrect when the provider refused, or the parameters prove nothing.
	Return(ctx context.Context, visit Visit, parameters url.Values) (External, error)
}

// Provider is a source of users. One of Password and Redirect is set.
type Provider struct {
	Name string
	// Title is shown on the login page; Name if empty.
	Title string
	Type  string
	// Hidden providers can be used but are not offered to anonymous clients.
	Hidden  bool
	Mapping Mapping
	// Public are the options clients may know, such as where the login page is;
	// nil for none.
	Public func(ctx context.Context) map[string]any

	Password PasswordProvider
	Redirect RedirectProvider
}

// Mapping says how people of a provider become users.
type Mapping struct {
	Method MappingMethod
	// WithoutConfirmation creates users without asking them first.
	WithoutConfirmation bool
	// Groups are the names of Group objects by what the provider calls them.
	Groups map[string]string
}

// MappingMethod is how somebody gets an account who has none yet.
type MappingMethod string

// Nobody is given an account somebody else has, whatever it is called.
const (
	// MappingAuto makes a new account.
	MappingAuto MappingMethod = "auto"
	// MappingLookup makes none: accounts are linked by administrators.
	MappingLookup MappingMethod = "lookup"
	// MappingManual makes none: users link theirs to people of the provider.
	MappingManual MappingMethod = "manual"
	// MappingMixed links the account that has the e-mail address, if the
	// provider has verified it, and is MappingAuto else.
	MappingMixed MappingMethod = "mixed"
)

// ErrUnavailable is wrapped by the errors of a provider that cannot answer,
// or not as agreed: it is nobody's fault who logs in.
var ErrUnavailable = errors.New("the identity provider does not answer")

// Providers are those configured now: it changes while the server runs.
type Providers interface {
	// Provider returns a provider by name, nil if there is none.
	Provider(ctx context.Context, name string) (*Provider, error)
	// List returns all providers in the order of the configuration.
	List(ctx context.Context) ([]*Provider, error)
}

// Accounts finds or makes the account of who comes from a provider.
type Accounts interface {
	// Resolve returns the user a person is mapped to, creating, linking or
	// updating it as the provider's mapping method says. The user is nil when
	// the person has to confirm the account first: a session is then given to
	// PreRegistration with the extra that is returned. Errors are
	// ErrIncorrect for who may not log in, and ErrNotMapped.
	Resolve(ctx context.Context, provider *Provider, who External) (user *iamv1alpha2.User, extra map[string][]string, err error)
}

// PreRegistration is the user of tokens with which nothing can be done but to
// confirm the account of somebody from a provider, as KubeSphere 3.x does.
const PreRegistration = "system:pre-registration"
