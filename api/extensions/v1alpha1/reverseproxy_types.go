package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Matcher says which requests are for a back end.
type Matcher struct {
	// Path of the requests: one path, or with * at the end everything below. It
	// cannot be below the paths of this server, such as /kapis.
	// +kubebuilder:validation:Pattern=`^/[^*?#]*\*?$`
	Path string `json:"path"`
	// Method of the requests; * or nothing for any.
	// +optional
	Method string `json:"method,omitempty"`
}

// Directives say how requests and answers are changed on their way.
type Directives struct {
	// Method is the method the back end sees.
	// +optional
	Method string `json:"method,omitempty"`
	// StripPathPrefix is taken away at the beginning of the path.
	// +optional
	StripPathPrefix string `json:"stripPathPrefix,omitempty"`
	// StripPathSuffix is taken away at the end of the path.
	// +optional
	StripPathSuffix string `json:"stripPathSuffix,omitempty"`
	// HeaderUp changes headers of requests: "Name value" sets one, "+Name value"
	// adds one, "-Name" removes one. Headers that say who calls are not changed.
	// +optional
	HeaderUp []string `json:"headerUp,omitempty"`
	// HeaderDown does the same with headers of answers.
	// +optional
	HeaderDown []string `json:"headerDown,omitempty"`
	// ChangeOrigin lets the back end see its own host instead of that of the
	// request.
	// +optional
	ChangeOrigin bool `json:"changeOrigin,omitempty"`
	// RejectForwardingRedirects answers 502 instead of passing on a redirect to
	// another host.
	// +optional
	RejectForwardingRedirects bool `json:"rejectForwardingRedirects,omitempty"`
}

// ReverseProxySpec says which paths a back end serves.
type ReverseProxySpec struct {
	Matcher  Matcher  `json:"matcher"`
	Upstream Endpoint `json:"upstream"`
	// +optional
	Directives Directives `json:"directives,omitempty"`
}

// ReverseProxy lets a back end serve a path. Who calls is found out before, and
// whether he may by the rules for non-resource URLs.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=extensions
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Path",type=string,JSONPath=`.spec.matcher.path`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ReverseProxy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ReverseProxySpec `json:"spec"`
	// +optional
	Status EndpointStatus `json:"status,omitempty"`
}

// ReverseProxyList is a list of reverse proxies.
// +kubebuilder:object:root=true
type ReverseProxyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ReverseProxy `json:"items"`
}
