package oauth

import (
	"net/http"
	"slices"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// Discovery describes the token service (OpenID Connect Discovery §3, RFC 8414).
type Discovery struct {
	Issuer                      string   `json:"issuer"`
	AuthorizationEndpoint       string   `json:"authorization_endpoint"`
	TokenEndpoint               string   `json:"token_endpoint"`
	UserinfoEndpoint            string   `json:"userinfo_endpoint"`
	KeysEndpoint                string   `json:"jwks_uri"`
	EndSessionEndpoint          string   `json:"end_session_endpoint"`
	RevocationEndpoint          string   `json:"revocation_endpoint"`
	IntrospectionEndpoint       string   `json:"introspection_endpoint"`
	DeviceAuthorizationEndpoint string   `json:"device_authorization_endpoint"`
	ScopesSupported             []string `json:"scopes_supported"`
	ResponseTypesSupported      []string `json:"response_types_supported"`
	ResponseModesSupported      []string `json:"response_modes_supported"`
	GrantTypesSupported         []string `json:"grant_types_supported"`
	SubjectTypesSupported       []string `json:"subject_types_supported"`
	IDTokenAlgorithms           []string `json:"id_token_signing_alg_values_supported"`
	TokenAuthMethods            []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods       []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuthMethods    []string `json:"introspection_endpoint_auth_methods_supported"`
	ChallengeMethods            []string `json:"code_challenge_methods_supported"`
	ClaimsSupported             []string `json:"claims_supported"`
	PromptValuesSupported       []string `json:"prompt_values_supported"`
	IssParameter                bool     `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameter             bool     `json:"claims_parameter_supported"`
	RequestParameter            bool     `json:"request_parameter_supported"`
	RequestURIParameter         bool     `json:"request_uri_parameter_supported"`
	// HTTPSAddress is where the server has TLS that was asked without: kubectl sends
	// tokens nowhere else. It is no part of the standards.
	HTTPSAddress string `json:"ks_https_address,omitempty"`
}

// discovery serves the documents that describe the service.
func (h *Handler) discovery(w http.ResponseWriter, r *http.Request) error {
	keys := h.Tokens.Source.Keys()
	if len(keys) == 0 {
		return status.Unavailable(1, "the signing keys are not available yet")
	}
	grants := []string{grantCode, grantRefreshToken, grantClientCredentials, grantDevice}
	if h.PasswordGrant {
		grants = append(grants, grantPassword)
	}
	secret := []string{"client_secret_basic", "client_secret_post"}
	header := w.Header()
	header.Set("Cache-Control", "public, max-age=300")
	status.WriteJSON(w, http.StatusOK, Discovery{
		Issuer:                      h.Tokens.Issuer,
		AuthorizationEndpoint:       h.url("/oauth/authorize"),
		TokenEndpoint:               h.url("/oauth/token"),
		UserinfoEndpoint:            h.url("/oauth/userinfo"),
		KeysEndpoint:                h.url("/oauth/keys"),
		EndSessionEndpoint:          h.url("/oauth/logout"),
		RevocationEndpoint:          h.url("/oauth/revoke"),
		IntrospectionEndpoint:       h.url("/oauth/introspect"),
		DeviceAuthorizationEndpoint: h.url("/oauth/device_authorization"),
		ScopesSupported:             supportedScopes(),
		ResponseTypesSupported:      []string{"code"},
		ResponseModesSupported:      []string{"query"},
		GrantTypesSupported:         grants,
		SubjectTypesSupported:       []string{"public"},
		IDTokenAlgorithms:           algorithms(keys),
		TokenAuthMethods:            append(secret, "none"),
		RevocationAuthMethods:       append(secret, "none"),
		IntrospectionAuthMethods:    secret,
		ChallengeMethods:            []string{"S256"},
		ClaimsSupported:             []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "amr", "azp", "sid", "name", "preferred_username", "locale", "email", "email_verified", "groups", "hasgroups"},
		PromptValuesSupported:       promptValues(),
		IssParameter:                true,
		HTTPSAddress:                h.Ports.HTTPSAddress(r),
	})
	return nil
}

// algorithms are those ID tokens are signed with: soon, too.
func algorithms(keys token.Keys) []string {
	var all []string
	for n := range keys {
		if name := string(keys[n].Algorithm); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// keys serves GET /oauth/keys.
func (h *Handler) keys(w http.ResponseWriter, _ *http.Request) error {
	keys := h.Tokens.Source.Keys()
	if len(keys) == 0 {
		return status.Unavailable(1, "the signing keys are not available yet")
	}
	public, err := keys.Public()
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	status.WriteJSON(w, http.StatusOK, public)
	return nil
}
