package iam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/keymutex"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Place is where a role is given. The zero value is the platform.
type Place struct {
	// Cluster is the cluster as such, with all its namespaces.
	Cluster bool
	// Workspace and Namespace name one of them; at most one is set.
	Workspace, Namespace string
}

// Bindings gives roles to users and takes them away, in all four kinds of
// places. Who may do so is decided before.
type Bindings struct {
	Client client.Client
}

// Rules returns the rules of a role of a place, or a not-found error.
func (b *Bindings) Rules(ctx context.Context, place Place, role string) ([]rbacv1.PolicyRule, error) {
	switch {
	case place.Namespace != "":
		found := &rbacv1.Role{}
		err := b.Client.Get(ctx, client.ObjectKey{Namespace: place.Namespace, Name: role}, found)
		return found.Rules, err
	case place.Workspace != "":
		found := &iamv1alpha2.WorkspaceRole{}
		err := b.Client.Get(ctx, client.ObjectKey{Name: role}, found)
		if err == nil && found.Labels[iamv1alpha2.LabelWorkspace] != place.Workspace {
			err = apierrors.NewNotFound(iamv1alpha2.Resource("workspaceroles"), role)
		}
		return found.Rules, err
	case place.Cluster:
		found := &rbacv1.ClusterRole{}
		err := b.Client.Get(ctx, client.ObjectKey{Name: role}, found)
		return found.Rules, err
	}
	found := &iamv1alpha2.GlobalRole{}
	err := b.Client.Get(ctx, client.ObjectKey{Name: role}, found)
	return found.Rules, err
}

// Roles returns the names of the roles a user has in a place by his name.
func (b *Bindings) Roles(ctx context.Context, place Place, user string) ([]string, error) {
	bound, err := b.of(ctx, place, user)
	var roles []string
	for _, one := range bound {
		roles = append(roles, one.role())
	}
	return roles, err
}

// Refs returns the roles a user has in a place by name, as their bindings name them.
func (b *Bindings) Refs(ctx context.Context, place Place, user string) ([]rbacv1.RoleRef, error) {
	bound, err := b.of(ctx, place, user)
	return refsOf(bound), err
}

func refsOf(bound []binding) []rbacv1.RoleRef {
	refs := make([]rbacv1.RoleRef, 0, len(bound))
	for _, one := range bound {
		refs = append(refs, one.ref)
	}
	return refs
}

// bindingLocks make looking at the roles of a user in a place and changing them one step,
// for the requests of this process.
var bindingLocks = keymutex.NewHashed(1024)

// lock returns a function that lets others change the roles of a user in a place.
func (p Place) lock(user string) (unlock func()) {
	key := fmt.Sprintf("%t/%s/%s/%s", p.Cluster, p.Workspace, p.Namespace, user)
	bindingLocks.LockKey(key)
	return func() { _ = bindingLocks.UnlockKey(key) } // it never fails
}

// Set gives a user a role in a place, and takes his other roles there away, unless check
// returns an error about the roles he has. The new role comes first: an interruption
// leaves a user with both. It is a conflict when another process takes the new role at the
// same time, so that the user has none.
func (b *Bindings) Set(ctx context.Context, place Place, user, role string, check func(present []rbacv1.RoleRef) error) error {
	defer place.lock(user)()
	bound, err := b.of(ctx, place, user)
	if err != nil {
		return err
	}
	if err := check(refsOf(bound)); err != nil {
		return err
	}
	has := func(one binding) bool { return one.role() == role && !one.ends() }
	if !slices.ContainsFunc(bound, has) {
		if err := b.Add(ctx, place, user, role); err != nil {
			return err
		}
	}
	others := slices.DeleteFunc(bound, has)
	if len(others) == 0 {
		return nil
	}
	if err := b.takeAway(ctx, rbacv1.UserKind, user, others); err != nil {
		return err
	}
	if bound, err = b.of(ctx, place, user); err == nil && len(bound) == 0 {
		err = status.New(http.StatusConflict, metav1.StatusReasonConflict, "the roles of %s were changed at the same time; please try again", user)
	}
	return err
}

// Remove takes all roles of a user in a place away, unless check returns an error about
// them.
func (b *Bindings) Remove(ctx context.Context, place Place, user string, check func(present []rbacv1.RoleRef) error) error {
	defer place.lock(user)()
	bound, err := b.of(ctx, place, user)
	if err != nil {
		return err
	}
	if err := check(refsOf(bound)); err != nil {
		return err
	}
	return b.takeAway(ctx, rbacv1.UserKind, user, bound)
}

// RemoveEverywhere takes all roles of a user away, in all places.
func (b *Bindings) RemoveEverywhere(ctx context.Context, user string) error {
	return b.removeSubject(ctx, rbacv1.UserKind, user)
}

// RemoveLeft takes the roles away that were given to somebody by this server
// or KubeSphere, in all places: those with the label of the user.
func (b *Bindings) RemoveLeft(ctx context.Context, user string) error {
	return b.removeSubject(ctx, rbacv1.UserKind, user, client.MatchingLabels{iamv1alpha2.LabelUserReference: user})
}

// Add gives a user a role in a place, beside those he has.
func (b *Bindings) Add(ctx context.Context, place Place, user, role string) error {
	if err := b.add(ctx, place, user, role); err != nil {
		return fmt.Errorf("giving %s the role %s: %w", user, role, err)
	}
	return nil
}

func (b *Bindings) removeSubject(ctx context.Context, kind, name string, options ...client.ListOption) error {
	bound, err := b.ofSubject(ctx, kind, name, options...)
	return errors.Join(err, b.takeAway(ctx, kind, name, bound))
}

// of returns the bindings in a place that name a user.
func (b *Bindings) of(ctx context.Context, place Place, user string) ([]binding, error) {
	switch {
	case place.Namespace != "":
		return b.list(ctx, &rbacv1.RoleBindingList{}, rbacv1.UserKind, user, client.InNamespace(place.Namespace))
	case place.Workspace != "":
		return b.list(ctx, &iamv1alpha2.WorkspaceRoleBindingList{}, rbacv1.UserKind, user, client.MatchingLabels{iamv1alpha2.LabelWorkspace: place.Workspace})
	case place.Cluster:
		return b.list(ctx, &rbacv1.ClusterRoleBindingList{}, rbacv1.UserKind, user)
	}
	return b.list(ctx, &iamv1alpha2.GlobalRoleBindingList{}, rbacv1.UserKind, user)
}

// add creates a binding, or adds the user to the one that has its name.
func (b *Bindings) add(ctx context.Context, place Place, user, role string) error {
	meta := metav1.ObjectMeta{
		Namespace: place.Namespace, Name: user + "-" + role,
		Labels: map[string]string{iamv1alpha2.LabelUserReference: user, reserved.LabelManagedBy: reserved.ManagedByServer},
	}
	subject := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}
	var created client.Object
	switch {
	case place.Namespace != "":
		created = &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: []rbacv1.Subject{subject}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role}}
	case place.Workspace != "":
		meta.Labels[iamv1alpha2.LabelWorkspace] = place.Workspace
		created = &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta, Subjects: []rbacv1.Subject{subject}, RoleRef: rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "WorkspaceRole", Name: role}}
	case place.Cluster:
		created = &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: []rbacv1.Subject{subject}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}}
	default:
		created = &iamv1alpha2.GlobalRoleBinding{ObjectMeta: meta, Subjects: []rbacv1.Subject{subject}, RoleRef: rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "GlobalRole", Name: role}}
	}
	err := b.Client.Create(ctx, created)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	// The name is taken: by a binding of the same role for others, or by
	// something else, such as that of user "a-b" to role "c" and of "a" to "b-c".
	found := created.DeepCopyObject().(client.Object)
	if err := b.Client.Get(ctx, client.ObjectKeyFromObject(created), found); err != nil {
		return err
	}
	wanted, existing := bindingOf(created), bindingOf(found)
	switch {
	case existing.ends(): // what it gives is over with it
	case existing.names(rbacv1.UserKind, user) && existing.role() == role:
		return nil // somebody else was faster
	case existing.role() == role && found.GetLabels()[iamv1alpha2.LabelUserReference] == user:
		*existing.subjects = append(*existing.subjects, *wanted.subjects...)
		return b.Client.Update(ctx, found)
	}
	created.SetGenerateName(created.GetName() + "-")
	created.SetName("")
	return b.Client.Create(ctx, created)
}

// takeAway takes a subject out of bindings.
func (b *Bindings) takeAway(ctx context.Context, kind, name string, bound []binding) error {
	var problems []error
	for _, one := range bound {
		problems = append(problems, b.drop(ctx, one, subjectNamed(kind, name)))
	}
	return errors.Join(problems...)
}

// drop takes subjects out of a binding, and deletes a binding without any. Whoever changes
// the binding at the same time does not keep the subjects in it.
func (b *Bindings) drop(ctx context.Context, one binding, matches func(rbacv1.Subject) bool) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		err := b.dropPresent(ctx, one, matches)
		if !apierrors.IsConflict(err) {
			return err
		}
		// Into another object, which has nothing of the one before.
		present := reflect.New(reflect.TypeOf(one.object).Elem()).Interface().(client.Object)
		if failed := b.Client.Get(ctx, client.ObjectKeyFromObject(one.object), present); failed != nil {
			return client.IgnoreNotFound(failed)
		}
		one = bindingOf(present)
		if !slices.ContainsFunc(*one.subjects, matches) {
			return nil
		}
		return err
	})
}

// dropPresent is drop for the version of a binding that was read.
func (b *Bindings) dropPresent(ctx context.Context, one binding, matches func(rbacv1.Subject) bool) error {
	others := slices.DeleteFunc(slices.Clone(*one.subjects), matches)
	if len(others) > 0 {
		*one.subjects = others
		return client.IgnoreNotFound(b.Client.Update(ctx, one.object))
	}
	return client.IgnoreNotFound(Revoke(ctx, b.Client, one.object))
}

const (
	// bindingsAtOnce is how many bindings are read at once. Those of users have up to
	// authz.MaxSubjects subjects.
	bindingsAtOnce = 50
	// cachedContinue is what a cache answers with instead of a place to go on from.
	cachedContinue = "continue-not-supported"
)

// list reads the bindings of one kind that name a subject, part by part.
func (b *Bindings) list(ctx context.Context, into client.ObjectList, kind, name string, options ...client.ListOption) ([]binding, error) {
	var named []binding
	for next := ""; ; {
		if err := b.Client.List(ctx, into, append(slices.Clone(options), client.Limit(bindingsAtOnce), client.Continue(next))...); err != nil {
			return nil, err
		}
		if next = into.GetContinue(); next == cachedContinue {
			named, next = nil, ""
			if err := b.Client.List(ctx, into, options...); err != nil {
				return nil, err
			}
		}
		for _, one := range bindingsIn(into) {
			if one.names(kind, name) { // a copy, so that the others of the list can go
				named = append(named, bindingOf(one.object.DeepCopyObject().(client.Object)))
			}
		}
		if next == "" {
			return named, nil
		}
		into = reflect.New(reflect.TypeOf(into).Elem()).Interface().(client.ObjectList)
	}
}

// bindingsIn are the bindings in a list. Lists of other kinds than the four have none.
func bindingsIn(list client.ObjectList) []binding {
	var all []binding
	switch l := list.(type) {
	case *iamv1alpha2.GlobalRoleBindingList:
		for n := range l.Items {
			all = append(all, bindingOf(&l.Items[n]))
		}
	case *iamv1alpha2.WorkspaceRoleBindingList:
		for n := range l.Items {
			all = append(all, bindingOf(&l.Items[n]))
		}
	case *rbacv1.ClusterRoleBindingList:
		for n := range l.Items {
			all = append(all, bindingOf(&l.Items[n]))
		}
	case *rbacv1.RoleBindingList:
		for n := range l.Items {
			all = append(all, bindingOf(&l.Items[n]))
		}
	}
	return all
}

// binding is a binding of any of the four kinds.
type binding struct {
	object   client.Object
	subjects *[]rbacv1.Subject
	ref      rbacv1.RoleRef
}

func bindingOf(object client.Object) binding {
	switch o := object.(type) {
	case *iamv1alpha2.GlobalRoleBinding:
		return binding{o, &o.Subjects, o.RoleRef}
	case *iamv1alpha2.WorkspaceRoleBinding:
		return binding{o, &o.Subjects, o.RoleRef}
	case *rbacv1.ClusterRoleBinding:
		return binding{o, &o.Subjects, o.RoleRef}
	case *rbacv1.RoleBinding:
		return binding{o, &o.Subjects, o.RoleRef}
	}
	return binding{object, new([]rbacv1.Subject), rbacv1.RoleRef{}}
}

func (b binding) role() string { return b.ref.Name }

// ends reports whether a binding is being deleted. Its role is in force meanwhile.
func (b binding) ends() bool { return b.object.GetDeletionTimestamp() != nil }

func (b binding) names(kind, name string) bool {
	return slices.ContainsFunc(*b.subjects, subjectNamed(kind, name))
}

func subjectNamed(kind, name string) func(rbacv1.Subject) bool {
	return func(s rbacv1.Subject) bool { return s.Kind == kind && s.Name == name }
}
