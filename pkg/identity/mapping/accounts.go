package mapping

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// The keys of what a token for identity.PreRegistration says of a person.
const (
	ExtraProvider = "idp"
	ExtraSubject  = "uid"
	ExtraUsername = "username"
	ExtraEmail    = "email"
)

// Directory finds users.
type Directory interface {
	iam.Identities
	iam.Emails
	// Get returns a user by name as it is stored now, or a not-found error.
	Get(ctx context.Context, name string) (*iamv1alpha2.User, error)
}

// Users creates and links users.
type Users interface {
	Create(ctx context.Context, wanted *iamv1alpha2.User, role string) (*iamv1alpha2.User, error)
	Link(ctx context.Context, name, provider, subject string) (*iamv1alpha2.User, error)
	// VerifyEmail notes that an address is a user's, if the user has it.
	VerifyEmail(ctx context.Context, user *iamv1alpha2.User, email string) error
}

// Groups puts users into groups.
type Groups interface {
	Provide(ctx context.Context, provider, user string, wanted []string) error
}

// Accounts implements identity.Accounts. What it writes is written as the
// server: who logs in has no rights yet.
type Accounts struct {
	Directory Directory
	Users     Users
	Groups    Groups
}

// Resolve returns the user of a person, or what to ask them to confirm.
func (a *Accounts) Resolve(ctx context.Context, provider *identity.Provider, who identity.External) (*iamv1alpha2.User, map[string][]string, error) {
	ctx = kube.AsServer(ctx)
	if !Valid(who) {
		slog.WarnContext(ctx, "an identity provider says nothing usable of who logs in", "provider", provider.Name)
		return nil, nil, identity.ErrIncorrect
	}
	user, err := a.find(ctx, provider.Name, who.Subject)
	if err != nil {
		return nil, nil, err
	}
	if user == nil {
		var extra map[string][]string
		if user, extra, err = a.add(ctx, provider, who); err != nil || user == nil {
			return nil, extra, err
		}
	}
	if user.DeletionTimestamp != nil || user.Status.State != iamv1alpha2.UserActive && user.Status.State != iamv1alpha2.UserAuthLimitExceeded {
		slog.InfoContext(ctx, "somebody of an identity provider may not log in", "provider", provider.Name, "user", user.Name, "state", user.Status.State)
		return nil, nil, identity.ErrIncorrect
	}
	if who.EmailVerified {
		if err := a.Users.VerifyEmail(ctx, user, email(who)); err != nil {
			return nil, nil, err
		}
	}
	if err := a.Groups.Provide(ctx, provider.Name, user.Name, groups(provider, who)); err != nil {
		return nil, nil, err
	}
	// The memberships may have changed.
	user, err = a.Directory.Get(ctx, user.Name)
	return user, nil, err
}

// find returns the user who is a person; nil when there is none yet.
func (a *Accounts) find(ctx context.Context, provider, subject string) (*iamv1alpha2.User, error) {
	names, err := a.Directory.Linked(ctx, provider, subject)
	if err != nil {
		return nil, err
	}
	var found *iamv1alpha2.User
	for _, name := range names {
		user, err := a.Directory.Get(ctx, name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if iam.IdentitiesOf(user)[provider] != subject {
			continue // not any more
		}
		if found != nil {
			slog.ErrorContext(ctx, "several users are the same person of an identity provider, who cannot log in", "provider", provider, "users", names)
			return nil, identity.ErrNotMapped
		}
		found = user
	}
	return found, nil
}

// add gives a person an account as the mapping method says.
func (a *Accounts) add(ctx context.Context, provider *identity.Provider, who identity.External) (*iamv1alpha2.User, map[string][]string, error) {
	switch provider.Mapping.Method {
	case identity.MappingAuto:
	case identity.MappingMixed:
		if user, err := a.linkByEmail(ctx, provider, who); err != nil || user != nil {
			return user, nil, err
		}
	default:
		return nil, nil, identity.ErrNotMapped
	}
	name := Name(who.Username, provider.Name, who.Subject)
	if !provider.Mapping.WithoutConfirmation {
		return nil, map[string][]string{ExtraProvider: {provider.Name}, ExtraSubject: {who.Subject}, ExtraUsername: {name}, ExtraEmail: {email(who)}}, nil
	}
	user, err := a.create(ctx, provider, who, name)
	return user, nil, err
}

// linkByEmail links the account with the address, if the provider vouches for it.
func (a *Accounts) linkByEmail(ctx context.Context, provider *identity.Provider, who identity.External) (*iamv1alpha2.User, error) {
	if !who.EmailVerified || email(who) == "" {
		return nil, nil
	}
	names, err := a.Directory.WithEmail(ctx, who.Email)
	if err != nil || len(names) != 1 {
		return nil, err
	}
	// Users, and those who manage users, write any address: who is not known to have it must
	// not become whoever does.
	found, err := a.Directory.Get(ctx, names[0])
	if err != nil {
		return nil, err
	}
	if !iam.HasVerifiedEmail(found) {
		slog.WarnContext(ctx, "an account is not linked by its e-mail address, which nobody verified", "provider", provider.Name, "user", names[0])
		return nil, identity.ErrNotMapped
	}
	user, err := a.Users.Link(ctx, names[0], provider.Name, who.Subject)
	if conflict(err) {
		slog.WarnContext(ctx, "an account cannot be linked by its e-mail address", "provider", provider.Name, "user", names[0], "error", err)
		return nil, identity.ErrNotMapped
	}
	return user, err
}

// create makes a new account. One that exists already is only taken for the
// new one when it is the same person's: another replica was faster.
func (a *Accounts) create(ctx context.Context, provider *identity.Provider, who identity.External, name string) (*iamv1alpha2.User, error) {
	wanted := &iamv1alpha2.User{Spec: iamv1alpha2.UserSpec{Email: email(who), DisplayName: who.DisplayName}}
	wanted.Name = name
	if wanted.Spec.DisplayName == "" && who.Username != name {
		wanted.Spec.DisplayName = who.Username
	}
	iam.Identify(wanted, provider.Name, who.Subject)
	if reserved.Default().IsReserved(reserved.User, name) {
		slog.WarnContext(ctx, "Refused a reserved name from an identity provider", "provider", provider.Name, "name", name)
		return nil, identity.ErrNotMapped
	}
	created, err := a.Users.Create(ctx, wanted, "")
	if !conflict(err) {
		return created, err
	}
	present, getErr := a.Directory.Get(ctx, name)
	if getErr == nil && iam.IdentitiesOf(present)[provider.Name] == who.Subject {
		return present, nil
	}
	slog.WarnContext(ctx, "somebody of an identity provider gets no account", "provider", provider.Name, "name", name, "error", err)
	return nil, identity.ErrNotMapped
}

func conflict(err error) bool { return err != nil && status.Of(err).Code == http.StatusConflict }

// email is the address of a person, "" for one no user can have.
func email(who identity.External) string {
	address, err := mail.ParseAddress(who.Email)
	if err != nil || address.Address != who.Email || len(who.Email) > 254 {
		return ""
	}
	return who.Email
}

// groups are the names of the groups a provider puts a person into.
func groups(provider *identity.Provider, who identity.External) []string {
	var names []string
	for _, external := range who.Groups {
		if name := provider.Mapping.Groups[external]; name != "" && !strings.HasPrefix(strings.ToLower(name), "system:") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// longest bounds what is kept of a person.
const longest = 255

// Valid refuses who could be mistaken for somebody else.
func Valid(who identity.External) bool {
	for _, text := range []string{who.Subject, who.Username, who.DisplayName} {
		if len(text) > longest || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return false
		}
	}
	return who.Subject != ""
}

// ErrNoRegistration is a token that tells of nobody to register.
var ErrNoRegistration = errors.New("the token is not one to register with")

// Registration is who a token for identity.PreRegistration tells of.
func Registration(extra map[string][]string) (provider, subject string, err error) {
	if len(extra[ExtraProvider]) != 1 || len(extra[ExtraSubject]) != 1 || extra[ExtraProvider][0] == "" || extra[ExtraSubject][0] == "" {
		return "", "", ErrNoRegistration
	}
	return extra[ExtraProvider][0], extra[ExtraSubject][0], nil
}

var _ identity.Accounts = (*Accounts)(nil)
