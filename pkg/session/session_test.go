package session

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a cluster with a clock a test sets.
type world struct {
	*Sessions
	now time.Time
}

func newWorld(t testing.TB, wrap func(client.WithWatch) client.Client) *world {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{now: epoch}
	var c client.Client
	shared := fake.NewClientBuilder().WithScheme(scheme).Build()
	if c = shared; wrap != nil {
		c = wrap(shared)
	}
	w.Sessions = &Sessions{Client: c, Now: func() time.Time { return w.now }, Random: rand.Reader,
		Lifetime: 24 * time.Hour, IdleTimeout: 2 * time.Hour, Grace: 10 * time.Second}
	return w
}

func (w *world) mustCreate(t testing.TB, user string) (*iamv1alpha2.Session, string) {
	t.Helper()
	created, refreshToken, err := w.Create(t.Context(), user, "kubesphere")
	if err != nil {
		t.Fatal(err)
	}
	return created, refreshToken
}

func (w *world) get(t testing.TB, name string) *iamv1alpha2.Session {
	t.Helper()
	stored := &iamv1alpha2.Session{}
	if err := w.Client.Get(t.Context(), client.ObjectKey{Name: name}, stored); err != nil {
		t.Fatal(err)
	}
	return stored
}

// accepted accepts all sessions.
func accepted(*iamv1alpha2.Session) error { return nil }

// TestP8P9Rotation plays series of refreshes; use names the token presented by
// the refresh that returned it, 0 being the first.
func TestP8P9Rotation(t *testing.T) {
	type step struct {
		after  time.Duration // since the step before
		use    int
		client string // kubesphere when empty
		want   error
		same   int // the refresh that returned the same token, 0 for none
	}
	for _, test := range []struct {
		name    string
		steps   []step
		revoked bool
	}{
		{"each token is used once", []step{{use: 0}, {after: time.Hour, use: 1}, {after: time.Hour, use: 2}}, false},
		{"a lost answer is repeated", []step{{use: 0}, {after: 9 * time.Second, use: 0, same: 1}, {after: time.Hour, use: 1}}, false},
		{"on the boundary of the grace time", []step{{use: 0}, {after: 10 * time.Second, use: 0, same: 1}}, false},
		{"repeating does not make the grace time longer", []step{{use: 0}, {after: 9 * time.Second, use: 0, same: 1}, {after: 2 * time.Second, use: 0, want: ErrReused}}, true},
		{"a replay after the grace time ends the session", []step{{use: 0}, {after: 11 * time.Second, use: 0, want: ErrReused}, {use: 1, want: ErrEnded}}, true},
		{"a replay of an older token within it as well", []step{{use: 0}, {use: 1}, {use: 0, want: ErrReused}, {use: 2, want: ErrEnded}}, true},
		{"another client learns nothing and ends nothing", []step{{use: 0, client: "other", want: ErrInvalid}, {use: 0}}, false},
		{"not even by a replay", []step{{use: 0}, {after: time.Minute, use: 0, client: "other", want: ErrInvalid}, {use: 1}}, false},
		{"P9: idle until the last moment", []step{{after: 2 * time.Hour, use: 0}}, false},
		{"P9: idle for too long", []step{{after: 2*time.Hour + time.Microsecond, use: 0, want: ErrEnded}}, false},
		{"P9: the idle time begins anew with each use", []step{{after: 90 * time.Minute, use: 0}, {after: 90 * time.Minute, use: 1}}, false},
		{"P9: in the end it is over however it is used", []step{
			{after: 2 * time.Hour, use: 0}, {after: 2 * time.Hour, use: 1}, {after: 2 * time.Hour, use: 2}, {after: 2 * time.Hour, use: 3},
			{after: 2 * time.Hour, use: 4}, {after: 2 * time.Hour, use: 5}, {after: 2 * time.Hour, use: 6}, {after: 2 * time.Hour, use: 7},
			{after: 2 * time.Hour, use: 8}, {after: 2 * time.Hour, use: 9}, {after: 2 * time.Hour, use: 10}, {after: 2 * time.Hour, use: 11},
			{after: time.Second, use: 12, want: ErrEnded},
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			created, first := w.mustCreate(t, "admin")
			tokens := []string{first}
			for n, step := range test.steps {
				w.now = w.now.Add(step.after)
				if step.client == "" {
					step.client = "kubesphere"
				}
				session, next, err := w.Refresh(t.Context(), tokens[step.use], step.client, accepted)
				if !errors.Is(err, step.want) {
					t.Fatalf("step %d: %v, want %v", n+1, err, step.want)
				}
				if err != nil {
					if session != nil || next != "" {
						t.Fatalf("step %d: a token with an error", n+1)
					}
					tokens = append(tokens, "")
					continue
				}
				if session.Name != created.Name || session.Spec.User != "admin" {
					t.Fatalf("step %d: session %s of %s", n+1, session.Name, session.Spec.User)
				}
				for earlier, token := range tokens {
					if (token == next) != (earlier == step.same && step.same > 0) {
						t.Fatalf("step %d: the token equals that of step %d: %v", n+1, earlier, token == next)
					}
				}
				tokens = append(tokens, next)
			}
			if got := w.get(t, created.Name).Spec.Revoked; got != test.revoked {
				t.Errorf("revoked: %v", got)
			}
		})
	}
}

// TestP7NoSecretIsStored: whoever reads all of Kubernetes cannot refresh.
func TestP7NoSecretIsStored(t *testing.T) {
	w := newWorld(t, nil)
	created, refreshToken := w.mustCreate(t, "admin")
	for range 3 {
		stored, err := json.Marshal(w.get(t, created.Name))
		if err != nil {
			t.Fatal(err)
		}
		_, encoded, _ := strings.Cut(refreshToken, ".")
		secret, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil || len(secret) != 32 {
			t.Fatalf("a secret of %d bits: %v", 8*len(secret), err)
		}
		for _, form := range []string{encoded, base64.StdEncoding.EncodeToString(secret), base64.URLEncoding.EncodeToString(secret), string(secret)} {
			if strings.Contains(string(stored), form) {
				t.Errorf("stored: %s", stored)
			}
		}
		w.now = w.now.Add(time.Minute)
		if _, refreshToken, err = w.Refresh(t.Context(), refreshToken, "kubesphere", accepted); err != nil {
			t.Fatal(err)
		}
	}
	spec := w.get(t, created.Name).Spec
	for _, hash := range []string{spec.RefreshTokenHash, spec.PreviousTokenHash, spec.RotationNonce} {
		if _, _, err := w.Refresh(t.Context(), strings.TrimPrefix(created.Name, namePrefix)+"."+hash, "kubesphere", accepted); err == nil {
			t.Error("a stored value was accepted as a token")
		}
	}
}

func TestRefreshRefuses(t *testing.T) {
	w := newWorld(t, nil)
	created, refreshToken := w.mustCreate(t, "admin")
	id, secret, _ := strings.Cut(refreshToken, ".")
	for _, test := range []struct{ name, token string }{
		{"empty", ""},
		{"no dot", id + secret},
		{"no secret", id + "."},
		{"no name", "." + secret},
		{"short secret", id + "." + secret[:40]},
		{"long secret", id + "." + secret + "AAAA"},
		{"padded secret", refreshToken + "="},
		{"secret with other unused bits", id + "." + secret[:42] + string(secret[42]+1)},
		{"a whole name", namePrefix + refreshToken},
		{"a name that is a path", "../../../namespaces/default/xxxxx." + secret},
		{"capitals", strings.ToUpper(id) + "x." + secret},
		{"another session", strings.Repeat("0", 32) + "." + secret},
		{"an access token", "a.b.c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := w.Refresh(t.Context(), test.token, "kubesphere", accepted); !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
	if w.get(t, created.Name).Spec.Revoked {
		t.Error("one of them ended the session")
	}
	// The ID is in access tokens and lists: with a made-up secret it ends nothing.
	for _, made := range [][]byte{make([]byte, 32), hmacOf([]byte(id), nil), []byte(created.Spec.RefreshTokenHash)[:32], []byte(created.Spec.RefreshTokenKey)[:32], seal("", make([]byte, 32))} {
		if _, _, err := w.Refresh(t.Context(), id+"."+encodeBytes(made), "kubesphere", accepted); !errors.Is(err, ErrInvalid) || w.get(t, created.Name).Spec.Revoked {
			t.Errorf("a made-up secret of a known session: %v", err)
		}
	}
	if err := w.Client.Delete(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Refresh(t.Context(), refreshToken, "kubesphere", accepted); !errors.Is(err, ErrInvalid) {
		t.Errorf("deleted: %v", err)
	}
}

// TestRefreshInParallel: two tabs or two replicas that refresh at once get the
// same token, and the session goes on.
func TestRefreshInParallel(t *testing.T) {
	w := newWorld(t, nil)
	created, refreshToken := w.mustCreate(t, "admin")
	got := make([]string, 8)
	var running sync.WaitGroup
	for n := range got {
		running.Go(func() {
			var err error
			if _, got[n], err = w.Refresh(context.WithoutCancel(t.Context()), refreshToken, "kubesphere", accepted); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	for _, next := range got {
		if next != got[0] {
			t.Errorf("different tokens: %v", got)
		}
	}
	if w.get(t, created.Name).Spec.Revoked {
		t.Error("the session was ended")
	}
	if _, _, err := w.Refresh(t.Context(), got[0], "kubesphere", accepted); err != nil {
		t.Errorf("the token they got: %v", err)
	}
}

func TestRefreshGivesUp(t *testing.T) {
	updates := 0
	w := newWorld(t, func(c client.WithWatch) client.Client {
		return interceptor.NewClient(c, interceptor.Funcs{Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
			updates++
			return apierrors.NewConflict(iamv1alpha2.Resource("sessions"), "s", nil)
		}})
	})
	_, refreshToken := w.mustCreate(t, "admin")
	if _, next, err := w.Refresh(t.Context(), refreshToken, "kubesphere", accepted); err == nil || next != "" || updates != 5 {
		t.Errorf("%v after %d updates", err, updates)
	}
}

func TestEnd(t *testing.T) {
	w := newWorld(t, nil)
	one, tokenOne := w.mustCreate(t, "a.b")
	two, tokenTwo := w.mustCreate(t, "a.b")
	// Upstream took a user name for a pattern: a.b ended the sessions of axb.
	similar, tokenSimilar := w.mustCreate(t, "axb")
	if err := w.EndOthers(t.Context(), "a.b", one.Name, "the password was changed"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, token string
		session     *iamv1alpha2.Session
		revoked     bool
	}{{"the one that stays", tokenOne, one, false}, {"another of the user", tokenTwo, two, true}, {"one of a user with a similar name", tokenSimilar, similar, false}} {
		_, _, err := w.Refresh(t.Context(), test.token, "kubesphere", accepted)
		if revoked := errors.Is(err, ErrEnded); revoked != test.revoked || !revoked && err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if got := w.get(t, two.Name).Spec; got.RevokedReason != "the password was changed" || got.User != "a.b" || got.RefreshTokenHash == "" {
		t.Errorf("after its end: %+v", got)
	}
	if err := w.EndOthers(t.Context(), "a.b", "", "disabled"); err != nil || !w.get(t, one.Name).Spec.Revoked {
		t.Errorf("all sessions: %v", err)
	}
	for _, name := range []string{one.Name, "session-of-nobody"} {
		if err := w.End(t.Context(), name, "again"); err != nil {
			t.Errorf("ending %s: %v", name, err)
		}
	}
}

func TestSweep(t *testing.T) {
	const tokenLifetime = 3 * time.Hour // longer than the idle time
	for _, test := range []struct {
		name   string
		change func(*iamv1alpha2.SessionSpec)
		after  time.Duration
		gone   bool
	}{
		{"in use", nil, time.Hour, false},
		{"idle, its tokens still valid", nil, 3*time.Hour - time.Second, false},
		{"idle, its tokens over", nil, 3 * time.Hour, true},
		{"revoked, its tokens still valid", func(s *iamv1alpha2.SessionSpec) { s.Revoked = true }, time.Hour, false},
		{"revoked, its tokens over", func(s *iamv1alpha2.SessionSpec) { s.Revoked = true }, 3 * time.Hour, true},
		{"expired, its tokens still valid", func(s *iamv1alpha2.SessionSpec) { s.ExpirationTime = metav1.NewTime(epoch.Add(time.Hour)) }, 3*time.Hour + time.Minute, false},
		{"expired, its tokens over", func(s *iamv1alpha2.SessionSpec) { s.ExpirationTime = metav1.NewTime(epoch.Add(time.Hour)) }, 4 * time.Hour, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			created, _ := w.mustCreate(t, "admin")
			if test.change != nil {
				test.change(&created.Spec)
				if err := w.Client.Update(t.Context(), created); err != nil {
					t.Fatal(err)
				}
			}
			w.now = epoch.Add(test.after)
			for range 2 { // another replica does the same
				if err := w.Sweep(t.Context(), tokenLifetime); err != nil {
					t.Fatal(err)
				}
			}
			err := w.Client.Get(t.Context(), client.ObjectKeyFromObject(created), &iamv1alpha2.Session{})
			if gone := apierrors.IsNotFound(err); gone != test.gone {
				t.Errorf("gone: %v, %v", gone, err)
			}
		})
	}
	t.Run("not while it is refreshed", func(t *testing.T) {
		var refresh func()
		w := newWorld(t, func(c client.WithWatch) client.Client {
			return interceptor.NewClient(c, interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
				refresh()
				return c.Delete(ctx, o, options...)
			}})
		})
		created, refreshToken := w.mustCreate(t, "admin")
		refresh = func() {
			w.now = epoch
			if _, _, err := w.Refresh(t.Context(), refreshToken, "kubesphere", accepted); err != nil {
				t.Error(err)
			}
		}
		w.now = epoch.Add(4 * time.Hour)
		if err := w.Sweep(t.Context(), tokenLifetime); err != nil {
			t.Fatal(err)
		}
		w.get(t, created.Name)
	})
}

// TestRefreshEarlierVersion: sessions that began without a key go on, and get one.
func TestRefreshEarlierVersion(t *testing.T) {
	w := newWorld(t, nil)
	created, _ := w.mustCreate(t, "admin")
	secret := make([]byte, 32)
	earlier := w.get(t, created.Name)
	earlier.Spec.RefreshTokenKey, earlier.Spec.RefreshTokenHash = "", hash(secret)
	if err := w.Client.Update(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	made := encode(created.Name, append(secret[1:31:31], 1, 2))
	if _, _, err := w.Refresh(t.Context(), made, "kubesphere", accepted); !errors.Is(err, ErrInvalid) || w.get(t, created.Name).Spec.Revoked {
		t.Errorf("a made-up secret: %v", err)
	}
	_, next, err := w.Refresh(t.Context(), encode(created.Name, secret), "kubesphere", accepted)
	if err != nil || w.get(t, created.Name).Spec.RefreshTokenKey == "" {
		t.Fatalf("the first refresh: %v", err)
	}
	if _, same, err := w.Refresh(t.Context(), encode(created.Name, secret), "kubesphere", accepted); err != nil || same != next {
		t.Errorf("a lost answer: %q %v", same, err)
	}
	if _, _, err := w.Refresh(t.Context(), next, "kubesphere", accepted); err != nil {
		t.Error(err)
	}
	if _, _, err := w.Refresh(t.Context(), next, "kubesphere", accepted); err != nil {
		t.Errorf("within the grace time: %v", err)
	}
}
