package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SessionSpec describes one login. Secrets are never stored: only SHA-256
// hashes of refresh tokens, which have 256 random bits each.
type SessionSpec struct {
	// User is the name of the user who logged in.
	// +kubebuilder:validation:MinLength=1
	User string `json:"user"`
	// Client is the OAuth client the session belongs to.
	// +kubebuilder:validation:MinLength=1
	Client string `json:"client"`
	// Browser sessions log in a browser rather than an application: they have a
	// cookie where others have a refresh token, and applications the browser
	// visits get sessions of their own.
	// +optional
	Browser bool `json:"browser,omitempty"`
	// Parent is the browser session the session was started from.
	// +optional
	Parent string `json:"parent,omitempty"`
	// Address is where the login came from, without a port.
	// +optional
	Address string `json:"address,omitempty"`
	// UserAgent is what the client that logged in calls itself.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	UserAgent string `json:"userAgent,omitempty"`
	// Provider is the identity provider the user came from; empty for local users.
	// +optional
	Provider string `json:"provider,omitempty"`
	// Scopes are those of OpenID Connect the user granted to the client.
	// +optional
	Scopes []string `json:"scopes,omitempty"`
	// Audience are those who accept the access tokens of the session.
	// +optional
	Audience []string `json:"audience,omitempty"`
	// AuthenticationTime is when the user proved who he is: earlier than the
	// session where he was logged in already.
	// +optional
	AuthenticationTime *metav1.Time `json:"authenticationTime,omitempty"`
	// AuthenticationMethods are how he did so, in the words of RFC 8176.
	// +optional
	AuthenticationMethods []string `json:"authenticationMethods,omitempty"`
	// AccessTokenSeconds is how long access tokens of the session are valid, and
	// IdleSeconds how long it lasts unused, where its client says so.
	// +optional
	AccessTokenSeconds int64 `json:"accessTokenSeconds,omitempty"`
	// +optional
	IdleSeconds int64 `json:"idleSeconds,omitempty"`
	// Extra is what else is known of the user, such as who somebody is at the
	// identity provider who has no account yet.
	// +optional
	Extra map[string][]string `json:"extra,omitempty"`
	// Code is the authorization code the session begins with.
	// +optional
	Code *SessionCode `json:"code,omitempty"`
	// RefreshTokenHash is the SHA-256 hash of the current refresh token, in
	// base64; empty while there is none.
	// +optional
	RefreshTokenHash string `json:"refreshTokenHash,omitempty"`
	// PreviousTokenHash is the hash of the refresh token used last. It is
	// accepted for a short time, for clients that refresh twice in parallel.
	// +optional
	PreviousTokenHash string `json:"previousTokenHash,omitempty"`
	// RotationNonce is what the current refresh token was derived with from the previous one.
	// +optional
	RotationNonce string `json:"rotationNonce,omitempty"`
	// RefreshTokenKey is what refresh tokens of the session are tagged with: a used
	// one can be told from one that never was. No token can be made of it.
	// +optional
	RefreshTokenKey string `json:"refreshTokenKey,omitempty"`
	// LastUseTime is when the session was created or last refreshed.
	LastUseTime metav1.MicroTime `json:"lastUseTime"`
	// ExpirationTime is when the session ends, whatever its use.
	ExpirationTime metav1.Time `json:"expirationTime"`
	// Revoked ends the session and every token issued for it.
	// +optional
	Revoked bool `json:"revoked,omitempty"`
	// RevokedReason says why the session was ended.
	// +optional
	RevokedReason string `json:"revokedReason,omitempty"`
}

// SessionCode is an authorization code (RFC 6749 §4.1) and what it is bound to.
type SessionCode struct {
	// Hash is the SHA-256 hash of the code, in base64.
	Hash string `json:"hash"`
	// RedirectURI is where the code was sent, empty if the client did not say so.
	// +optional
	RedirectURI string `json:"redirectURI,omitempty"`
	// Challenge is that of PKCE (RFC 7636), made with S256.
	// +optional
	Challenge string `json:"challenge,omitempty"`
	// Nonce goes into the ID token.
	// +optional
	Nonce string `json:"nonce,omitempty"`
	// ExpirationTime is until when the code can be exchanged.
	ExpirationTime metav1.MicroTime `json:"expirationTime"`
	// Used is set by the exchange: a code that comes twice may be stolen.
	// +optional
	Used bool `json:"used,omitempty"`
}

// Session is a login of a user through an OAuth client.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=iam
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user`
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.client`
// +kubebuilder:printcolumn:name="Last Use",type=date,JSONPath=`.spec.lastUseTime`
// +kubebuilder:printcolumn:name="Revoked",type=boolean,JSONPath=`.spec.revoked`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Session struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec SessionSpec `json:"spec"`
}

// SessionList is a list of sessions.
// +kubebuilder:object:root=true
type SessionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Session `json:"items"`
}
