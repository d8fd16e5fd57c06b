package token

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// replica is one of several servers that share a cluster and a clock.
func replica(c client.Client, now *time.Time) *SecretKeys {
	return &SecretKeys{Client: c, Namespace: "n", Name: "keys", Rotation: rotation, Now: func() time.Time { return *now }, Random: rand.Reader, Interval: time.Minute}
}

func ids(keys Keys) []string {
	var result []string
	for _, key := range keys {
		result = append(result, key.ID)
	}
	return result
}

func TestP22ReplicasShareKeys(t *testing.T) {
	now := epoch
	c := fake.NewClientBuilder().Build()
	a, b := replica(c, &now), replica(c, &now)
	if a.Ready() == nil || a.Keys() != nil {
		t.Error("ready before the first read")
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		keys  int
	}{
		{"first start", 0, 1},
		{"announced", 23 * time.Hour, 2},
		{"in use", 24 * time.Hour, 2},
		{"retired", 27 * time.Hour, 1},
	} {
		now = epoch.Add(step.after)
		for _, r := range []*SecretKeys{a, b, a} {
			if err := r.Refresh(t.Context()); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			now = now.Add(2 * refreshGap)
		}
		if !slices.Equal(ids(a.Keys()), ids(b.Keys())) || len(a.Keys()) != step.keys {
			t.Errorf("%s: %v and %v", step.name, ids(a.Keys()), ids(b.Keys()))
		}
	}
	if err := a.Ready(); err != nil {
		t.Error(err)
	}
}

// TestReplicasAtOnce: of two that write at the same time one wins, and the
// other takes over what it wrote.
func TestReplicasAtOnce(t *testing.T) {
	for _, test := range []struct {
		name     string
		existing time.Duration // when keys were made before; 0 for never
		conflict func(error) bool
	}{
		{"first start", 0, apierrors.IsAlreadyExists},
		{"rotation", -23 * time.Hour, apierrors.IsConflict},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := epoch
			var other *SecretKeys
			between := func(ctx context.Context, write func() error) error {
				if winner := other; winner != nil {
					other = nil
					if err := winner.sync(ctx); err != nil {
						t.Error(err)
					}
				}
				return write()
			}
			shared := fake.NewClientBuilder().Build()
			slow := interceptor.NewClient(shared, interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
					return between(ctx, func() error { return c.Create(ctx, o, options...) })
				},
				Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
					return between(ctx, func() error { return c.Update(ctx, o, options...) })
				},
			})
			loser, winner := replica(slow, &now), replica(shared, &now)
			if test.existing != 0 {
				now = epoch.Add(test.existing)
				if err := winner.sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := loser.sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				now = epoch
			}
			before := ids(loser.Keys())
			other = winner
			if err := loser.sync(t.Context()); !test.conflict(err) {
				t.Fatalf("got %v", err)
			}
			if got := ids(loser.Keys()); !slices.Equal(got, before) {
				t.Errorf("keys that were not written are used: %v", got)
			}
			if err := loser.sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(ids(loser.Keys()), ids(winner.Keys())) {
				t.Errorf("%v and %v", ids(loser.Keys()), ids(winner.Keys()))
			}
		})
	}
}

func TestRefreshIsBounded(t *testing.T) {
	now, reads := epoch, 0
	c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			reads++
			return c.Get(ctx, key, o, options...)
		},
	})
	s := replica(c, &now)
	for range 100 { // as many tokens with a kid nobody knows
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(refreshGap)
	if err := s.Refresh(t.Context()); err != nil || reads != 2 {
		t.Errorf("%d reads, %v", reads, err)
	}
}

func TestSecretProblems(t *testing.T) {
	now := epoch
	secret := func(data map[string][]byte) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "keys"}, Data: data}
	}
	t.Run("garbage is left alone", func(t *testing.T) {
		c := fake.NewClientBuilder().WithObjects(secret(map[string][]byte{secretKey: []byte("BEGIN garbage")})).Build()
		s := replica(c, &now)
		err := s.sync(t.Context())
		if err == nil || strings.Contains(err.Error(), "garbage") || s.Ready() == nil {
			t.Errorf("got %v", err)
		}
		after := &corev1.Secret{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "keys"}, after); err != nil || string(after.Data[secretKey]) != "BEGIN garbage" {
			t.Errorf("it was overwritten: %v", err)
		}
	})
	t.Run("an empty secret is filled, other keys stay", func(t *testing.T) {
		c := fake.NewClientBuilder().WithObjects(secret(map[string][]byte{"other": []byte("x")})).Build()
		s := replica(c, &now)
		if err := s.sync(t.Context()); err != nil || len(s.Keys()) != 1 {
			t.Fatalf("%d keys, %v", len(s.Keys()), err)
		}
		after := &corev1.Secret{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "keys"}, after); err != nil || string(after.Data["other"]) != "x" {
			t.Errorf("the other key is %q, %v", after.Data["other"], err)
		}
	})
	t.Run("known keys outlive a Kubernetes that is away", func(t *testing.T) {
		away := false
		c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
				if away {
					return apierrors.NewServiceUnavailable("away")
				}
				return c.Get(ctx, key, o, options...)
			},
		})
		s := replica(c, &now)
		if err := s.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		away = true
		if err := s.sync(t.Context()); err == nil || len(s.Keys()) != 1 {
			t.Errorf("%d keys, %v", len(s.Keys()), err)
		}
	})
	t.Run("not permitted", func(t *testing.T) {
		c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
			Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "keys", nil)
			},
		})
		s := replica(c, &now)
		if err := s.sync(t.Context()); !apierrors.IsForbidden(err) || s.Ready() == nil {
			t.Errorf("keys nobody else has are used: %v", err)
		}
	})
}

// TestRun reads at once, and stops with its context.
func TestRun(t *testing.T) {
	now := epoch
	s := replica(fake.NewClientBuilder().Build(), &now)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Run(ctx)
	}()
	wait.For(t, "keys", s.Ready)
	cancel()
	<-stopped
}
