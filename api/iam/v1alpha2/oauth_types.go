package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DeviceState is how far the login of a device is.
type DeviceState string

// The states of a device's login.
const (
	DevicePending  DeviceState = "Pending"
	DeviceApproved DeviceState = "Approved"
	DeviceDenied   DeviceState = "Denied"
)

// DeviceAuthorizationSpec describes a device that waits for its user to approve
// it in a browser (RFC 8628). Of its codes only SHA-256 hashes are stored.
type DeviceAuthorizationSpec struct {
	// Client is the OAuth client of the device.
	// +kubebuilder:validation:MinLength=1
	Client string `json:"client"`
	// Scopes are those the device asks for.
	// +optional
	Scopes []string `json:"scopes,omitempty"`
	// DeviceCodeHash is the SHA-256 hash of the code the device polls with, in base64.
	DeviceCodeHash string `json:"deviceCodeHash"`
	// Address is where the device asked from, without a port.
	// +optional
	Address string `json:"address,omitempty"`
	// UserAgent is what the device calls itself.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	UserAgent string `json:"userAgent,omitempty"`
	// ExpirationTime is until when the device can be approved and get its tokens.
	ExpirationTime metav1.Time `json:"expirationTime"`
	// State is Pending until a user decides.
	// +kubebuilder:validation:Enum=Pending;Approved;Denied
	State DeviceState `json:"state"`
	// User is who decided.
	// +optional
	User string `json:"user,omitempty"`
	// Session is the browser session he decided in.
	// +optional
	Session string `json:"session,omitempty"`
}

// DeviceAuthorization is a device waiting to be logged in. Its name is made of
// the code its user types.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=iam
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.client`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DeviceAuthorization struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec DeviceAuthorizationSpec `json:"spec"`
}

// DeviceAuthorizationList is a list of devices.
// +kubebuilder:object:root=true
type DeviceAuthorizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DeviceAuthorization `json:"items"`
}

// ConsentSpec says what a user lets an application know and do.
type ConsentSpec struct {
	// User is the name of the user.
	// +kubebuilder:validation:MinLength=1
	User string `json:"user"`
	// Client is the OAuth client.
	// +kubebuilder:validation:MinLength=1
	Client string `json:"client"`
	// Scopes are those the user agreed to.
	// +optional
	Scopes []string `json:"scopes,omitempty"`
	// Time is when he did so last.
	Time metav1.Time `json:"time"`
}

// Consent is the agreement of a user that an OAuth client acts for him. It ends
// with the user, whom it is owned by.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=iam
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user`
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.client`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Consent struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ConsentSpec `json:"spec"`
}

// ConsentList is a list of consents.
// +kubebuilder:object:root=true
type ConsentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Consent `json:"items"`
}
