package providers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	stored     []storedProvider
	failed     error // why Secrets have never been read
	built      map[digest]builtProvider
	order      []*identity.Provider
	unread     []config.Problem // Secrets that hold no provider, or unknown keys
	problems   []config.Problem
}

// builtProvider is a provider, nil for one that cannot be used, and what is wrong
// with its configuration.
type builtProvider struct {
	provider *identity.Provider
	problems []string
}

// storedProvider is a provider of a Secret.
type storedProvider struct {
	config.IdentityProvider
	secret string
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

// Problems returns what is wrong with the providers as they are configured now. An
// error means that they cannot be read.
func (s *Set) Problems(ctx context.Context) ([]config.Problem, error) {
	if _, err := s.List(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.unread, s.problems), nil
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
		s.stored, s.failed, s.unread = nil, nil, nil
		for n := range secrets.Items {
			one, problem, found := parse(ctx, &secrets.Items[n])
			if found {
				s.stored = append(s.stored, storedProvider{one, secrets.Items[n].Name})
			}
			if problem != "" {
				s.unread = append(s.unread, config.Problem{Secret: secrets.Items[n].Name, Name: one.Name, Text: problem})
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
func parse(ctx context.Context, secret *corev1.Secret) (found config.IdentityProvider, problem string, ok bool) {
	if secret.Type != SecretType {
		return found, "the type of the Secret is not " + string(SecretType), false
	}
	encoded, err := yaml.YAMLToJSON(secret.Data[SecretKey])
	var unknown []error
	if err == nil {
		// Keys of later versions do no harm.
		unknown, err = sigsjson.UnmarshalStrict(encoded, &found)
	}
	if err != nil {
		slog.WarnContext(ctx, "an identity provider cannot be read", "secret", secret.Name)
		return found, "the key " + SecretKey + " is not the YAML of an identity provider", false
	}
	if len(unknown) > 0 {
		return found, errors.Join(unknown...).Error(), true
	}
	return found, "", true
}

// assemble builds the providers that are new or have changed.
func (s *Set) assemble(ctx context.Context) {
	all := make([]storedProvider, 0, len(s.configured)+len(s.stored))
	for _, one := range s.configured {
		all = append(all, storedProvider{IdentityProvider: one})
	}
	all = append(all, s.stored...)
	built, names := make(map[digest]builtProvider), make(map[string]bool)
	s.order, s.problems = nil, nil
	for n := range all {
		one := &all[n]
		if one.Disabled {
			continue
		}
		report := func(text string) {
			s.problems = append(s.problems, config.Problem{Secret: one.secret, Name: one.Name, Text: text})
		}
		id, err := digestOf(one.IdentityProvider)
		if err != nil {
			slog.WarnContext(ctx, "an identity provider is left out", "provider", one.Name, "error", err)
			report(err.Error())
			continue
		}
		result, known := s.built[id]
		if !known {
			result = s.build(ctx, one.IdentityProvider)
		}
		built[id] = result // failures as well: they are not said again and again
		for _, text := range result.problems {
			report(text)
		}
		switch {
		case result.provider == nil:
		case names[one.Name]:
			if !known {
				slog.WarnContext(ctx, "an identity provider is left out, another one has its name", "provider", one.Name)
			}
			report("another identity provider has this name")
		default:
			names[one.Name], s.order = true, append(s.order, result.provider)
		}
	}
	s.built = built
}

// build makes a provider, and logs what is wrong with it.
func (s *Set) build(ctx context.Context, c config.IdentityProvider) builtProvider {
	provider, unknown, err := newProvider(c, s.Now)
	if err != nil {
		slog.WarnContext(ctx, "an identity provider is left out", "provider", c.Name, "error", err)
		return builtProvider{problems: []string{err.Error()}}
	}
	result := builtProvider{provider: provider}
	for _, one := range unknown {
		slog.WarnContext(ctx, "an option of an identity provider has no effect", "provider", c.Name, "error", one)
		result.problems = append(result.problems, "provider: "+one.Error())
	}
	return result
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
