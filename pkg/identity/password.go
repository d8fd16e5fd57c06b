package identity

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
)

// ErrIncorrect is the only answer to a failed login: it does not tell an
// unknown user from a disabled one or a wrong password.
var ErrIncorrect = errors.New("incorrect user name or password")

// ErrNotMapped is somebody a provider knows and who has no account here.
var ErrNotMapped = errors.New("there is no account for this person of the identity provider")

// ErrBusy means that too many logins wait to be checked.
var ErrBusy = errors.New("too many logins at the moment")

// Users finds users with their password hashes.
type Users interface {
	// Get returns a user by name as it is stored now, or a not-found error.
	Get(ctx context.Context, name string) (*iamv1alpha2.User, error)
	// NameByEmail returns the name of the user with an e-mail address.
	NameByEmail(ctx context.Context, email string) (string, bool)
	// Rehash replaces the hash of a user's password by another of the same
	// password. A user that changed since is left alone.
	Rehash(ctx context.Context, user *iamv1alpha2.User, hash string) error
}

// Passwords checks the passwords of local users.
type Passwords struct {
	users   Users
	hasher  passwordhash.Hasher
	backoff *Backoff
	turns   *turns
	dummy   string
	// Version returns the resource version of a user as far as it is known without
	// asking Kubernetes, "" for none. Nil if correct passwords are never remembered.
	Version    func(ctx context.Context, name string) string
	remembered *rememberedPasswords
}

// waitingPerCheck bounds the queue: beyond it a client would wait so long that
// it had better be told to come back.
const waitingPerCheck = 32

// NewPasswords returns a checker that uses at most half of the processors.
func NewPasswords(users Users, hasher passwordhash.Hasher, backoff *Backoff) (*Passwords, error) {
	checks := max(1, runtime.GOMAXPROCS(0)/2)
	// For users that do not exist; its cost is the one users are created with.
	dummy, err := hasher.Hash("no user has this password")
	if err != nil {
		return nil, err
	}
	return &Passwords{
		users: users, hasher: hasher, backoff: backoff, dummy: dummy,
		turns: newTurns(checks, checks*waitingPerCheck), remembered: newRememberedPasswords(hasher.Random, backoff.Now),
	}, nil
}

// Authenticate returns the user who attempts to log in. The work is the same
// whatever is wrong, so that neither an answer nor the time it takes tells which
// users there are. Errors are ErrIncorrect, ErrBusy, a *Throttled, or one of
// Kubernetes.
func (p *Passwords) Authenticate(ctx context.Context, attempt Attempt) (*iamv1alpha2.User, error) {
	// Whichever of the names somebody uses, the failures are the user's.
	name := p.nameOf(ctx, attempt.Name)
	counted := name
	if counted == "" {
		counted = attempt.Name
	}
	admission, err := p.backoff.Admit(ctx, counted, attempt.Address)
	if err != nil {
		return nil, err
	}
	release, err := p.turns.take(ctx, admission) // logins must not starve everything else
	if err != nil {
		return nil, err
	}
	defer release()
	// Others may have failed while this one waited for its turn.
	if err := admission.Recheck(ctx); err != nil {
		return nil, err
	}
	// Kubernetes is asked by those whose turn it is alone: however many come at
	// once, it has no more to do.
	user, err := p.find(ctx, name)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	hash := p.dummy
	usable := user != nil && user.DeletionTimestamp == nil && user.Spec.EncryptedPassword != "" && user.Status.State == iamv1alpha2.UserActive
	if usable {
		hash = user.Spec.EncryptedPassword
	}
	correct, normalized := p.matches(hash, attempt.Password)
	if !correct || !usable {
		p.backoff.Failed(counted, attempt.Address)
		return nil, ErrIncorrect
	}
	p.backoff.Succeeded(counted, attempt.Address)
	if (!p.hasher.Current(hash) || !normalized) && len(passwordhash.Normalize(attempt.Password)) <= p.hasher.Longest() {
		return p.rehash(ctx, user, attempt.Password), nil
	}
	return user, nil
}

// rehash stores a hash as new passwords get it, and returns the user with the hash that
// is stored. Nobody is kept from logging in because that does not work.
func (p *Passwords) rehash(ctx context.Context, user *iamv1alpha2.User, password string) *iamv1alpha2.User {
	hash, err := p.hasher.Hash(password)
	if err == nil {
		err = p.users.Rehash(ctx, user, hash)
	}
	if err != nil {
		slog.WarnContext(ctx, "a password keeps its hash of another kind", "user", user.Name, "error", err)
		return user
	}
	user = user.DeepCopy()
	user.Spec.EncryptedPassword = hash
	return user
}

// nameOf is the name of the user somebody means; empty when there can be none.
func (p *Passwords) nameOf(ctx context.Context, given string) string {
	if !strings.Contains(given, "@") {
		return given
	}
	name, _ := p.users.NameByEmail(ctx, given)
	return name
}

func (p *Passwords) find(ctx context.Context, name string) (*iamv1alpha2.User, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/%?#\\") || len(name) > 253 {
		return nil, nil // no object can have such a name
	}
	return p.users.Get(ctx, name)
}

// matches reports whether a password is that of a hash, and whether the hash is of
// its normalized form. Hashes of earlier versions are of passwords as they were
// typed, so that both are compared where they differ: two at the most, and as many
// for a user who does not exist.
func (p *Passwords) matches(hash, password string) (correct, normalized bool) {
	normal := passwordhash.Normalize(password)
	if p.verify(hash, password) {
		return true, password == normal
	}
	return password != normal && p.verify(hash, normal), true
}

// verify compares a password with a hash, with the same work for what is no hash.
func (p *Passwords) verify(hash, password string) bool {
	correct, worked := passwordhash.Verify(hash, password)
	if !worked {
		_, _ = passwordhash.Verify(p.dummy, password)
	}
	return correct
}
