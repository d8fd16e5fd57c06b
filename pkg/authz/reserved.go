package authz

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// NameChecker knows the reserved names and fields, and the rights of users. *RBAC
// does.
type NameChecker interface {
	Coverer
	// Names returns the register; nil for the built-in one.
	Names() *reserved.Register
}

// CheckName returns a forbidden error when an object of a kind may not have a
// name by the user's choice: see package reserved.
func CheckName(ctx context.Context, rights NameChecker, who user.Info, kind reserved.Kind, resource schema.GroupResource, name string) error {
	right, owner := rights.Names().Name(kind, name)
	held, err := holds(ctx, rights, who, right)
	if err != nil || held {
		return err
	}
	if right == reserved.ServerOnly {
		return status.Forbidden(resource, name, "the name is reserved for %s", owner)
	}
	return status.Forbidden(resource, name, "the name is reserved for %s, and user %q does not have %s", owner, who.GetName(), right)
}

// RoleRights decides which users may take roles away. *RBAC does.
type RoleRights interface {
	NameChecker
	MayNarrow(ctx context.Context, who user.Info, scope Scope, resource schema.GroupResource, name string, rules []rbacv1.PolicyRule) error
}

// CheckRoleDeletion returns a forbidden error unless a user may delete a role of a
// kind with the rules in a scope. The platform relies on the roles with reserved
// names and on those it came with, also on the ones without rules.
func CheckRoleDeletion(ctx context.Context, rights RoleRights, who user.Info, kind reserved.Kind, scope Scope, resource schema.GroupResource, role metav1.Object, rules []rbacv1.PolicyRule) error {
	if err := CheckReservedRole(ctx, rights, who, kind, resource, role); err != nil {
		return err
	}
	return rights.MayNarrow(ctx, who, scope, resource, role.GetName(), rules)
}

// CheckReservedRole returns a forbidden error when a user may not write a role of a kind,
// whatever the write changes: one with a reserved name, one that came with the platform,
// and a template that other roles get their rules from.
func CheckReservedRole(ctx context.Context, rights NameChecker, who user.Info, kind reserved.Kind, resource schema.GroupResource, role metav1.Object) error {
	if kind != "" {
		if err := CheckName(ctx, rights, who, kind, resource, role.GetName()); err != nil {
			return err
		}
	}
	right, reason := reserved.Platform, ""
	if resource.Group == rbacv1.GroupName {
		right = reserved.Cluster
	}
	_, isTemplate := role.GetLabels()[iamv1alpha2.LabelRoleTemplate]
	switch {
	case isTemplate:
		if kind != reserved.Role {
			right = reserved.Platform
		}
		reason = "the role is a template of other roles"
	case iam.BuiltIn(role):
		reason = "the role came with the platform"
	default:
		return nil
	}
	held, err := holds(ctx, rights, who, right)
	if err != nil || held {
		return err
	}
	return status.Forbidden(resource, role.GetName(), "%s, and user %q does not have %s", reason, who.GetName(), right)
}

// CheckFields returns a forbidden error when a write changes metadata that
// reconcilers act on and the user does not hold the right that follows from it.
// before is nil for a new object.
func CheckFields(ctx context.Context, rights NameChecker, who user.Info, resource schema.GroupResource, before, after metav1.Object) error {
	for _, field := range rights.Names().Changed(resource, before, after) {
		right := field.Right
		if right == reserved.OwnName {
			if before == nil && field.Value(after) == who.GetName() {
				continue
			}
			right = reserved.Cluster
		}
		held, err := holds(ctx, rights, who, right)
		if err != nil {
			return err
		}
		if !held {
			return status.Forbidden(resource, after.GetName(), "user %q cannot change %s, which takes %s", who.GetName(), field, right)
		}
	}
	return nil
}

// CheckLock returns a forbidden error when an object is locked and the user does not
// hold the right to write it: see reserved.Register.Lock.
func CheckLock(ctx context.Context, rights NameChecker, who user.Info, resource schema.GroupResource, object metav1.Object) error {
	lock, locked := rights.Names().Lock(resource, object)
	if !locked {
		return nil
	}
	held, err := holds(ctx, rights, who, lock.Right)
	if err != nil || held {
		return err
	}
	return status.Forbidden(resource, object.GetName(), "the object has %s, and user %q does not have %s", lock, who.GetName(), lock.Right)
}

// CheckWorkspaceTemplate is CheckFields for the template of a workspace and for the
// workspace that is made of it.
func CheckWorkspaceTemplate(ctx context.Context, rights NameChecker, who user.Info, before, after *tenantv1alpha2.WorkspaceTemplate) error {
	if before == nil {
		if err := CheckFields(ctx, rights, who, tenantv1alpha2.Resource("workspacetemplates"), nil, after); err != nil {
			return err
		}
		return CheckFields(ctx, rights, who, tenantv1alpha2.Resource("workspaces"), nil, workspaceOf(after))
	}
	if err := CheckFields(ctx, rights, who, tenantv1alpha2.Resource("workspacetemplates"), before, after); err != nil {
		return err
	}
	return CheckFields(ctx, rights, who, tenantv1alpha2.Resource("workspaces"), workspaceOf(before), workspaceOf(after))
}

// workspaceOf is the metadata of the workspace that is made of a template.
func workspaceOf(template *tenantv1alpha2.WorkspaceTemplate) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{Name: template.Name, Labels: template.Spec.Template.Labels, Annotations: template.Spec.Template.Annotations}
}

// holds reports whether a user holds a right of the register.
func holds(ctx context.Context, rights Coverer, who user.Info, right reserved.Right) (bool, error) {
	scope := Scope{}
	switch right {
	case reserved.Free:
		return true, nil
	case reserved.ServerOnly:
		return false, nil
	case reserved.OwnName, reserved.Cluster:
		scope.Cluster = ThisCluster
	case reserved.Platform:
	}
	return HoldsAll(ctx, rights, who, scope)
}

// Excess is a role one user has in some scope and whose rules another user
// does not hold there.
type Excess struct {
	Kind, Role string
	Scope      Scope
	// Missing is one rule that is not held.
	Missing rbacv1.PolicyRule
}

// FindExcess returns a role of subject, in any scope and by name or by groups,
// whose rules actor does not hold in that scope; nil when there is none. An actor
// who changes the credentials of the subject gets the roles of the subject.
func (r *RBAC) FindExcess(ctx context.Context, actor, subject user.Info) (*Excess, error) {
	return r.findExcess(ctx, actor, subject, func(Scope) bool { return true })
}

// findExcess is FindExcess for the scopes that count.
func (r *RBAC) findExcess(ctx context.Context, actor, subject user.Info, counts func(Scope) bool) (*Excess, error) {
	if r.All {
		return nil, nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	all := append(Everything(), rbacv1.PolicyRule{Verbs: []string{rbacv1.VerbAll}, NonResourceURLs: []string{rbacv1.NonResourceAll}})
	if missing, err := r.Covers(ctx, actor, Scope{}, all); err != nil || len(missing) == 0 {
		return nil, err
	}
	check := func(grants []grant, scope Scope) (*Excess, error) {
		if !counts(scope) {
			return nil, nil
		}
		var roles distinct
		for _, g := range grants {
			if !roles.isNew(*g.role) {
				continue
			}
			missing, err := MissingToGrant(ctx, r, actor, scope, scope.givenRules(current.rules(g)))
			if err != nil {
				return nil, err
			}
			if len(missing) > 0 {
				return &Excess{Kind: g.role.kind, Role: g.role.name, Scope: scope, Missing: missing[0]}, nil
			}
		}
		return nil, nil
	}
	for one := range current.accesses(subject) {
		if found, err := check(one.platform, Scope{}); found != nil || err != nil {
			return found, err
		}
		if found, err := check(one.cluster, Scope{Cluster: ThisCluster}); found != nil || err != nil {
			return found, err
		}
		for workspace, grants := range one.workspaces.all() {
			if found, err := check(grants, Scope{Workspace: workspace}); found != nil || err != nil {
				return found, err
			}
		}
		for namespace, grants := range one.namespaces.all() {
			if found, err := check(grants, Scope{Namespace: namespace}); found != nil || err != nil {
				return found, err
			}
		}
	}
	return nil, nil
}

// String names the scope as error messages do.
func (s Scope) String() string {
	switch {
	case s.Namespace != "":
		return "in the namespace " + s.Namespace
	case s.Workspace != "":
		return "in the workspace " + s.Workspace
	case s.Cluster != "":
		return "in the cluster " + s.Cluster
	}
	return "on the platform"
}
