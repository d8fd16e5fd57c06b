package config

import (
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Terminal configures terminals in the browser.
type Terminal struct {
	// Image is what shells on nodes run in.
	Image string `json:"image,omitempty"`
	// Timeout is how long a terminal lasts in which nothing happens, in seconds.
	Timeout int `json:"timeout"`
	// MaxLifetime is how long a terminal lasts at the most.
	MaxLifetime metav1.Duration `json:"maxLifetime"`
	// MaxPerUser and MaxOpen bound how many terminals are open, of a user and of
	// all, for each replica.
	MaxPerUser int `json:"maxPerUser"`
	MaxOpen    int `json:"maxOpen"`
	// MaxFileBytes bounds files that are moved into containers and out of them.
	MaxFileBytes int64 `json:"maxFileBytes"`
	// Kubectl configures the pods people run kubectl in.
	Kubectl Kubectl `json:"kubectl"`
}

// Kubectl configures the pods people run kubectl in. Their image is
// authentication.kubectlImage.
type Kubectl struct {
	// Namespace is where they are. Nobody else may write there.
	Namespace string `json:"namespace"`
	// Server is the address of this server for the pods. It must be HTTPS, since
	// kubectl sends tokens to nothing else. If empty it is that of the Service,
	// when the server makes its own certificate; else there are no pods.
	Server string `json:"server,omitempty"`
	// CertificateAuthority is a file of certificates in PEM the server is checked
	// by; those of the image if empty.
	CertificateAuthority string `json:"certificateAuthority,omitempty"`
	// IdleTimeout is how long a pod stays that nobody uses.
	IdleTimeout metav1.Duration `json:"idleTimeout"`
}

func (t *Terminal) validate(wrong func(format string, args ...any)) {
	if t.Timeout <= 0 || t.MaxLifetime.Duration <= 0 {
		wrong("terminal.timeout and terminal.maxLifetime must be more than 0")
	}
	if t.MaxPerUser <= 0 || t.MaxOpen <= 0 || t.MaxFileBytes <= 0 {
		wrong("terminal.maxPerUser, terminal.maxOpen and terminal.maxFileBytes must be more than 0")
	}
	if len(validation.IsDNS1123Label(t.Kubectl.Namespace)) > 0 {
		wrong("terminal.kubectl.namespace: %q is no name of a namespace", t.Kubectl.Namespace)
	}
	if t.Kubectl.IdleTimeout.Duration <= 0 {
		wrong("terminal.kubectl.idleTimeout must be more than 0")
	}
	if t.Kubectl.Server != "" && !IsHTTPS(t.Kubectl.Server) {
		wrong("terminal.kubectl.server must be an https:// address: kubectl sends tokens to nothing else")
	}
}

// IsHTTPS reports whether a text is an address kubectl sends tokens to.
func IsHTTPS(text string) bool {
	address, err := url.Parse(text)
	return err == nil && address.Scheme == "https" && address.Hostname() != "" && address.User == nil && address.RawQuery == "" && address.Fragment == ""
}
