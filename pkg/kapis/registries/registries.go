package registries

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/egress"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// What is asked of others may take and answer this much.
const (
	askWithin = 20 * time.Second
	mostBytes = 8 << 20
	// registryBytes is for registries: a manifest takes up to fifty times its text when it
	// is decoded, so that few images are at once, and one of a user.
	registryBytes = 2 << 20
	imagesAtOnce  = 4
	imagesOfUser  = 1
	tooManyImages = "the server reads as many images as it can at the moment"
)

// How often others are asked by each replica: for all users together, and for
// one of them, who must not leave the others nothing.
const (
	asksPerSecond       = 10
	asksAtOnce          = 50
	asksOfUserPerSecond = 2
	asksOfUserAtOnce    = 20
	usersRemembered     = 1000
	// Beyond, users take turns, for which their requests wait; so many of a user do.
	asksWaiting = 6
	asksWait    = 10 * time.Second
	tooManyAsks = "the server asks registries and repositories as often as it may at the moment"
)

// Handler serves questions about registries and repositories.
type Handler struct {
	// Client acts as the user of the context.
	Client client.Reader
	Rights authz.Coverer
	Egress *egress.Guard
	// Asks bounds how often others are asked.
	Asks *Asks
}

// Asks bound how often others are asked.
type Asks struct {
	mu    sync.Mutex
	users *lru.Cache   // of *rate.Limiter, by the names of users
	all   *turns.Paced // by user
	// images are those that are read.
	images *turns.Turns
}

// NewAsks returns the usual bounds.
func NewAsks() *Asks {
	all := turns.NewPaced(turns.Pace{PerSecond: asksPerSecond, AtOnce: asksAtOnce, Queue: asksWaiting, Wait: asksWait}, tooManyAsks)
	return &Asks{users: lru.New(usersRemembered), all: all, images: turns.New(imagesAtOnce, imagesOfUser, askWithin, tooManyImages)}
}

// take waits for the turn of a user to make us ask somebody. It fails with status 429.
func (a *Asks) take(ctx context.Context, name string) error {
	if !a.of(name).Allow() {
		return status.TooManyRequests(time.Second, tooManyAsks)
	}
	return a.all.Take(ctx, name)
}

func (a *Asks) of(name string) *rate.Limiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	own, found := a.users.Get(name)
	if !found {
		own = rate.NewLimiter(asksOfUserPerSecond, asksOfUserAtOnce)
		a.users.Add(name, own)
	}
	return own.(*rate.Limiter)
}

// turn takes a turn of the caller to ask somebody.
func (h *Handler) turn(ctx context.Context) error {
	return h.Asks.take(ctx, turns.HolderFrom(ctx))
}

// secret reads a secret, if the caller may.
func (h *Handler) secret(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	who, _ := kuberequest.UserFrom(ctx)
	missing, err := h.Rights.Covers(ctx, who, authz.Scope{Namespace: key.Namespace}, []rbacv1.PolicyRule{{
		Verbs: []string{"get"}, APIGroups: []string{corev1.GroupName}, Resources: []string{"secrets"}, ResourceNames: []string{key.Name},
	}})
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, status.Forbidden(corev1.Resource("secrets"), key.Name, "using a secret takes the right to get it")
	}
	found := &corev1.Secret{}
	return found, kube.Err(h.Client.Get(ctx, key, found))
}

// credentials are what the secret of a request says of registries; none without
// a secret.
func (h *Handler) credentials(ctx context.Context, namespace, secret string) (*credentials, error) {
	if secret == "" {
		return &credentials{}, nil
	}
	if namespace == "" {
		return nil, status.BadRequest("the namespace of the secret is missing")
	}
	found, err := h.secret(ctx, client.ObjectKey{Namespace: namespace, Name: secret})
	if err != nil {
		return nil, err
	}
	return parse(found)
}

// remote says how a registry is talked to.
func (h *Handler) remote(ctx context.Context, host name.Registry, with *credentials) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(h.transport(with.insecure)), remote.WithAuth(with.of(host.RegistryStr())),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryPredicate(func(error) bool { return false }), remote.WithRetryStatusCodes(),
	}
}

// transport talks to a registry. Those that are not said to be insecure get
// nothing that others could read: the library would send credentials to private
// addresses without TLS.
func (h *Handler) transport(insecure bool) http.RoundTripper {
	next := h.Egress.Transport(egress.Options{MaxBytes: registryBytes, Insecure: insecure})
	if insecure {
		return next
	}
	return encrypted{next}
}

type encrypted struct{ next http.RoundTripper }

var errPlain = errors.New("the registry has no TLS")

// RoundTrip implements http.RoundTripper.
func (e encrypted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, errPlain
	}
	return e.next.RoundTrip(r)
}

func options(insecure bool) []name.Option {
	if insecure {
		return []name.Option{name.WeakValidation, name.Insecure}
	}
	return []name.Option{name.WeakValidation}
}

// failed is the answer when somebody else's server does not say what was asked.
// It repeats nothing of what that server said.
func failed(err error) error {
	var answer *transport.Error
	switch {
	case errors.Is(err, egress.ErrRefused):
		return status.New(http.StatusForbidden, "Forbidden", "the address is not one this server calls; an administrator can allow it with egress.allow")
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(http.StatusGatewayTimeout, "Timeout", "it does not answer in time")
	case errors.Is(err, egress.ErrTooLarge), errors.Is(err, egress.ErrRedirects):
		return status.BadRequest("its answer cannot be used: %s", cause(err))
	case errors.Is(err, errPlain):
		return status.BadRequest("it cannot be reached by TLS; registries without need a secret with the annotation %s: \"true\"", annotationInsecure)
	case !errors.As(err, &answer):
		return status.BadRequest("it cannot be reached, or does not answer as a registry does")
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return status.Unauthorized("Unauthorized: the registry does not accept the credentials")
	case http.StatusNotFound:
		return status.NotFound("the registry does not have that image or repository")
	case http.StatusTooManyRequests:
		return status.TooManyRequests(time.Minute, "the registry is asked too often")
	}
	return status.BadRequest("the registry answers with status %d", answer.StatusCode)
}

func cause(err error) error {
	if errors.Is(err, egress.ErrTooLarge) {
		return egress.ErrTooLarge
	}
	return egress.ErrRedirects
}
