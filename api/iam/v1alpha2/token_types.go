package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PersonalAccessTokenSpec describes a token a user made for a program. The
// token itself is shown once and never stored.
type PersonalAccessTokenSpec struct {
	// User is the name of the user the token acts as.
	// +kubebuilder:validation:MinLength=1
	User string `json:"user"`
	// Description says what the token is for.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Description string `json:"description,omitempty"`
	// Scopes are what the token may be used for, of what its user may do: all,
	// read, or {group}/{resource}:{verb},{verb}.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []string `json:"scopes"`
	// TokenHash is the SHA-256 hash of the token, in base64.
	TokenHash string `json:"tokenHash"`
	// ExpirationTime is when the token ends.
	ExpirationTime metav1.Time `json:"expirationTime"`
}

// PersonalAccessToken is a token of a user, for CI and scripts.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=iam
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user`
// +kubebuilder:printcolumn:name="Description",type=string,JSONPath=`.spec.description`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expirationTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PersonalAccessToken struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec PersonalAccessTokenSpec `json:"spec"`
}

// PersonalAccessTokenList is a list of personal access tokens.
// +kubebuilder:object:root=true
type PersonalAccessTokenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PersonalAccessToken `json:"items"`
}
