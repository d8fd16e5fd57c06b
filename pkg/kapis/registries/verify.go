package registries

import (
	"context"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Login is what somebody logs in to a registry with.
type Login struct {
	Username   string `json:"username" description:"Name of the user."`
	Password   string `json:"password" description:"The password, or a token."`
	ServerHost string `json:"serverhost" description:"Host of the registry, such as docker.io."`
}

// verify checks a user name and a password.
func (h *Handler) verify(w http.ResponseWriter, r *http.Request) error {
	var login Login
	if err := route.ReadJSON(r, &login); err != nil {
		return err
	}
	with := &credentials{auths: map[string]authn.AuthConfig{host(login.ServerHost): {Username: login.Username, Password: login.Password}}}
	if login.ServerHost == "" {
		return status.BadRequest("serverhost is missing")
	}
	if err := h.logsIn(r.Context(), with); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// verifySecret checks the secret in the body, which need not be stored yet, or
// the stored one if there is none.
func (h *Handler) verifySecret(w http.ResponseWriter, r *http.Request) error {
	secret := &corev1.Secret{}
	if r.ContentLength == 0 {
		stored, err := h.secret(r.Context(), client.ObjectKey{Namespace: r.PathValue("namespace"), Name: r.PathValue("secret")})
		if err != nil {
			return err
		}
		secret = stored
	} else if err := route.ReadJSON(r, secret); err != nil {
		return err
	}
	with, err := parse(secret)
	if err != nil {
		return err
	}
	if err := h.logsIn(r.Context(), with); err != nil {
		return err
	}
	secret.ManagedFields = nil
	status.WriteJSON(w, http.StatusOK, secret)
	return nil
}

// mostRegistries bounds how many registries a secret is checked with.
const mostRegistries = 10

// logsIn reports why not all of some credentials are right. That is no 401: the
// caller's own are.
func (h *Handler) logsIn(ctx context.Context, with *credentials) error {
	if len(with.auths) == 0 || len(with.auths) > mostRegistries {
		return status.BadRequest("there must be 1 to %d registries, not %d", mostRegistries, len(with.auths))
	}
	if err := h.turn(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	for server := range with.auths {
		registry, err := name.NewRegistry(server, options(with.insecure)...)
		if err != nil {
			return status.BadRequest("%.200q is no host of a registry", server)
		}
		if err := h.login(ctx, registry, with); err != nil {
			if err = failed(err); apierrors.IsUnauthorized(err) {
				return status.BadRequest("the registry %s does not accept the credentials", server)
			}
			return err
		}
	}
	return nil
}

// login asks a registry for its base, which takes being logged in.
func (h *Handler) login(ctx context.Context, registry name.Registry, with *credentials) error {
	authenticated, err := transport.NewWithContext(ctx, registry, with.of(registry.RegistryStr()), h.transport(with.insecure), nil)
	if err != nil {
		return err
	}
	// The scheme is the one the registry was found by.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+registry.RegistryStr()+"/v2/", nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: authenticated}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return transport.CheckError(response, http.StatusOK)
}
