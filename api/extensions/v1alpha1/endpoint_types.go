package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServiceReference names a Service of the cluster.
type ServiceReference struct {
	// Namespace of the Service.
	// +kubebuilder:validation:MinLength=1
	Namespace string `json:"namespace"`
	// Name of the Service.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Port of the Service; 443 where it is reached by TLS, 80 elsewhere.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port *int32 `json:"port,omitempty"`
}

// Endpoint is where a back end is, and how it is reached: by a URL or a Service.
//
// +kubebuilder:validation:XValidation:rule="has(self.url) != has(self.service)",message="exactly one of url and service is needed"
type Endpoint struct {
	// URL of the back end, with the scheme http or https. Its path comes before
	// that of a request.
	// +kubebuilder:validation:Pattern=`^https?://[^/?#@]+(/[^?#]*)?$`
	// +optional
	URL string `json:"url,omitempty"`
	// Service of the cluster. It is reached by TLS where the port is 443, or
	// caBundle or insecureSkipTLSVerify is set.
	// +optional
	Service *ServiceReference `json:"service,omitempty"`
	// CABundle are the certificates, in PEM, of those who may vouch for the back
	// end; those of the system if it is empty.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`
	// InsecureSkipTLSVerify lets anybody be the back end.
	// +optional
	InsecureSkipTLSVerify bool `json:"insecureSkipTLSVerify,omitempty"`
	// TimeoutSeconds is within what the back end has to begin to answer; 30 if
	// it is not set.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	// +optional
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`
	// PassAuthorization passes the Authorization header of requests on, for back
	// ends that check tokens of this server themselves. They can act as the
	// caller then.
	// +optional
	PassAuthorization bool `json:"passAuthorization,omitempty"`
}

// States of a back end.
const (
	// StateAvailable is that of a back end that answers.
	StateAvailable = "Available"
	// StateUnavailable is that of one that does not.
	StateUnavailable = "Unavailable"
	// StateRejected is that of one that is not used, since its object is wrong or
	// what it claims belongs to another.
	StateRejected = "Rejected"
)

// ConditionAvailable says whether a back end answers, and why not.
const ConditionAvailable = "Available"

// EndpointStatus is what is known of a back end.
type EndpointStatus struct {
	// State is Available, Unavailable or Rejected.
	// +optional
	State string `json:"state,omitempty"`
	// ObservedGeneration is the generation the state is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions say it in more detail.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
