package config

import (
	"slices"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// Modes of authorization.
const (
	ModeRBAC        = "RBAC"
	ModeAlwaysAllow = "AlwaysAllow"
	ModeAlwaysDeny  = "AlwaysDeny"
)

// Authorization says how requests are authorized.
type Authorization struct {
	// Mode is RBAC, AlwaysAllow or AlwaysDeny.
	Mode string `json:"mode"`
	// ReservedNamespaces are names of further namespaces of the platform, which are no
	// projects, with '*' at the beginning or the end for any text.
	ReservedNamespaces []string `json:"reservedNamespaces,omitempty"`
	// ReservedWorkspaces are names of workspaces that only administrators of the
	// platform create, with '*' as in ReservedNamespaces.
	ReservedWorkspaces []string `json:"reservedWorkspaces,omitempty"`
	// ReservedNamespaceLabels and ReservedNamespaceAnnotations are keys that take all
	// rights in the cluster to change on a namespace, with '*' at the end for any text.
	ReservedNamespaceLabels      []string `json:"reservedNamespaceLabels,omitempty"`
	ReservedNamespaceAnnotations []string `json:"reservedNamespaceAnnotations,omitempty"`
}

func (a *Authorization) validate(wrong func(format string, args ...any)) {
	if modes := []string{ModeRBAC, ModeAlwaysAllow, ModeAlwaysDeny}; !slices.Contains(modes, a.Mode) {
		wrong("authorization.mode must be one of %s, not %q", strings.Join(modes, ", "), a.Mode)
	}
	for _, list := range []struct {
		key      string
		texts    []string
		validate func(string) error
	}{
		{"reservedNamespaces", a.ReservedNamespaces, reserved.ValidatePattern},
		{"reservedWorkspaces", a.ReservedWorkspaces, reserved.ValidatePattern},
		{"reservedNamespaceLabels", a.ReservedNamespaceLabels, reserved.ValidateKey},
		{"reservedNamespaceAnnotations", a.ReservedNamespaceAnnotations, reserved.ValidateKey},
	} {
		for n, text := range list.texts {
			if err := list.validate(text); err != nil {
				wrong("authorization.%s[%d]: %v", list.key, n, err)
			}
		}
	}
}
