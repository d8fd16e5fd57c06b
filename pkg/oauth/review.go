package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// review serves POST /oauth/authenticate: the webhook a kube-apiserver asks
// about tokens. v1beta1 has the same fields as v1, and is answered alike.
func (h *Handler) review(w http.ResponseWriter, r *http.Request) error {
	var asked authenticationv1.TokenReview
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&asked); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return status.BadRequest("the body is no TokenReview")
	}
	version := asked.APIVersion
	if asked.Kind != "TokenReview" || version != "authentication.k8s.io/v1" && version != "authentication.k8s.io/v1beta1" {
		return status.BadRequest("the body is no TokenReview of authentication.k8s.io/v1 or v1beta1")
	}
	result := authenticationv1.TokenReview{TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: asked.Kind}}
	text := asked.Spec.Token
	if text == "" || strings.ContainsAny(text, " \t\r\n") {
		result.Status.Error = "the token is invalid"
		return answer(w, r, result, nil)
	}
	who, err := h.bearer(r, text)
	switch {
	case err != nil:
		return kube.Err(err)
	// Who has no account yet is nobody to Kubernetes.
	case who == nil || who.GetName() == identity.PreRegistration:
		result.Status.Error = "the token is invalid, expired or revoked"
	// Kubernetes would know the user, and not what the token is limited to.
	case limited(who):
		result.Status.Error = "the token is invalid here: it is a personal access token, for this server alone"
	default:
		result.Status.Authenticated = true
		result.Status.User = authenticationv1.UserInfo{Username: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups()}
		if extra := who.GetExtra(); len(extra) > 0 {
			result.Status.User.Extra = make(map[string]authenticationv1.ExtraValue, len(extra))
			for key, values := range extra {
				if key != authn.ExtraTokenScopes && key != authn.ExtraAccount { // say nothing of what the user may do
					result.Status.User.Extra[key] = values
				}
			}
		}
	}
	return answer(w, r, result, nil)
}

// limited reports whether somebody may do less than the user may.
func limited(who user.Info) bool {
	_, found := who.GetExtra()[authz.ExtraScopes]
	return found
}

// unreachable reports whether an error says that Kubernetes does not answer,
// rather than something of the token.
func unreachable(err error) bool {
	var carried apierrors.APIStatus
	return kube.Unavailable(err) || errors.As(err, &carried) && carried.Status().Code >= http.StatusInternalServerError
}
