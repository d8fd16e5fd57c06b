package identity

import (
	"context"
	"errors"
	"runtime"
	"strings"

	"golang.org/x/crypto/bcrypt"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// ErrIncorrect is the only answer to a failed login: it does not tell an
// unknown user from a disabled one or a wrong password.
var ErrIncorrect = errors.New("incorrect user name or password")

// ErrBusy means that too many logins wait to be checked.
var ErrBusy = errors.New("too many logins at the moment")

// maxPassword is the longest password bcrypt tells apart, in bytes.
const maxPassword = 72

// Users finds users with their password hashes.
type Users interface {
	// Get returns a user by name as it is stored now, or a not-found error.
	Get(ctx context.Context, name string) (*iamv1alpha2.User, error)
	// NameByEmail returns the name of the user with an e-mail address.
	NameByEmail(ctx context.Context, email string) (string, bool)
}

// Passwords checks the passwords of local users.
type Passwords struct {
	users   Users
	running chan struct{}
	waiting chan struct{}
	dummy   []byte
}

// waitingPerCheck bounds the queue: beyond it a client would wait so long that
// it had better be told to come back.
const waitingPerCheck = 32

// NewPasswords returns a checker that uses at most half of the processors.
func NewPasswords(users Users) (*Passwords, error) {
	checks := max(1, runtime.GOMAXPROCS(0)/2)
	// For users that do not exist; its cost is the one users are created with.
	dummy, err := bcrypt.GenerateFromPassword([]byte("no user has this password"), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	return &Passwords{
		users:   users,
		running: make(chan struct{}, checks),
		waiting: make(chan struct{}, checks*waitingPerCheck),
		dummy:   dummy,
	}, nil
}

// Authenticate returns the user who has the name, or the e-mail address, and
// the password, and who may log in. It fails with ErrIncorrect, ErrBusy, or
// the error of a Kubernetes that does not answer.
func (p *Passwords) Authenticate(ctx context.Context, name, password string) (*iamv1alpha2.User, error) {
	user, err := p.find(ctx, name)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	hash := p.dummy
	usable := user != nil && user.DeletionTimestamp == nil && user.Spec.EncryptedPassword != "" && user.Status.State == iamv1alpha2.UserActive
	if usable {
		hash = []byte(user.Spec.EncryptedPassword)
	}
	correct, err := p.compare(ctx, hash, password)
	switch {
	case err != nil:
		return nil, err
	case !correct || !usable:
		return nil, ErrIncorrect
	}
	return user, nil
}

func (p *Passwords) find(ctx context.Context, name string) (*iamv1alpha2.User, error) {
	if strings.Contains(name, "@") {
		found := false
		if name, found = p.users.NameByEmail(ctx, name); !found {
			return nil, nil
		}
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/%?#\\") || len(name) > 253 {
		return nil, nil // no object can have such a name
	}
	return p.users.Get(ctx, name)
}

// compare checks a password against a bcrypt hash, one of a few at a time.
func (p *Passwords) compare(ctx context.Context, hash []byte, password string) (bool, error) {
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		return false, ErrBusy
	}
	select {
	case p.running <- struct{}{}:
		defer func() { <-p.running }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	candidate := []byte(password)
	fits := len(candidate) > 0 && len(candidate) <= maxPassword
	if !fits {
		candidate = []byte("x") // the same work for what cannot be right
	}
	err := bcrypt.CompareHashAndPassword(hash, candidate)
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) { // no hash at all, which is found at once
		_ = bcrypt.CompareHashAndPassword(p.dummy, candidate)
	}
	return err == nil && fits, nil
}

// HashPassword returns the bcrypt hash of a password that users are stored
// with. bcrypt ignores what follows the 72nd byte, so longer ones are refused.
func HashPassword(password string) (string, error) {
	if password == "" {
		return "", errors.New("a password must not be empty")
	}
	if len(password) > maxPassword {
		return "", errors.New("a password has at most 72 bytes")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	return string(hash), err
}
