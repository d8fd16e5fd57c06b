package iam

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
)

// platformMembers are the members of the platform in one state of its bindings.
type platformMembers struct {
	revision uint64
	roles    map[string]string
}

// platformMembers is Members for the platform: all users of an installation, which are
// worked out once for each state of the bindings.
func (d *Directory) platformMembers(ctx context.Context) (map[string]string, error) {
	var err error
	bindings := read(ctx, d, "globalrolebindings", &d.rights.globalRoleBindings, decodeBinding, &err)
	if err != nil {
		return nil, err
	}
	if known := d.members.Load(); known != nil && known.revision == bindings.Revision {
		return known.roles, nil
	}
	made := &platformMembers{revision: bindings.Revision, roles: make(map[string]string)}
	for _, binding := range bindings.Items {
		for _, subject := range binding.Subjects {
			if _, has := made.roles[subject.Name]; !has && subject.Kind == rbacv1.UserKind {
				made.roles[subject.Name] = binding.RoleRef.Name
			}
		}
	}
	d.members.Store(made)
	return made.roles, nil
}
