package providers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	sigsjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// How providers are kept in Secrets.
const (
	Label      = "config.kubesphere.io/type"
	LabelValue = "identityprovider"
	SecretType = corev1.SecretType("config.kubesphere.io/identityprovider")
	SecretKey  = "configuration.yaml"
)

// Set implements identity.Providers. What it is made of is read again after a
// few seconds, when somebody asks.
type Set struct {
	// Configured are the providers of the configuration as it is now.
	Configured func() ([]config.IdentityProvider, error)
	Reader     client.Reader
	Namespace  string
	Now        func() time.Time

	mu         sync.Mutex
	readAt     time.Time
	read       bool
	configured []config.IdentityProvider
	stored     []config.IdentityProvider
	failed     error // why Secrets have never been read
	built      map[digest]*identity.Provider
	order      []*identity.Provider
}

// digest tells configurations apart.
type digest [sha256.Size]byte

const readEvery = 5 * time.Second

// Provider returns a provider by name.
func (s *Set) Provider(ctx context.Context, name string) (*identity.Provider, error) {
	all, err := s.List(ctx)
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, err
}

// List returns all providers: those of the configuration first. While Secrets
// have never been read there is an error beside them.
func (s *Set) List(ctx context.Context) ([]*identity.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.read || s.Now().Sub(s.readAt) > readEvery {
		s.refresh(ctx)
		s.assemble(ctx)
	}
	return s.order, s.failed
}

// refresh reads both sources. What cannot be read stays as it was.
func (s *Set) refresh(ctx context.Context) {
	configured, err := s.Configured()
	if err != nil {
		slog.ErrorContext(ctx, "the configuration cannot be read again, its identity providers stay as they were", "error", err)
	} else {
		s.configured = configured
	}
	secrets := &corev1.SecretList{}
	err = s.Reader.List(ctx, secrets, client.InNamespace(s.Namespace), client.MatchingLabels{Label: LabelValue})
	switch {
	case err == nil:
		s.stored, s.failed = nil, nil
		for n := range secrets.Items {
			if one, found := parse(ctx, &secrets.Items[n]); found {
				s.stored = append(s.stored, one)
			}
		}
	case s.stored == nil && (!s.read || s.failed != nil):
		s.failed = fmt.Errorf("reading identity providers: %w", err)
	default:
		slog.WarnContext(ctx, "identity providers cannot be read, they stay as they were", "error", err)
	}
	s.readAt, s.read = s.Now(), true
}

// parse reads the provider in a Secret. Errors may quote what is secret, so
// that they are not logged.
func parse(ctx context.Context, secret *corev1.Secret) (config.IdentityProvider, bool) {
	var found config.IdentityProvider
	if secret.Type != SecretType {
		return found, false
	}
	encoded, err := yaml.YAMLToJSON(secret.Data[SecretKey])
	if err == nil {
		// Keys of later versions do no harm.
		_, err = sigsjson.UnmarshalStrict(encoded, &found)
	}
	if err != nil {
		slog.WarnContext(ctx, "an identity provider cannot be read", "secret", secret.Name)
		return found, false
	}
	return found, true
}

// assemble builds the providers that are new or have changed.
func (s *Set) assemble(ctx context.Context) {
	built, order, names := make(map[digest]*identity.Provider), []*identity.Provider(nil), make(map[string]bool)
	for _, from := range [][]config.IdentityProvider{s.configured, s.stored} {
		for _, one := range from {
			if one.Disabled {
				continue
			}
			id, err := digestOf(one)
			if err != nil {
				slog.WarnContext(ctx, "an identity provider is left out", "provider", one.Name, "error", err)
				continue
			}
			provider, known := s.built[id]
			if !known {
				if provider, err = build(ctx, one, s.Now); err != nil {
					slog.WarnContext(ctx, "an identity provider is left out", "provider", one.Name, "error", err)
					provider = nil
				}
			}
			built[id] = provider // nil as well: it is not said again and again
			switch {
			case provider == nil:
			case names[one.Name]:
				if !known {
					slog.WarnContext(ctx, "an identity provider is left out, another one has its name", "provider", one.Name)
				}
			default:
				names[one.Name], order = true, append(order, provider)
			}
		}
	}
	s.built, s.order = built, order
}

func digestOf(c config.IdentityProvider) (digest, error) {
	options := map[string]any(c.Provider) // a Section would mask its secrets
	c.Provider = nil
	encoded, err := json.Marshal([]any{c, options})
	if err != nil {
		return digest{}, errors.New("it cannot be encoded")
	}
	return sha256.Sum256(encoded), nil
}

var _ identity.Providers = (*Set)(nil)
