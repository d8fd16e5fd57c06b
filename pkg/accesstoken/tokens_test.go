package accesstoken

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/lookups"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// world is a cluster with tokens, and how often it was asked for one.
type world struct {
	*Tokens
	now    time.Time
	reads  atomic.Int64
	events chan string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	stored := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			w.reads.Add(1)
			return c.Get(ctx, key, o, options...)
		},
	})
	cache, events := objectstest.NewCache(t, map[string][]string{"personalaccesstokens": nil})
	w.events = events["personalaccesstokens"]
	w.Tokens = New(cache, objects.NewCatalog().Type("personalaccesstokens"), stored, func() time.Time { return w.now }, rand.Reader)
	return w
}

func (w *world) create(t testing.TB, user string) (*iamv1alpha2.PersonalAccessToken, string) {
	t.Helper()
	created, text, err := w.Create(t.Context(), user, Token{Description: "CI", Scopes: []string{"read"}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return created, text
}

// event tells the cache of a token, as Kubernetes does.
func (w *world) event(t testing.TB, kind string, token *iamv1alpha2.PersonalAccessToken) {
	t.Helper()
	shown := token.DeepCopy()
	shown.UID, shown.ResourceVersion = token.UID, "2"
	body, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Cache.View(t.Context(), w.Kind); err != nil { // it watches from here on
		t.Fatal(err)
	}
	w.events <- `{"type":"` + kind + `","object":` + string(body) + `}`
	wait.Until(t, "the cache to have the change", func() bool {
		view, err := w.Cache.View(t.Context(), w.Kind)
		if err != nil {
			t.Fatal(err)
		}
		return (view.Get("", token.Name) != nil) == (kind != "DELETED")
	})
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	created, text := w.create(t, "jane")
	grant := func() *Grant {
		t.Helper()
		got, err := w.Verify(t.Context(), text)
		if err != nil || got.User != "jane" || got.Name != created.Name || len(got.Scopes) != 1 || got.Scopes[0] != "read" {
			t.Fatalf("got %+v, %v", got, err)
		}
		return got
	}
	grant() // made by another replica just now
	w.event(t, "ADDED", created)
	grant()
	w.reads.Store(0)
	for range 3 {
		grant()
	}
	if w.reads.Load() != 0 {
		t.Errorf("Kubernetes was asked %d times for a token that is known", w.reads.Load())
	}
	w.now = w.now.Add(time.Hour)
	if got, err := w.Verify(t.Context(), text); !errors.Is(err, ErrInvalid) {
		t.Errorf("expired: %+v, %v", got, err)
	}
	w.now = w.now.Add(-time.Minute)
	grant()
	if err := w.Revoke(t.Context(), "john", created.Name); !apierrors.IsNotFound(err) {
		t.Errorf("revoked by somebody else: %v", err)
	}
	if err := w.Revoke(t.Context(), "jane", created.Name); err != nil {
		t.Fatal(err)
	}
	w.event(t, "DELETED", created)
	if got, err := w.Verify(t.Context(), text); !errors.Is(err, ErrInvalid) {
		t.Errorf("revoked: %+v, %v", got, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	w := newWorld(t)
	created, text := w.create(t, "jane")
	id := strings.TrimPrefix(created.Name, namePrefix)
	secret := strings.TrimPrefix(text, Prefix+id)
	other, _ := w.create(t, "john")
	for _, test := range []struct{ name, text string }{
		{"empty", ""},
		{"the prefix", Prefix},
		{"no secret", Prefix + id},
		{"another secret", Prefix + id + strings.Repeat("A", len(secret))},
		{"a longer secret", text + "A"},
		{"another token's name", Prefix + strings.TrimPrefix(other.Name, namePrefix) + secret},
		{"what is stored", Prefix + id + created.Spec.TokenHash},
		{"a path", Prefix + "../../../api/v1/secrets/xxxxxxxx" + secret},
		{"in capitals", strings.ToUpper(text)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := w.Verify(t.Context(), test.text); !errors.Is(err, ErrInvalid) || got != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestGuessing: who makes tokens up does not make Kubernetes be asked for each, and
// does not keep others from having valid tokens checked, or make those invalid.
func TestGuessing(t *testing.T) {
	w := newWorld(t)
	_, valid := w.create(t, "jane")
	if _, err := w.Cache.View(t.Context(), w.Kind); err != nil { // it is filled
		t.Fatal(err)
	}
	now, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits
	guess := func(n int, address string) error {
		id := fmt.Sprintf("%032x", n+1)
		_, err := w.Verify(request.NewContext(now, request.Origin{Address: address}, nil), Prefix+id+strings.Repeat("A", 43))
		return err
	}
	refused := 0
	for n := range 1000 {
		switch err := guess(n, "198.51.100.7"); {
		case apierrors.IsTooManyRequests(err):
			refused++
		case !errors.Is(err, ErrInvalid):
			t.Fatal(err)
		}
	}
	if w.reads.Load() > 2*int64(lookups.Unknown().ShareAtOnce) || refused == 0 {
		t.Errorf("Kubernetes was asked %d times, %d requests were refused", w.reads.Load(), refused)
	}
	if err := guess(1000, "198.51.100.8"); !errors.Is(err, ErrInvalid) {
		t.Errorf("another address: %v", err)
	}
	for n := range 1000 {
		_ = guess(n, fmt.Sprintf("203.0.113.%d", n%200))
	}
	if w.reads.Load() > 3*int64(lookups.Unknown().AtOnce) {
		t.Errorf("Kubernetes was asked %d times by many addresses", w.reads.Load())
	}
	if grant, err := w.Verify(request.NewContext(t.Context(), request.Origin{Address: "198.51.100.8"}, nil), valid); err != nil && !apierrors.IsTooManyRequests(err) {
		t.Errorf("a valid token: %v, %v", grant, err)
	}
}

// TestP18NothingIsStored: the token is in no object.
func TestP18NothingIsStored(t *testing.T) {
	w := newWorld(t)
	created, text := w.create(t, "jane")
	body, err := json.Marshal(created)
	if err != nil {
		t.Fatal(err)
	}
	if secret := text[len(Prefix)+32:]; len(secret) != 43 || strings.Contains(string(body), secret) {
		t.Errorf("stored: %s", body)
	}
}

func TestSweep(t *testing.T) {
	w := newWorld(t)
	w.create(t, "jane")
	w.now = w.now.Add(30 * time.Minute)
	kept, _ := w.create(t, "jane")
	w.now = w.now.Add(45 * time.Minute)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := &iamv1alpha2.PersonalAccessTokenList{}
	if err := w.Client.List(t.Context(), left); err != nil || len(left.Items) != 1 || left.Items[0].Name != kept.Name {
		t.Errorf("left %+v, %v", left.Items, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	created, text := w.create(b, "jane")
	w.event(b, "ADDED", created)
	for b.Loop() {
		if _, err := w.Verify(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}
