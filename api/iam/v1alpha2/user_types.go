package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// UserState is what a user may do at all.
// +kubebuilder:validation:Enum="";Active;Disabled;AuthLimitExceeded
type UserState string

const (
	// UserActive may log in.
	UserActive UserState = "Active"
	// UserDisabled may not log in, and existing tokens are refused.
	UserDisabled UserState = "Disabled"
	// UserAuthLimitExceeded had too many failed logins.
	UserAuthLimitExceeded UserState = "AuthLimitExceeded"
)

// UserSpec is the desired state of a user.
type UserSpec struct {
	// Email is unique among all users.
	Email string `json:"email"`
	// Lang is the preferred language, as the console writes it (en, zh).
	// +optional
	Lang string `json:"lang,omitempty"`
	// Description is free text.
	// +optional
	Description string `json:"description,omitempty"`
	// DisplayName is how the user is shown.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// Groups the user is a member of; written by group bindings.
	// +optional
	Groups []string `json:"groups,omitempty"`
	// EncryptedPassword is a bcrypt hash. A plain text found here is replaced by its hash.
	// +optional
	EncryptedPassword string `json:"password,omitempty"`
}

// UserStatus is the observed state of a user.
type UserStatus struct {
	// State says whether the user may log in.
	// +optional
	State UserState `json:"state,omitempty"`
	// Reason is a short explanation of State.
	// +optional
	Reason string `json:"reason,omitempty"`
	// LastTransitionTime is when State last changed.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
	// LastLoginTime is when the user last logged in.
	// +optional
	LastLoginTime *metav1.Time `json:"lastLoginTime,omitempty"`
}

// User is a person or robot who may log in.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=iam
// +kubebuilder:printcolumn:name="Email",type=string,JSONPath=`.spec.email`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="a user name has at most 63 characters"
type User struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec UserSpec `json:"spec"`
	// +optional
	Status UserStatus `json:"status,omitempty"`
}

// UserList is a list of users.
// +kubebuilder:object:root=true
type UserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []User `json:"items"`
}

// LoginRecordSpec describes one attempt to log in.
type LoginRecordSpec struct {
	// Type is how the user authenticated: Token, Basic, Password or OAuth.
	Type string `json:"type"`
	// Provider is the identity provider used; empty for local passwords.
	Provider string `json:"provider"`
	// SourceIP is the address of the client.
	SourceIP string `json:"sourceIP"`
	// UserAgent is the User-Agent header of the client.
	// +optional
	UserAgent string `json:"userAgent,omitempty"`
	// Success says whether the attempt succeeded.
	Success bool `json:"success"`
	// Reason explains the outcome.
	Reason string `json:"reason"`
}

// LoginRecord is one attempt of a user to log in.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=iam
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.provider`
// +kubebuilder:printcolumn:name="From",type=string,JSONPath=`.spec.sourceIP`
// +kubebuilder:printcolumn:name="Success",type=boolean,JSONPath=`.spec.success`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LoginRecord struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec LoginRecordSpec `json:"spec"`
}

// LoginRecordList is a list of login records.
// +kubebuilder:object:root=true
type LoginRecordList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LoginRecord `json:"items"`
}
