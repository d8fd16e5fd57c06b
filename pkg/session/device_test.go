package session

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestRedeemWhileAway: a device is not told that it came too late, which would
// be the end of it, when Kubernetes does not answer.
func TestRedeemWhileAway(t *testing.T) {
	away := false
	w := newWorld(t, func(c client.WithWatch) client.Client {
		return interceptor.NewClient(c, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if _, session := o.(*iamv1alpha2.Session); session && away {
				return apierrors.NewServiceUnavailable("away")
			}
			return c.Get(ctx, key, o, options...)
		}})
	})
	browser, _, err := w.StartBrowser(t.Context(), Login{User: "jane"})
	if err != nil {
		t.Fatal(err)
	}
	code, userCode, err := w.StartDevice(t.Context(), Login{Client: "native"})
	if err != nil {
		t.Fatal(err)
	}
	device, err := w.Device(t.Context(), userCode)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Decide(t.Context(), device, browser, true); err != nil {
		t.Fatal(err)
	}
	away = true
	if _, _, err := w.RedeemDevice(t.Context(), code, Login{Client: "native"}, accepted); !apierrors.IsServiceUnavailable(err) || errors.Is(err, ErrEnded) {
		t.Errorf("away: %v", err)
	}
	away = false
	refusal := errors.New("not now")
	if _, _, err := w.RedeemDevice(t.Context(), code, Login{Client: "native"}, func(*iamv1alpha2.Session) error { return refusal }); !errors.Is(err, refusal) {
		t.Errorf("refused: %v", err)
	}
	if _, _, err := w.RedeemDevice(t.Context(), code, Login{Client: "native"}, accepted); err != nil {
		t.Errorf("back: %v", err)
	}
}
