package authz

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Verbs that let users give rights they do not hold themselves.
const (
	verbEscalate = "escalate"
	verbBind     = "bind"
)

// MayWriteRole returns nil when a user may give a role the rules: a user who holds
// them in the scope of the role, or the right to escalate such roles. Otherwise it
// returns a forbidden error that says which rules are missing.
func (r *RBAC) MayWriteRole(ctx context.Context, who user.Info, scope Scope, resource schema.GroupResource, name string, rules []rbacv1.PolicyRule) error {
	return r.mayGive(ctx, who, scope, verbEscalate, resource, name, rules)
}

// MayBind returns nil when a user may give the role of a reference to subjects in
// a scope: a user who holds all its rights there, or the right to bind the role. It
// fails with a not-found error when there is no such role.
func (r *RBAC) MayBind(ctx context.Context, who user.Info, scope Scope, ref rbacv1.RoleRef) error {
	return r.mayBind(ctx, who, scope, ref, func(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule { return rules })
}

// MayBindUsers is MayBind for users and groups, which act through this server: in a
// namespace, a rule of all verbs gives them no more than the verbs it stands for. A
// service account goes to kube-apiserver, where it gets every verb there is.
func (r *RBAC) MayBindUsers(ctx context.Context, who user.Info, scope Scope, ref rbacv1.RoleRef) error {
	return r.mayBind(ctx, who, scope, ref, scope.givenRules)
}

// IncludesServiceAccounts reports whether a subject of a binding is a service account or a
// group with service accounts, by whatever kind names it.
func IncludesServiceAccounts(subject rbacv1.Subject) bool {
	switch subject.Kind {
	case rbacv1.ServiceAccountKind:
		return true
	case rbacv1.UserKind:
		return strings.HasPrefix(subject.Name, serviceaccount.ServiceAccountUsernamePrefix)
	}
	return slices.Contains([]string{user.AllAuthenticated, user.AllUnauthenticated, serviceaccount.AllServiceAccountsGroup}, subject.Name) ||
		strings.HasPrefix(subject.Name, serviceaccount.ServiceAccountGroupPrefix)
}

// givenRules are rules as this server reads them in a scope. Roles of namespaces list
// the verbs; who has such a role holds what one with "*" gives.
func (s Scope) givenRules(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	if s.Namespace == "" {
		return rules
	}
	return iam.ExplicitVerbs(rules)
}

func (r *RBAC) mayBind(ctx context.Context, who user.Info, scope Scope, ref rbacv1.RoleRef, given func([]rbacv1.PolicyRule) []rbacv1.PolicyRule) error {
	key := roleKey{kind: ref.Kind, name: ref.Name}
	if ref.Kind == kindRole {
		key.namespace = scope.Namespace
	}
	resource, found := roleResources[ref.Kind]
	if !found {
		return status.BadRequest("a role of kind %q cannot be bound", ref.Kind)
	}
	if r.All {
		return nil
	}
	if err := CheckBindingScope(who, scope, ref.Kind, ref.Name); err != nil {
		return err
	}
	current, err := r.current(ctx)
	if err != nil {
		return err
	}
	role := current.roles[key].Role
	if role != nil && ref.Kind == kindWorkspaceRole && role.Workspace != "" && role.Workspace != scope.Workspace {
		return apierrors.NewNotFound(resource, ref.Name)
	}
	if role == nil {
		// Holders of all rights may bind a role that does not exist yet.
		if missing, err := MissingToGrant(ctx, r, who, scope, given(Everything())); err != nil || len(missing) == 0 {
			return err
		}
		return current.nameRoles(ref.Kind, scope, apierrors.NewNotFound(resource, ref.Name))
	}
	return r.mayGive(ctx, who, scope, verbBind, resource, ref.Name, given(role.Rules))
}

// MayRevoke returns nil when a user may take the role of a reference from its
// subjects in a scope, or change the rights it gives them: a user who holds its rules
// there. Powers among them do not matter, since taking them gives nothing. A role that
// does not exist may be taken by anyone who may delete the binding.
func (r *RBAC) MayRevoke(ctx context.Context, who user.Info, scope Scope, ref rbacv1.RoleRef) error {
	if r.All {
		return nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return err
	}
	key := roleKey{kind: ref.Kind, name: ref.Name}
	if ref.Kind == kindRole {
		key.namespace = scope.Namespace
	}
	role := current.roles[key].Role
	if role == nil || ref.Kind == kindWorkspaceRole && role.Workspace != "" && role.Workspace != scope.Workspace {
		return nil
	}
	return r.MayNarrow(ctx, who, scope, roleResources[ref.Kind], ref.Name, role.Rules)
}

// Revoker decides which users may take a role from its subjects. *RBAC does.
type Revoker interface {
	MayRevoke(ctx context.Context, who user.Info, scope Scope, ref rbacv1.RoleRef) error
}

// CheckRevoke returns nil when a user may take the role of a reference from the
// subjects in a scope, otherwise the error of the revoker. Users may always give
// up their own roles.
func CheckRevoke(ctx context.Context, revoker Revoker, requester user.Info, scope Scope, ref rbacv1.RoleRef, subjects []rbacv1.Subject) error {
	isOther := func(subject rbacv1.Subject) bool {
		return subject.Kind != rbacv1.UserKind || subject.Name != requester.GetName()
	}
	if !slices.ContainsFunc(subjects, isOther) {
		return nil
	}
	return revoker.MayRevoke(ctx, requester, scope, ref)
}

// UserSubjects returns the users with the names as subjects of a binding.
func UserSubjects(names ...string) []rbacv1.Subject {
	subjects := make([]rbacv1.Subject, 0, len(names))
	for _, name := range names {
		subjects = append(subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name})
	}
	return subjects
}

// MayNarrow returns nil when a user may delete or narrow a role with the rules in
// a scope: a user who holds them there. Rules that stand for more combinations than
// are compared take all rights in the scope.
func (r *RBAC) MayNarrow(ctx context.Context, who user.Info, scope Scope, resource schema.GroupResource, name string, rules []rbacv1.PolicyRule) error {
	given := scope.givenRules(rules)
	held, err := r.held(ctx, who, scope, overlapping(slices.Concat(rules, given)))
	if err != nil || holdsEverything(held, rules) {
		return err
	}
	var missing []rbacv1.PolicyRule
	tooMany := elements(rules) > maxElements
	if !tooMany {
		missing, err = r.notCovered(ctx, who, held, given)
		tooMany = apierrors.IsBadRequest(err)
	}
	switch {
	case tooMany:
		return status.Forbidden(resource, name, "the rules of the role stand for too many combinations of verb, group, resource and name to compare, so that user %q needs all rights %s to take it from others or to change it", who.GetName(), scope)
	case err != nil || len(missing) == 0:
		return err
	}
	return status.Forbidden(resource, name, "user %q does not hold all rights of the role and so cannot take it from others or change it", who.GetName())
}

// holdsEverything reports whether held rules include all rights of the kinds that
// rules name: on resources, and on paths.
func holdsEverything(held, rules []rbacv1.PolicyRule) bool {
	allPaths := func(rule rbacv1.PolicyRule) bool {
		return slices.Contains(rule.Verbs, rbacv1.VerbAll) && slices.Contains(rule.NonResourceURLs, rbacv1.NonResourceAll)
	}
	return slices.ContainsFunc(held, func(rule rbacv1.PolicyRule) bool { return isEverything(&rule) }) &&
		(!slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool { return len(rule.NonResourceURLs) > 0 }) || slices.ContainsFunc(held, allPaths))
}

// EverythingIn returns the rules of all rights on resources in a scope.
func EverythingIn(scope Scope) []rbacv1.PolicyRule { return scope.givenRules(Everything()) }

// Everything returns the rule of all rights on resources.
func Everything() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: []string{rbacv1.VerbAll}, APIGroups: []string{rbacv1.APIGroupAll}, Resources: []string{rbacv1.ResourceAll}}}
}

// Templates are the rules of the role templates with the names for roles of a
// kind. A template that is not known yet may become anything, and so may one
// in a namespace, where a template of the platform would come first: it stands
// for everything, with the verbs listed as they will be in the role.
func (r *RBAC) Templates(ctx context.Context, kind string, names []string) ([]rbacv1.PolicyRule, error) {
	current, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	var rules []rbacv1.PolicyRule
	for _, name := range names {
		switch role := current.roles[roleKey{kind: kind, name: name}].Role; {
		case kind == kindRole:
			rules = append(rules, iam.ExplicitVerbs(Everything())...)
		case role != nil:
			rules = append(rules, role.Rules...)
		default:
			rules = append(rules, Everything()...)
		}
	}
	return rules, nil
}

// roleResources are the resources of the kinds of roles.
var roleResources = map[string]schema.GroupResource{
	kindGlobalRole:    {Group: groupIAM, Resource: "globalroles"},
	kindWorkspaceRole: {Group: groupIAM, Resource: "workspaceroles"},
	kindClusterRole:   {Group: rbacv1.GroupName, Resource: "clusterroles"},
	kindRole:          {Group: rbacv1.GroupName, Resource: "roles"},
}

func (r *RBAC) mayGive(ctx context.Context, who user.Info, scope Scope, verb string, resource schema.GroupResource, name string, rules []rbacv1.PolicyRule) error {
	missing, err := MissingToGrant(ctx, r, who, scope, rules)
	if err != nil || len(missing) == 0 {
		return err
	}
	held, err := r.held(ctx, who, scope, func(rule *rbacv1.PolicyRule) bool { return names(rule, verb, resource, name) })
	if err != nil {
		return err
	}
	if IsLimited(who) {
		held = nil // the power to exceed the rights held would exceed the scopes, too
	}
	if len(held) > 0 {
		return nil
	}
	shown, err := ShowRules(missing)
	if err != nil {
		return err
	}
	return status.Forbidden(resource, name, "user %q is attempting to grant permissions not currently held: %s", who.GetName(), shown)
}

// RoleResource is the resource of the roles of a kind, which errors name.
func RoleResource(kind string) schema.GroupResource {
	return roleResources[kind]
}

// ShowRules shows missing rules in an error: as they are written, and not too many.
func ShowRules(missing []rbacv1.PolicyRule) (string, error) {
	shown, err := json.Marshal(missing[:min(len(missing), 5)])
	if err != nil {
		return "", err
	}
	switch {
	case len(missing) >= maxMissing:
		return string(shown) + " and more", nil
	case len(missing) > 5:
		return fmt.Sprintf("%s and %d more", shown, len(missing)-5), nil
	}
	return string(shown), nil
}

// names reports whether a rule permits a verb by its name. All verbs, which
// roles for the console give to managers of roles, do not include the verbs that
// lift the limit to the rights held (ks-installer#1592).
func names(rule *rbacv1.PolicyRule, verb string, resource schema.GroupResource, name string) bool {
	return slices.Contains(rule.Verbs, verb) && matches(rule.APIGroups, resource.Group) && resourceMatches(rule.Resources, resource.Resource, "") &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, name))
}
