package authn

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// The reasons for which credentials are refused, beside those of pkg/token.
var (
	// ErrNotActive is a valid token of a user who is disabled or gone.
	ErrNotActive = errors.New("the user is not active")
	// ErrSessionEnded is a valid token of a session that was ended.
	ErrSessionEnded = errors.New("the session has ended")
	// ErrUnsupported is an Authorization header of another scheme.
	ErrUnsupported = errors.New("the Authorization header is neither Bearer nor Basic")
)

// ExtraSession is the key of user.Info's extra that holds the session ID.
const ExtraSession = "ks-apiserver.kubesphere.io/session"

// ExtraTokenScopes is the key of user.Info's extra that holds the OAuth scopes of the
// access token: what applications learn of the user. They limit no operation.
const ExtraTokenScopes = "ks-apiserver.kubesphere.io/oauth-scopes"

// ExtraPersonalToken is the key of user.Info's extra that holds the name of the
// personal access token; authz.ExtraScopes is the one of its scopes.
const ExtraPersonalToken = "ks-apiserver.kubesphere.io/personal-access-token"

// Accounts says what is known of a user without asking Kubernetes.
type Accounts interface {
	Account(ctx context.Context, name string) (iam.Account, bool, error)
}

// Sessions says whether a session goes on.
type Sessions interface {
	Active(ctx context.Context, id string) (bool, error)
}

// Verifier checks access tokens.
type Verifier interface {
	Verify(ctx context.Context, token string) (*token.Claims, error)
}

// PasswordChecker checks passwords.
type PasswordChecker interface {
	Authenticate(ctx context.Context, attempt identity.Attempt) (*iamv1alpha2.User, error)
}

// BasicChecker checks passwords that are sent with each request.
type BasicChecker interface {
	AuthenticateRepeated(ctx context.Context, attempt identity.Attempt) (*iamv1alpha2.User, error)
}

// PersonalTokens checks personal access tokens.
type PersonalTokens interface {
	Verify(ctx context.Context, text string) (*accesstoken.Grant, error)
}

// New returns the authenticator of all requests. The first credentials that
// are there decide: wrong ones are never anonymous. Other authenticators are asked
// about tokens before they are taken for ours.
func New(verifier Verifier, sessions Sessions, accounts Accounts, passwords BasicChecker, personal PersonalTokens, others ...authenticator.Token) authenticator.Request {
	tokens := tokenunion.NewFailOnError(append(others, &bearer{verifier: verifier, sessions: sessions, accounts: accounts, personal: personal, answers: newAnswers()})...)
	return union.NewFailOnError(
		group.NewAuthenticatedGroupAdder(union.NewFailOnError(
			bearertoken.New(tokens),
			// Pages cannot set headers of a WebSocket: they send the token as one of
			// its subprotocols, as to kube-apiserver.
			websocket.NewProtocolAuthenticator(tokens),
			&basic{passwords: passwords},
		)),
		authenticator.RequestFunc(refuseOthers),
		anonymous.NewAuthenticator(nil),
	)
}

// refuseOthers fails for an Authorization header nobody understood.
func refuseOthers(r *http.Request) (*authenticator.Response, bool, error) {
	if r.Header.Get("Authorization") != "" {
		return nil, false, ErrUnsupported
	}
	return nil, false, nil
}

// bearer implements authenticator.Token for our access tokens and for personal
// ones.
type bearer struct {
	personal PersonalTokens
	verifier Verifier
	sessions Sessions
	accounts Accounts
	answers  answers
}

func (b *bearer) AuthenticateToken(ctx context.Context, text string) (*authenticator.Response, bool, error) {
	if strings.HasPrefix(text, accesstoken.Prefix) {
		return b.authenticatePersonal(ctx, text)
	}
	claims, err := b.verifier.Verify(ctx, text)
	if err != nil {
		return nil, false, err
	}
	if claims.Subject == identity.PreRegistration {
		return b.authenticateVisitor(ctx, claims)
	}
	account, err := b.active(ctx, claims.Subject)
	if err != nil {
		return nil, false, err
	}
	// A token that nothing can end is none: who signed it was not this server.
	active := false
	if claims.Session != "" {
		if active, err = b.sessions.Active(ctx, claims.Session); err != nil {
			return nil, false, err
		}
	}
	if !active {
		return nil, false, ErrSessionEnded
	}
	return b.answers.of(claims, &account), true, nil
}

// extraOf is what an access token says of its user, its session and its scopes.
func extraOf(claims *token.Claims) map[string][]string {
	extra := make(map[string][]string, len(claims.Extra)+2)
	for key, values := range claims.Extra {
		extra[key] = values
	}
	extra[ExtraSession] = []string{claims.Session}
	for _, key := range []string{ExtraTokenScopes, ExtraAccount, ExtraPasswordDigest} {
		delete(extra, key) // the token does not decide about these
	}
	if scopes := strings.Fields(claims.Scope); len(scopes) > 0 {
		extra[ExtraTokenScopes] = scopes
	}
	return extra
}

func (b *bearer) authenticatePersonal(ctx context.Context, text string) (*authenticator.Response, bool, error) {
	grant, err := b.personal.Verify(ctx, text)
	if err != nil {
		return nil, false, err
	}
	account, err := b.active(ctx, grant.User)
	if err != nil {
		return nil, false, err
	}
	extra := map[string][]string{authz.ExtraScopes: grant.Scopes, ExtraPersonalToken: {grant.Name}}
	return authenticated(account.Name, account.Groups, withAccount(extra, account.UID)), true, nil
}

// MayGoOn reports whether who is logged in stays so in a state. Too many failed
// logins do not end the sessions of who is: otherwise anybody could log out
// anybody.
func MayGoOn(state iamv1alpha2.UserState) bool {
	return state == iamv1alpha2.UserActive || state == iamv1alpha2.UserAuthLimitExceeded
}

// active returns the account of a user, or ErrNotActive.
func (b *bearer) active(ctx context.Context, name string) (iam.Account, error) {
	account, found, err := b.accounts.Account(ctx, name)
	if err != nil {
		return iam.Account{}, err
	}
	if !found || !MayGoOn(account.State) {
		return iam.Account{}, ErrNotActive
	}
	return account, nil
}

// basic authenticates by user name and password (RFC 7617).
type basic struct {
	passwords BasicChecker
}

func (b *basic) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	name, password, found := r.BasicAuth()
	if !found {
		return nil, false, nil
	}
	known, err := b.passwords.AuthenticateRepeated(r.Context(), identity.Attempt{Name: name, Password: password, Address: request.ClientAddress(r)})
	if err != nil {
		return nil, false, err
	}
	r.Header.Del("Authorization")
	extra := withAccount(map[string][]string{ExtraPasswordDigest: {iam.PasswordDigest(known)}}, string(known.UID))
	return authenticated(known.Name, known.Spec.Groups, extra), true, nil
}

// Groups are those a User object may name. The ones Kubernetes and we ourselves
// give have to be earned: a name in an object must make nobody system:masters.
func Groups(named []string) []string {
	groups := make([]string, 0, len(named)+1) // one is often added, that of all who authenticated
	for _, group := range named {
		if !hasPrefix(group, "system:") && !hasPrefix(group, authz.PrefixGroups) {
			groups = append(groups, group)
		}
	}
	return groups
}

// hasPrefix reports whether a text begins with a prefix, in any case of letters.
func hasPrefix(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

// authenticated is a user whose credentials are right. Its groups are complete: the one
// of all who authenticated need not be added to a copy.
func authenticated(name string, groups []string, extra map[string][]string) *authenticator.Response {
	return &authenticator.Response{User: &user.DefaultInfo{Name: name, Groups: append(Groups(groups), user.AllAuthenticated), Extra: extra}}
}

var (
	_ PasswordChecker = (*identity.Passwords)(nil)
	_ BasicChecker    = (*identity.Passwords)(nil)
)
