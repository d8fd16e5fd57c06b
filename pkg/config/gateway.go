package config

import "k8s.io/apimachinery/pkg/util/validation"

// Gateway says where the gateways of projects are. What they are made of is for
// the controller that makes them: the other keys are accepted, so that the file
// of an existing installation can be used as it is.
type Gateway struct {
	Namespace   string `json:"namespace"`
	WatchesPath string `json:"watchesPath,omitempty"`
	Repository  string `json:"repository,omitempty"`
	Tag         string `json:"tag,omitempty"`
}

func (g *Gateway) validate(wrong func(format string, args ...any)) {
	if len(validation.IsDNS1123Label(g.Namespace)) > 0 {
		wrong("gateway.namespace: %q is no name of a namespace", g.Namespace)
	}
}
