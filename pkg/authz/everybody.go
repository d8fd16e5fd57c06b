package authz

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// everybody are the subjects of bindings that stand for callers the author of a binding
// does not know: clients without credentials, all users, all service accounts.
var everybody = []string{user.Anonymous, user.AllAuthenticated, user.AllUnauthenticated, serviceaccount.AllServiceAccountsGroup}

// IsEverybody reports whether a subject of a binding stands for everybody. The name
// decides, whatever the kind: no account or group of the platform has such a name.
func IsEverybody(subject rbacv1.Subject) bool { return slices.Contains(everybody, subject.Name) }

// AdministratorChecker decides which users administer the platform. *RBAC does.
type AdministratorChecker interface {
	Administers(ctx context.Context, who user.Info) (bool, error)
}

// CheckSubjects returns nil when a user may add subjects to a binding: administrators of
// the platform add any, other users none that stands for everybody. The right to bind a
// role does not suffice, since clients without credentials act from the browsers of others.
func CheckSubjects(ctx context.Context, rights AdministratorChecker, who user.Info, binding schema.GroupResource, name string, added []rbacv1.Subject) error {
	found := slices.IndexFunc(added, IsEverybody)
	if found < 0 {
		return nil
	}
	administers, err := rights.Administers(ctx, who)
	if err != nil || administers {
		return err
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
