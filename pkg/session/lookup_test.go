package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/lookups"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// TestMadeUp: whoever makes up tokens, codes or cookies does not use the requests to
// Kubernetes that all share, and keeps nobody from refreshing.
func TestMadeUp(t *testing.T) {
	reads := 0
	w := newWorld(t, func(c client.WithWatch) client.Client {
		return interceptor.NewClient(c, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			reads++
			return c.Get(ctx, key, o, options...)
		}})
	})
	known, refreshToken := w.mustCreate(t, "jane")
	cache, _ := objectstest.NewCache(t, map[string][]string{"sessions": {
		fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"user":"jane"}}`, known.Name),
	}})
	accept := func(*iamv1alpha2.Session) error { return nil }
	from := func(address string) context.Context {
		return request.NewContext(t.Context(), request.Origin{Address: address}, nil)
	}
	made := func(n int) string { return fmt.Sprintf("%032x.", n) + strings.Repeat("A", 43) }
	own := strings.Split(refreshToken, ".")[0] + "." + strings.Repeat("A", 43)
	for _, test := range []struct {
		name string
		ask  func(ctx context.Context, n int) error
		most int // reads
	}{
		{"refresh tokens", func(ctx context.Context, n int) error {
			_, _, err := w.Refresh(ctx, made(n), known.Spec.Client, accept)
			return err
		}, lookups.Unknown().ShareAtOnce},
		{"introspected tokens", func(ctx context.Context, n int) error {
			_, err := w.Peek(ctx, made(n), known.Spec.Client)
			return err
		}, lookups.Unknown().ShareAtOnce},
		{"codes", func(ctx context.Context, n int) error {
			_, _, err := w.Exchange(ctx, made(n), known.Spec.Client, "", "", accept)
			return err
		}, lookups.Unknown().ShareAtOnce},
		{"cookies", func(ctx context.Context, n int) error {
			_, err := w.Browser(ctx, made(n))
			return err
		}, lookups.Unknown().ShareAtOnce},
		{"codes of devices", func(ctx context.Context, n int) error {
			_, _, err := w.RedeemDevice(ctx, made(n), Login{}, accept)
			return err
		}, 30},
		{"codes people type", func(ctx context.Context, n int) error {
			_, err := w.Device(ctx, "BCDF"+strings.Repeat(string(userCodeLetters[n%len(userCodeLetters)]), 4))
			return err
		}, 30},
		{"secrets for a session that is there", func(ctx context.Context, _ int) error {
			_, _, err := w.Refresh(ctx, own, known.Spec.Client, accept)
			return err
		}, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.Lookups = NewLookups(cache, objects.NewCatalog().Type("sessions"))
			reads = 0
			refused := 0
			for n := range 300 {
				switch err := test.ask(from("198.51.100.7"), n); {
				case apierrors.IsTooManyRequests(err):
					refused++
				case !errors.Is(err, ErrInvalid):
					t.Fatalf("request %d: %v", n, err)
				}
			}
			if reads > test.most+10 || reads+refused != 300 {
				t.Errorf("Kubernetes was asked %d times, %d of 300 requests were refused", reads, refused)
			}
			if err := test.ask(from("198.51.100.8"), 1); !errors.Is(err, ErrInvalid) {
				t.Errorf("from another address: %v", err)
			}
			var err error
			if _, refreshToken, err = w.Refresh(from("198.51.100.8"), refreshToken, known.Spec.Client, accept); err != nil {
				t.Errorf("a valid refresh token from another address: %v", err)
			}
		})
	}
}
