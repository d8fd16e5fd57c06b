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
	// RefreshTokenHash is the SHA-256 hash of the current refresh token, in base64.
	RefreshTokenHash string `json:"refreshTokenHash"`
	// PreviousTokenHash is the hash of the refresh token used last. It is
	// accepted for a short time, for clients that refresh twice in parallel.
	// +optional
	PreviousTokenHash string `json:"previousTokenHash,omitempty"`
	// RotationNonce is what the current refresh token was derived with from the previous one.
	// +optional
	RotationNonce string `json:"rotationNonce,omitempty"`
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
