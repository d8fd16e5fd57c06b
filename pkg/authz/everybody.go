package authz

import (
	"context"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// everybody are the subjects of bindings that stand for callers the author of a binding
// does not know: clients without credentials, persons without an account, all users, all
// service accounts.
var everybody = []string{user.Anonymous, identity.PreRegistration, user.AllAuthenticated, user.AllUnauthenticated, serviceaccount.AllServiceAccountsGroup}

// IsEverybody reports whether a subject of a binding stands for everybody. The name
// decides, whatever the kind: no account or group of the platform has such a name.
func IsEverybody(subject rbacv1.Subject) bool { return slices.Contains(everybody, subject.Name) }

// isRoleGroup reports whether a subject of a binding is named like the groups that this
// server alone sends to Kubernetes, in any case: kubesphere:global:anonymous stands for
// clients without credentials. The name decides, whatever the kind.
func isRoleGroup(subject rbacv1.Subject) bool {
	return len(subject.Name) >= len(PrefixGroups) && strings.EqualFold(subject.Name[:len(PrefixGroups)], PrefixGroups)
}

// AdministratorChecker decides which users administer the platform. *RBAC does.
type AdministratorChecker interface {
	Administers(ctx context.Context, who user.Info) (bool, error)
}

// CheckSubjects returns nil when a user may add subjects to a binding: administrators of
// the platform add any, other users none that stands for everybody or for who was given a
// role of the platform. The right to bind a role does not suffice, since clients without
// credentials act from the browsers of others.
func CheckSubjects(ctx context.Context, rights AdministratorChecker, who user.Info, binding schema.GroupResource, name string, added []rbacv1.Subject) error {
	found := slices.IndexFunc(added, func(subject rbacv1.Subject) bool { return IsEverybody(subject) || isRoleGroup(subject) })
	if found < 0 {
		return nil
	}
	administers, err := rights.Administers(ctx, who)
	if err != nil || administers {
		return err
	}
	if isRoleGroup(added[found]) {
		return status.Forbidden(binding, name, "user %q needs all rights on the platform to give a role to %s, which stands for holders of a role of the platform", who.GetName(), added[found].Name)
	}
	return status.Forbidden(binding, name, "user %q needs all rights on the platform to give a role to %s, which stands for everybody", who.GetName(), added[found].Name)
}

// visitorReason is why a role that is given to visitors does not let them connect.
const visitorReason = "connections to pods, services and nodes take an account"

// connects reports whether a request opens a way to what runs behind Kubernetes' API.
func connects(verb, subresource string) bool {
	return verb == "proxy" || slices.Contains(connections, subresource)
}

// isVisitor reports whether a caller has no account.
func isVisitor(who user.Info) bool {
	return IsAnonymous(who) || slices.Contains(who.GetGroups(), user.AllUnauthenticated)
}
