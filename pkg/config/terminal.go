package config

import (
	"net/url"

	"k8s.io/apimachinery/pkg/util/validation"
)

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
	if t.Kubectl.Server == "" {
		return
	}
	server, err := url.Parse(t.Kubectl.Server)
	if err != nil || server.Scheme != "https" || server.Host == "" || server.User != nil || server.RawQuery != "" || server.Fragment != "" {
		wrong("terminal.kubectl.server must be an https:// address: kubectl sends tokens to nothing else")
	}
}
