package config

import "k8s.io/apimachinery/pkg/util/validation"

// Network configures the isolation of workspaces and projects from each other.
type Network struct {
	// EnableNetworkPolicy makes NetworkPolicies of the isolation of workspaces
	// and projects. Whether they have an effect is up to the network plug-in.
	EnableNetworkPolicy bool `json:"enableNetworkPolicy"`
	// NSNPOptions say what isolation lets through.
	NSNPOptions NSNPOptions `json:"nsnpOptions"`

	// Keys of KubeSphere 3.x without effect in this version.
	EnableIPPool   bool    `json:"enableIPPool,omitempty"`
	IPPoolType     string  `json:"ippoolType,omitempty"`
	WeaveScopeHost string  `json:"weaveScopeHost,omitempty"`
	Topology       Section `json:"topology,omitempty"`
}

// NSNPOptions say what isolation lets through.
type NSNPOptions struct {
	// AllowedIngressNamespaces are namespaces of the platform whose traffic
	// isolated namespaces accept. One that belongs to the workspace of a tenant
	// does not count.
	AllowedIngressNamespaces []string `json:"allowedIngressNamespaces"`
}

func (n *Network) validate(wrong func(format string, args ...any)) {
	for i, name := range n.NSNPOptions.AllowedIngressNamespaces {
		if len(validation.IsDNS1123Label(name)) > 0 {
			wrong("network.nsnpOptions.allowedIngressNamespaces[%d]: %q is no name of a namespace", i, name)
		}
	}
}

// unused are the keys that are set but have no effect.
func (n *Network) unused() []string {
	var keys []string
	if n.EnableIPPool {
		keys = append(keys, "network.enableIPPool")
	}
	if n.IPPoolType != "" && n.IPPoolType != "none" {
		keys = append(keys, "network.ippoolType")
	}
	if n.WeaveScopeHost != "" {
		keys = append(keys, "network.weaveScopeHost")
	}
	if len(n.Topology) > 0 {
		keys = append(keys, "network.topology")
	}
	return keys
}
