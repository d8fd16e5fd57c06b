package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// users is a directory that says, as client-go does, which names cannot be asked for.
type users map[string]*iamv1alpha2.User

func (u users) Get(_ context.Context, name string) (*iamv1alpha2.User, error) {
	switch {
	case name == "broken":
		return nil, apierrors.NewServiceUnavailable("away")
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/%"):
		return nil, errors.New("invalid resource name")
	case u[name] == nil:
		return nil, apierrors.NewNotFound(iamv1alpha2.Resource("users"), name)
	}
	return u[name], nil
}

func (u users) NameByEmail(_ context.Context, email string) (string, bool) {
	for name, user := range u {
		if user.Spec.Email == email {
			return name, true
		}
	}
	return "", false
}

const password = "P@88w0rd"

// Rehash implements Users.
func (u users) Rehash(_ context.Context, user *iamv1alpha2.User, hash string) error {
	changed := user.DeepCopy()
	changed.Spec.EncryptedPassword = hash
	u[user.Name] = changed
	return nil
}

// hasher makes hashes that take as long as those of the tests' users.
func hasher(t testing.TB) passwordhash.Hasher {
	t.Helper()
	return passwordhash.Hasher{Cost: bcrypt.DefaultCost - 4, Random: rand.Reader}
}

// patient is a back-off nobody gets to feel.
func patient() *Backoff { return NewBackoff(1<<20, time.Hour, time.Now) }

// cheap is a hash that takes a sixteenth of the time of real ones.
func cheap(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost-4)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func newUsers(t testing.TB) users {
	t.Helper()
	hash, long := cheap(t, password), cheap(t, strings.Repeat("x", hasher(t).Longest()))
	all := users{}
	add := func(name, hash string, state iamv1alpha2.UserState) {
		all[name] = &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: iamv1alpha2.UserSpec{Email: name + "@example.com", EncryptedPassword: hash}, Status: iamv1alpha2.UserStatus{State: state}}
	}
	add("admin", hash, iamv1alpha2.UserActive)
	add("long", long, iamv1alpha2.UserActive)
	add("disabled", hash, iamv1alpha2.UserDisabled)
	add("limited", hash, iamv1alpha2.UserAuthLimitExceeded)
	add("stateless", hash, "")
	add("external", "", iamv1alpha2.UserActive)
	add("plain", password, iamv1alpha2.UserActive)
	return all
}

// TestP16Authenticate: whatever is wrong, the answer and the work are the same.
// The work is a lower bound in time, which a busy machine cannot fail.
func TestP16Authenticate(t *testing.T) {
	usual, err := NewPasswords(newUsers(t), passwordhash.Hasher{}, patient())
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost([]byte(usual.dummy)); err != nil || cost != bcrypt.DefaultCost {
		t.Errorf("unknown users take work of cost %d, %v", cost, err)
	}
	passwords, err := NewPasswords(newUsers(t), hasher(t), patient())
	if err != nil {
		t.Fatal(err)
	}
	bare := time.Hour
	for range 5 {
		started := time.Now()
		_ = bcrypt.CompareHashAndPassword([]byte(passwords.dummy), []byte(password))
		bare = min(bare, time.Since(started))
	}
	for _, test := range []struct {
		name, user, password string
		want                 error
	}{
		{"right", "admin", password, nil},
		{"right by e-mail", "admin@example.com", password, nil},
		{"right with 72 bytes", "long", strings.Repeat("x", 72), nil},
		{"wrong", "admin", "wrong", ErrIncorrect},
		{"nearly right", "admin", password + "\x00", ErrIncorrect},
		{"empty", "admin", "", ErrIncorrect},
		// bcrypt ignores what follows the 72nd byte.
		{"right with 73 bytes", "long", strings.Repeat("x", 73), ErrIncorrect},
		{"huge", "admin", strings.Repeat("x", 1<<20), ErrIncorrect},
		{"unknown", "nobody", password, ErrIncorrect},
		{"unknown with the password of nobody", "nobody", "no user has this password", ErrIncorrect},
		{"unknown e-mail", "nobody@example.com", password, ErrIncorrect},
		{"disabled", "disabled", password, ErrIncorrect},
		{"limited", "limited", password, ErrIncorrect},
		{"without a state", "stateless", password, ErrIncorrect},
		{"without a password", "external", "", ErrIncorrect},
		{"without a password, with that of nobody", "external", "no user has this password", ErrIncorrect},
		// It was answered at once: somebody could tell that the user exists.
		{"stored in clear", "plain", password, ErrIncorrect},
		{"no name", "", password, ErrIncorrect},
		{"a path", "../admin", password, ErrIncorrect},
		// client-go refuses these two names, which was answered with 500.
		{"a dot", ".", password, ErrIncorrect},
		{"two dots", "..", password, ErrIncorrect},
		{"a query", "admin?x", password, ErrIncorrect},
		{"escaped", "%61dmin", password, ErrIncorrect},
		{"a huge name", strings.Repeat("a", 254), password, ErrIncorrect},
		{"another case", "Admin", password, ErrIncorrect},
	} {
		t.Run(test.name, func(t *testing.T) {
			started := time.Now()
			user, err := passwords.Authenticate(t.Context(), Attempt{Name: test.user, Password: test.password})
			if took := time.Since(started); took < bare/2 {
				t.Errorf("it took %s, a password takes %s", took, bare)
			}
			if err != test.want || (err == nil) != (user != nil) { //nolint:errorlint // nothing may be told beside it
				t.Errorf("got %v, %v", user, err)
			}
			if user != nil && user.Name != strings.TrimSuffix(test.user, "@example.com") {
				t.Errorf("user %s", user.Name)
			}
		})
	}
	t.Run("Kubernetes does not answer", func(t *testing.T) {
		if _, err := passwords.Authenticate(t.Context(), Attempt{Name: "broken", Password: password}); !apierrors.IsServiceUnavailable(err) {
			t.Errorf("got %v", err)
		}
	})
}

// TestBusy: beyond the queue, logins are turned away at once and without work.
func TestBusy(t *testing.T) {
	passwords, err := NewPasswords(users{}, hasher(t), patient())
	if err != nil {
		t.Fatal(err)
	}
	if checks := passwords.turns.running; checks > max(1, runtime.GOMAXPROCS(0)/2) || checks < 1 {
		t.Errorf("%d checks at once", checks)
	}
	address := func(n int) string { return fmt.Sprintf("192.0.2.%d", n) }
	var releases []func()
	for n := range passwords.turns.running { // somebody is being checked
		release, err := passwords.turns.take(t.Context(), unknown(address(n), address(n)))
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	ctx, cancel := context.WithCancel(t.Context())
	outcomes := make(chan error, passwords.turns.waiting)
	var waiting sync.WaitGroup
	for n := range passwords.turns.waiting {
		waiting.Go(func() {
			_, err := passwords.Authenticate(ctx, Attempt{Name: "nobody-" + address(n), Password: password, Address: address(n)})
			outcomes <- err
		})
	}
	wait.Until(t, "all to wait", func() bool { return passwords.turns.length() == passwords.turns.waiting })
	// Kubernetes was asked for the user of each, though most were turned away then.
	if _, err := passwords.Authenticate(t.Context(), Attempt{Name: "broken", Password: password, Address: address(0)}); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	cancel()
	waiting.Wait()
	close(outcomes)
	for err := range outcomes {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("one whose client went away: %v", err)
		}
	}
	for _, release := range releases {
		release()
	}
	if _, err := passwords.Authenticate(t.Context(), Attempt{Name: "nobody", Password: password}); !errors.Is(err, ErrIncorrect) {
		t.Errorf("after the rush: %v", err)
	}
}
