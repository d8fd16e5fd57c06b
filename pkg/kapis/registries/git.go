package registries

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/egress"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Repository is a repository of source code.
type Repository struct {
	RemoteURL string `json:"remoteUrl" description:"Address of the repository, by HTTP."`
	// SecretRef names a secret of type kubernetes.io/basic-auth.
	SecretRef *SecretRef `json:"secretRef,omitempty" description:"Secret with username and password, if the repository needs them."`
}

// SecretRef names a secret.
type SecretRef struct {
	Name      string `json:"name" description:"Name of the secret."`
	Namespace string `json:"namespace" description:"Namespace of the secret."`
}

// How git asks what a repository has, and is answered (gitprotocol-http).
const (
	gitService = "git-upload-pack"
	gitAnswer  = "application/x-git-upload-pack-advertisement"
)

// verifyRepository checks whether a repository can be read.
func (h *Handler) verifyRepository(w http.ResponseWriter, r *http.Request) error {
	var repository Repository
	if err := route.ReadJSON(r, &repository); err != nil {
		return err
	}
	address, err := url.Parse(repository.RemoteURL)
	if err != nil || address.Scheme != "https" && address.Scheme != "http" || address.Host == "" {
		return status.BadRequest("remoteUrl must be an address by https or http")
	}
	login := address.User
	if ref := repository.SecretRef; ref != nil && ref.Name != "" {
		secret, err := h.secret(r.Context(), client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name})
		if err != nil {
			return err
		}
		if secret.Type != corev1.SecretTypeBasicAuth && len(secret.Data[corev1.BasicAuthPasswordKey]) == 0 {
			return status.BadRequest("the secret must be of type %s", corev1.SecretTypeBasicAuth)
		}
		login = url.UserPassword(string(secret.Data[corev1.BasicAuthUsernameKey]), string(secret.Data[corev1.BasicAuthPasswordKey]))
	}
	if err := h.readable(r.Context(), address, login); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// readable asks a repository for its references, as git ls-remote does.
func (h *Handler) readable(ctx context.Context, address *url.URL, login *url.Userinfo) error {
	if err := h.turn(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	at := *address
	at.User, at.Fragment, at.RawFragment = nil, "", ""
	at.Path, at.RawPath = strings.TrimSuffix(at.Path, "/")+"/info/refs", ""
	at.RawQuery = url.Values{"service": {gitService}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return status.BadRequest("remoteUrl cannot be called")
	}
	request.Header.Set("Accept", gitAnswer)
	request.Header.Set("User-Agent", "git/ks-apiserver") // some answer git only
	if login != nil {
		password, _ := login.Password()
		request.SetBasicAuth(login.Username(), password)
	}
	response, err := (&http.Client{Transport: h.Egress.Transport(egress.Options{MaxBytes: mostBytes})}).Do(request)
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return status.BadRequest("the repository does not accept the credentials")
	case http.StatusNotFound:
		return status.BadRequest("there is no such repository, or it needs other credentials")
	default:
		return status.BadRequest("the repository answers with status %d", response.StatusCode)
	}
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	const first = "# service=" + gitService
	begins := make([]byte, len("001e")+len(first))
	if _, err := io.ReadFull(response.Body, begins); err != nil || media != gitAnswer || string(begins[4:]) != first {
		return status.BadRequest("what answers there is no repository of git")
	}
	return nil
}

// unreachable is failed in the words for repositories.
func unreachable(err error) error {
	if errors.Is(err, egress.ErrRefused) || errors.Is(err, egress.ErrRedirects) || status.Of(err).Code == http.StatusGatewayTimeout {
		return failed(err)
	}
	return status.BadRequest("the repository cannot be reached")
}
