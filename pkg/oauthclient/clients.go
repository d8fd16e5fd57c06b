package oauthclient

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	Name string `json:"name"`
	// Secret is the client's secret or a hash of it. A client without one is
	// public: it cannot prove who it is, so it must prove that it is the one
	// that began, by PKCE.
	Secret string `json:"secret"`
	// Trusted clients may see passwords of users: the password grant is for
	// them only.
	Trusted bool `json:"trusted"`
	// GrantMethod is how users are asked whether the client may act for them:
	// prompt, auto without asking, or deny. Empty is auto for trusted clients
	// and prompt for others.
	GrantMethod string `json:"grantMethod,omitempty"`
	// RespondWithChallenges lets users without a browser log in by HTTP Basic.
	RespondWithChallenges bool `json:"respondWithChallenges,omitempty"`
	// ScopeRestrictions are the scopes the client may ask for; empty for all.
	ScopeRestrictions []string `json:"scopeRestrictions,omitempty"`
	RedirectURIs      []string `json:"redirectURIs,omitempty"`
	// PostLogoutRedirectURIs are where a browser may go after logging out,
	// beside RedirectURIs.
	PostLogoutRedirectURIs []string `json:"postLogoutRedirectURIs,omitempty"`
	// User is whom the client acts for with its own credentials; empty for nobody.
	User string `json:"user,omitempty"`
	// AccessTokenMaxAgeSeconds overrides how long access tokens are valid, and
	// AccessTokenInactivityTimeoutSeconds how much longer a session lasts unused.
	AccessTokenMaxAgeSeconds            int64 `json:"accessTokenMaxAgeSeconds,omitempty"`
	AccessTokenInactivityTimeoutSeconds int64 `json:"accessTokenInactivityTimeoutSeconds,omitempty"`
}

// Public reports whether the client has no secret.
func (c *Client) Public() bool { return c.Secret == "" }

// Grants is the effective grant method.
func (c *Client) Grants() string {
	switch {
	case c.GrantMethod == config.GrantAuto, c.GrantMethod == config.GrantDeny:
		return c.GrantMethod
	case c.GrantMethod != "": // prompt, or something unknown: the user is asked
		return config.GrantPrompt
	case c.Trusted:
		return config.GrantAuto
	}
	return config.GrantPrompt
}

// Clients finds OAuth clients in the configuration and in Secrets. Secrets are
// read again after a few seconds, so that a change needs no restart.
type Clients struct {
	Configured []config.Client
	Reader     client.Reader
	Namespace  string
	Now        func() time.Time

	mu       sync.Mutex
	stored   map[string]*Client
	problems []config.Problem
	readAt   time.Time
	touched  bool
}

// Clients are believed for a while, that there is none of a name for a shorter one,
// and Kubernetes has so long to say which there are.
const (
	clientsFor = 5 * time.Second
	unknownFor = 500 * time.Millisecond
	readWithin = 5 * time.Second
)

// Find returns a client by name, nil when there is none.
func (c *Clients) Find(ctx context.Context, name string) (*Client, error) {
	if configured := c.configured(name); configured != nil {
		return fromConfiguration(configured), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refresh(ctx, clientsFor); err != nil {
		return nil, err
	}
	if c.stored[name] == nil {
		// It may be one that was just made, such as by the first start of this server.
		if err := c.refresh(ctx, unknownFor); err != nil {
			return nil, err
		}
	}
	return c.stored[name], nil
}

// Problems returns what is wrong with the clients in Secrets. An error means that
// they cannot be read.
func (c *Clients) Problems(ctx context.Context) ([]config.Problem, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.refresh(ctx, clientsFor)
	return c.problems, err
}

// refresh reads the clients if they were read longer ago than maxAge.
func (c *Clients) refresh(ctx context.Context, maxAge time.Duration) error {
	if !c.touched || c.Now().Sub(c.readAt) > maxAge {
		err := c.read(ctx)
		if err != nil && !c.touched {
			return err
		}
		// While Kubernetes is away, the clients known before go on, and it is asked
		// again in a while: everybody else waits meanwhile.
		c.readAt = c.Now()
	}
	return nil
}

func (c *Clients) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	secrets := &corev1.SecretList{}
	err := c.Reader.List(ctx, secrets, client.InNamespace(c.Namespace), client.MatchingLabels{Label: LabelValue})
	if err != nil {
		return fmt.Errorf("reading OAuth clients: %w", err)
	}
	c.stored, c.problems = make(map[string]*Client, len(secrets.Items)), nil
	for n := range secrets.Items {
		secret := &secrets.Items[n]
		parsed, texts := parse(secret)
		if parsed == nil {
			// The error may quote the secret, so it is not logged.
			slog.WarnContext(ctx, "an OAuth client cannot be read", "secret", secret.Name)
			parsed = &Client{}
		} else if c.stored[parsed.Name] != nil || c.configured(parsed.Name) != nil {
			texts = append(texts, "another OAuth client has this name")
		} else {
			c.stored[parsed.Name] = parsed
		}
		for _, text := range texts {
			c.problems = append(c.problems, config.Problem{Secret: secret.Name, Name: parsed.Name, Text: text})
		}
	}
	c.touched = true
	return nil
}

// configured is a client of the file, nil for none.
func (c *Clients) configured(name string) *config.Client {
	for n := range c.Configured {
		if c.Configured[n].Name == name {
			return &c.Configured[n]
		}
	}
	return nil
}

// fromConfiguration is a client of the file. Those of a 3.x file have no mark;
// all that have a secret used passwords. A Secret can trust one that has none.
func fromConfiguration(c *config.Client) *Client {
	found := &Client{
		Name: c.Name, Secret: c.Secret.Reveal(), Trusted: c.Secret != "", GrantMethod: c.GrantMethod, RespondWithChallenges: c.RespondWithChallenges,
		ScopeRestrictions: c.ScopeRestrictions, RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, User: c.User,
	}
	if c.AccessTokenMaxAge != nil {
		found.AccessTokenMaxAgeSeconds = int64(c.AccessTokenMaxAge.Seconds())
	}
	if c.AccessTokenInactivityTimeout != nil {
		found.AccessTokenInactivityTimeoutSeconds = int64(c.AccessTokenInactivityTimeout.Seconds())
	}
	return found
}
