package app

import (
	"slices"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// reservedNames returns the register of reserved names and fields. The namespaces the
// configuration trusts, with credentials or in the isolation of projects, are the
// platform's.
func reservedNames(c *config.Config) *reserved.Register {
	return reserved.New(reserved.Options{
		Namespaces:           slices.Concat(c.Network.NSNPOptions.AllowedIngressNamespaces, c.Authorization.ReservedNamespaces),
		CredentialNamespaces: []string{c.Terminal.Kubectl.Namespace, c.Gateway.Namespace},
		Workspaces:           c.Authorization.ReservedWorkspaces,
		NamespaceLabels:      c.Authorization.ReservedNamespaceLabels,
		NamespaceAnnotations: c.Authorization.ReservedNamespaceAnnotations,
	})
}
