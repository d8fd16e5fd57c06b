package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxNamedRoles bounds how many roles an error names.
const maxNamedRoles = 20

// NameRoles adds the roles of a kind in a scope to a not-found error about one of
// them: without the templates they are made of, and without those of Kubernetes'
// components. It returns any other error as it is.
func (r *RBAC) NameRoles(ctx context.Context, kind string, scope Scope, err error) error {
	var missing *apierrors.StatusError
	if r.All || !apierrors.IsNotFound(err) || !errors.As(err, &missing) {
		return err
	}
	current, failed := r.current(ctx)
	if failed != nil {
		return err
	}
	return current.nameRoles(kind, scope, missing)
}

func (c *compiled) nameRoles(kind string, scope Scope, missing *apierrors.StatusError) error {
	namespace := ""
	if kind == kindRole {
		namespace = scope.Namespace
	}
	var names []string
	for key, role := range c.roles {
		if key.kind == kind && key.namespace == namespace && (kind != kindWorkspaceRole || role.Workspace == scope.Workspace) &&
			!strings.HasPrefix(key.name, "role-template-") && !strings.HasPrefix(key.name, "system:") {
			names = append(names, key.name)
		}
	}
	if len(names) == 0 {
		return missing
	}
	slices.Sort(names)
	more := ""
	if len(names) > maxNamedRoles {
		more = fmt.Sprintf(" and %d more", len(names)-maxNamedRoles)
		names = names[:maxNamedRoles]
	}
	named := missing.ErrStatus
	named.Message += ": the roles are " + strings.Join(names, ", ") + more
	return &apierrors.StatusError{ErrStatus: named}
}
