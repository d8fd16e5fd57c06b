package token

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// secretKey is the key of the Secret that holds the signing keys.
const secretKey = "keys.json"

// SecretKeys keeps the signing keys in a Secret. Every replica reads it
// again and again, and whoever finds that a key is due to change changes it;
// the resource version of the Secret decides between two who do so at once.
type SecretKeys struct {
	Client    client.Client
	Namespace string
	Name      string
	Rotation  Rotation
	Now       func() time.Time
	Random    io.Reader
	// Interval is how often the Secret is read.
	Interval time.Duration

	keys atomic.Pointer[Keys]

	mu   sync.Mutex // for refreshing
	last time.Time
}

// refreshGap bounds how often unknown keys can make us read the Secret.
const refreshGap = time.Second

// Keys implements KeySource.
func (s *SecretKeys) Keys() Keys {
	if keys := s.keys.Load(); keys != nil {
		return *keys
	}
	return nil
}

// Ready reports why there are no keys; nil when there are.
func (s *SecretKeys) Ready() error {
	if s.Keys() == nil {
		return ErrNotReady
	}
	return nil
}

// Refresh implements KeySource: it reads the Secret, at most once a second.
func (s *SecretKeys) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Now().Sub(s.last) < refreshGap {
		return nil
	}
	s.last = s.Now()
	return s.sync(ctx)
}

// Run keeps the keys up to date until the context ends.
func (s *SecretKeys) Run(ctx context.Context) {
	for {
		s.mu.Lock()
		err := s.sync(ctx)
		s.mu.Unlock()
		wait := s.Interval
		if err != nil {
			if ctx.Err() == nil {
				slog.WarnContext(ctx, "signing keys cannot be read", "error", err)
			}
			if s.Keys() == nil {
				wait = min(wait, time.Second)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// sync reads the keys, and creates or rotates them when that is due.
func (s *SecretKeys) sync(ctx context.Context) error {
	secret := &corev1.Secret{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Name}, secret)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	var keys Keys
	if data := secret.Data[secretKey]; len(data) > 0 {
		if keys, err = DecodeKeys(data); err != nil {
			return fmt.Errorf("secret %s/%s: %w", s.Namespace, s.Name, err)
		}
	}
	next, changed, err := s.Rotation.Next(keys, s.Now(), s.Random)
	if err != nil {
		return err
	}
	if changed {
		if err := s.write(ctx, secret, next, missing); err != nil {
			return err
		}
	}
	s.keys.Store(&next)
	return nil
}

func (s *SecretKeys) write(ctx context.Context, secret *corev1.Secret, keys Keys, missing bool) error {
	encoded, err := keys.Encode()
	if err != nil {
		return err
	}
	if missing {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: s.Name,
			Labels: map[string]string{reserved.LabelManagedBy: reserved.ManagedByServer},
		}}
	}
	if secret.Data == nil {
		secret.Data = make(map[string][]byte)
	}
	secret.Data[secretKey] = encoded
	if missing {
		return s.Client.Create(ctx, secret)
	}
	return s.Client.Update(ctx, secret)
}
