package mirror

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"

	"golang.org/x/time/rate"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

const (
	// prefix is that of the names of mirrors, which nobody else may choose.
	prefix      = authz.PrefixGroups
	prefixRules = prefix + "rules:"
	// clusterAdmin is the role of Kubernetes that administrators of the platform have.
	clusterAdmin      = "cluster-admin"
	kindGlobalRole    = "GlobalRole"
	kindWorkspaceRole = "WorkspaceRole"
	// hashed is the number of bytes of a hash in a name.
	hashed = 16
)

// Binding gives a ClusterRole to a group.
type Binding struct{ Role, Group string }

// Mirrors are the objects of Kubernetes that stand for roles, by name.
type Mirrors struct {
	ClusterRoles    map[string][]rbacv1.PolicyRule
	ClusterBindings map[string]Binding
	// Bindings are in namespaces.
	Bindings map[types.NamespacedName]Binding
}

// Source is what mirrors are made of.
type Source struct {
	Rights iam.Rights
	// Served are the resources of the cluster.
	Served []authz.ServedResource
	// UIDs are those of workspaces, by name.
	UIDs map[string]string
	// Names is the register of the platform's namespaces; nil for the built-in one.
	Names *reserved.Register
}

type builder struct {
	Mirrors
	source Source
	// known are the names of ClusterRoles by the key of the rules, "" for none.
	known map[string]string
	large *rate.Sometimes // in the log
}

// global mirrors the global roles that somebody was given in the cluster. Roles that give
// nothing at Kubernetes have no mirror.
func (b *builder) global() {
	roles := make(map[string]*iam.Role)
	for _, role := range b.source.Rights.GlobalRoles.Items {
		roles[role.Name] = role
	}
	// Administrators are a group of their own, by whatever role they are.
	b.ClusterBindings[authz.AdministratorsGroup] = Binding{Role: clusterAdmin, Group: authz.AdministratorsGroup}
	for _, binding := range b.source.Rights.GlobalRoleBindings.Items {
		role := roles[binding.RoleRef.Name]
		if role == nil || binding.RoleRef.Kind != kindGlobalRole || len(binding.Subjects) == 0 {
			continue
		}
		group := authz.GlobalGroup(role.Name)
		if _, made := b.ClusterBindings[group]; made {
			continue
		}
		rules := authz.RulesOf(role)
		if authz.IsEverything(rules) {
			continue
		}
		if name := b.clusterRole(rules, false); name != "" {
			b.ClusterBindings[group] = Binding{Role: name, Group: group}
		}
	}
}

// gives reports whether a binding gives a role of its workspace to somebody.
func gives(binding *iam.Binding, role *iam.Role) bool {
	return role != nil && binding.Workspace != "" && binding.RoleRef.Kind == kindWorkspaceRole && len(binding.Subjects) > 0 &&
		(role.Workspace == "" || role.Workspace == binding.Workspace)
}

// bindingKey is that of the binding that stands for a role of a workspace in a namespace.
func bindingKey(namespace, role, clusterRole string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: prefix + role + ":" + strings.TrimPrefix(clusterRole, prefixRules)}
}

// Rules that become more than twice as large at Kubernetes, and usualBytes more, are not
// mirrored: tenants multiply them by their roles.
const usualBytes = 16 << 10

func (b *builder) isLarge(expanded []rbacv1.PolicyRule, source int) bool {
	text, err := json.Marshal(expanded)
	large := err != nil || len(text) > usualBytes+2*source
	if large {
		b.large.Do(func() {
			slog.Warn("rules of a role are too large for Kubernetes, who has it is refused there", "bytes", len(text), "source", source)
		})
	}
	return large
}

// clusterRole returns the name of the ClusterRole of rules, "" when they give nothing at
// Kubernetes or are too large.
func (b *builder) clusterRole(rules []rbacv1.PolicyRule, namespaced bool) string {
	text, err := json.Marshal(struct {
		Rules      []rbacv1.PolicyRule
		Namespaced bool
	}{rules, namespaced})
	if err != nil {
		panic(err) // rules are texts
	}
	name, known := b.known[string(text)]
	if !known {
		if expanded := authz.Expand(rules, b.source.Served, namespaced); len(expanded) > 0 && !b.isLarge(expanded, len(text)) {
			sum := sha256.Sum256(text)
			name = prefixRules + hex.EncodeToString(sum[:hashed])
			b.ClusterRoles[name] = expanded
		}
		b.known[string(text)] = name
	}
	return name
}
