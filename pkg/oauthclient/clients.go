package oauthclient

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// How OAuth clients are kept in Secrets, as KubeSphere 4 does.
const (
	Label      = "config.kubesphere.io/type"
	LabelValue = "oauthclient"
	SecretType = corev1.SecretType("config.kubesphere.io/oauthclient")
	SecretKey  = "configuration.yaml"
)

// Client is an application that asks for tokens.
type Client struct {
	Name   string `json:"name"`
	Secret string `json:"secret"`
	// Trusted clients may see passwords of users: the password grant is for
	// them only.
	Trusted      bool     `json:"trusted"`
	GrantMethod  string   `json:"grantMethod,omitempty"`
	RedirectURIs []string `json:"redirectURIs,omitempty"`
	// AccessTokenMaxAgeSeconds overrides how long access tokens are valid.
	AccessTokenMaxAgeSeconds int64 `json:"accessTokenMaxAgeSeconds,omitempty"`
}

// Authenticates compares a secret in constant time, whatever its length.
func (c *Client) Authenticates(secret string) bool {
	want, got := sha256.Sum256([]byte(c.Secret)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && c.Secret != ""
}

// Clients finds OAuth clients in the configuration and in Secrets. Secrets are
// read again after a few seconds, so that a change needs no restart.
type Clients struct {
	Configured []config.Client
	Reader     client.Reader
	Namespace  string
	Now        func() time.Time

	mu      sync.Mutex
	stored  map[string]*Client
	readAt  time.Time
	touched bool
}

const clientsFor = 5 * time.Second

// Find returns a client by name, nil when there is none.
func (c *Clients) Find(ctx context.Context, name string) (*Client, error) {
	for n := range c.Configured {
		if configured := &c.Configured[n]; configured.Name == name {
			// Clients of a 3.x file have no mark; all of them used passwords.
			found := &Client{Name: name, Secret: configured.Secret.Reveal(), Trusted: true, GrantMethod: configured.GrantMethod, RedirectURIs: configured.RedirectURIs}
			if configured.AccessTokenMaxAge != nil {
				found.AccessTokenMaxAgeSeconds = int64(configured.AccessTokenMaxAge.Seconds())
			}
			return found, nil
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.touched || c.Now().Sub(c.readAt) > clientsFor {
		err := c.read(ctx)
		// While Kubernetes is away, the clients known before go on.
		if err != nil && !c.touched {
			return nil, err
		}
	}
	return c.stored[name], nil
}

func (c *Clients) read(ctx context.Context) error {
	secrets := &corev1.SecretList{}
	err := c.Reader.List(ctx, secrets, client.InNamespace(c.Namespace), client.MatchingLabels{Label: LabelValue})
	if err != nil {
		return fmt.Errorf("reading OAuth clients: %w", err)
	}
	c.stored = make(map[string]*Client, len(secrets.Items))
	for n := range secrets.Items {
		secret := &secrets.Items[n]
		parsed := &Client{}
		if err := yaml.Unmarshal(secret.Data[SecretKey], parsed); err != nil || parsed.Name == "" {
			// The error may quote the secret, so it is not logged.
			slog.WarnContext(ctx, "an OAuth client cannot be read", "secret", secret.Name)
			continue
		}
		c.stored[parsed.Name] = parsed
	}
	c.readAt, c.touched = c.Now(), true
	return nil
}
