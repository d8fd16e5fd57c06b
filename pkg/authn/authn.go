package authn

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
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
	Authenticate(ctx context.Context, name, password string) (*iamv1alpha2.User, error)
}

// New returns the authenticator of all requests. The first credentials that
// are there decide: wrong ones are never anonymous.
func New(verifier Verifier, sessions Sessions, accounts Accounts, passwords PasswordChecker) authenticator.Request {
	tokens := &bearer{verifier: verifier, sessions: sessions, accounts: accounts}
	return union.NewFailOnError(
		group.NewAuthenticatedGroupAdder(union.NewFailOnError(
			bearertoken.New(tokens),
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

// bearer implements authenticator.Token for our access tokens.
type bearer struct {
	verifier Verifier
	sessions Sessions
	accounts Accounts
}

func (b *bearer) AuthenticateToken(ctx context.Context, text string) (*authenticator.Response, bool, error) {
	claims, err := b.verifier.Verify(ctx, text)
	if err != nil {
		return nil, false, err
	}
	account, found, err := b.accounts.Account(ctx, claims.Subject)
	if err != nil {
		return nil, false, err
	}
	// Too many failed logins do not end the sessions of who is logged in:
	// otherwise anybody could log out anybody.
	if !found || account.State != iamv1alpha2.UserActive && account.State != iamv1alpha2.UserAuthLimitExceeded {
		return nil, false, ErrNotActive
	}
	if claims.Session != "" {
		active, err := b.sessions.Active(ctx, claims.Session)
		if err != nil {
			return nil, false, err
		}
		if !active {
			return nil, false, ErrSessionEnded
		}
	}
	extra := make(map[string][]string, len(claims.Extra)+1)
	for key, values := range claims.Extra {
		extra[key] = values
	}
	if claims.Session != "" {
		extra[ExtraSession] = []string{claims.Session}
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: account.Name, Groups: groups(account.Groups), Extra: extra}}, true, nil
}

// basic authenticates by user name and password (RFC 7617).
type basic struct {
	passwords PasswordChecker
}

func (b *basic) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	name, password, found := r.BasicAuth()
	if !found {
		return nil, false, nil
	}
	known, err := b.passwords.Authenticate(r.Context(), name, password)
	if err != nil {
		return nil, false, err
	}
	r.Header.Del("Authorization")
	return &authenticator.Response{User: &user.DefaultInfo{Name: known.Name, Groups: groups(known.Spec.Groups)}}, true, nil
}

// groups are those a User object may name. The ones Kubernetes and we ourselves
// give have to be earned: a name in an object must make nobody system:masters.
func groups(named []string) []string {
	return slices.DeleteFunc(slices.Clone(named), func(group string) bool {
		return len(group) >= len("system:") && strings.EqualFold(group[:len("system:")], "system:") || group == kube.AuthorizedGroup
	})
}

var _ PasswordChecker = (*identity.Passwords)(nil)
