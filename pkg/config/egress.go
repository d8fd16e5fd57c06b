package config

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Egress says where connections may go that users ask for: to registries and
// repositories. Never do they go to the host itself by any of its addresses, to link-local addresses,
// to the metadata of clouds, or to pods and services of the cluster, unless
// Allow says so.
type Egress struct {
	// Allow are IP addresses, CIDR ranges and host names; *.example.com are the
	// hosts below example.com.
	Allow []string `json:"allow,omitempty"`
	// Deny are further addresses and ranges nothing goes to.
	Deny []string `json:"deny,omitempty"`
}

func (e *Egress) validate(wrong func(format string, args ...any)) {
	for n, one := range e.Allow {
		if _, err := ParseRange(one); err != nil && len(validation.IsDNS1123Subdomain(strings.ToLower(strings.TrimPrefix(one, "*.")))) > 0 {
			wrong("egress.allow[%d]: %q is neither an IP address, a CIDR range nor a host name", n, one)
		}
	}
	for n, one := range e.Deny {
		if _, err := ParseRange(one); err != nil {
			wrong("egress.deny[%d]: %q is neither an IP address nor a CIDR range", n, one)
		}
	}
}
