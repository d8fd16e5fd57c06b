package controllers

import (
	"context"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// users hashes passwords, sets states and memberships, ends the sessions of
// the disabled, and finishes deletions.
type users struct {
	client client.Client
	live   client.Reader
	users  *iam.Users
	now    func() time.Time
}

func (u *users) setup(run ctrl.Manager) error {
	return completeFair(ctrl.NewControllerManagedBy(run).Named("users").For(&iamv1alpha2.User{}).
		Watches(&iamv1alpha2.GroupBinding{}, enqueue(boundUsers)), u, byName, keyBudget)
}

// Reconcile implements reconcile.Reconciler.
func (u *users) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	found := &iamv1alpha2.User{}
	if err := u.client.Get(ctx, request.NamespacedName, found); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if found.DeletionTimestamp != nil {
		return reconcile.Result{}, u.users.Finish(ctx, found.Name)
	}
	user := found.DeepCopy()
	changed, password, err := iam.Complete(user, u.users.Passwords.Hasher, u.now())
	if err != nil {
		return reconcile.Result{}, err
	}
	groups, err := u.memberships(ctx, user)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !slices.Equal(groups, user.Spec.Groups) {
		user.Spec.Groups, changed = groups, true
	}
	if changed {
		if err := u.client.Update(ctx, user); err != nil {
			return reconcile.Result{}, ignoreConflict(err)
		}
	}
	switch {
	case password:
		err = u.users.Sessions.EndOthers(ctx, user.Name, "", "the password was changed")
	case user.Status.State == iamv1alpha2.UserDisabled:
		err = u.users.Sessions.EndOthers(ctx, user.Name, "", "the user was disabled")
	}
	return reconcile.Result{}, err
}

// memberships returns the groups a user should be in. The caches of users and
// of bindings are not in step: a user who was put into a group can be here before
// the binding is, and one who was taken out while the binding still is. A change
// is therefore decided on what Kubernetes has.
func (u *users) memberships(ctx context.Context, user *iamv1alpha2.User) ([]string, error) {
	cached := &iamv1alpha2.GroupBindingList{}
	if err := u.client.List(ctx, cached, client.MatchingFields{byUser: user.Name}); err != nil {
		return nil, err
	}
	wanted, err := memberships(ctx, u.client, user, cached.Items)
	if err != nil || slices.Equal(wanted, user.Spec.Groups) {
		return wanted, err
	}
	current, err := u.currentBindings(ctx, user.Name, cached.Items)
	if err != nil {
		return nil, err
	}
	return memberships(ctx, u.live, user, current)
}

// currentBindings returns the bindings of a user that Kubernetes has: those
// labelled with the user, which are all that this server makes, and those of the
// cache that still exist.
func (u *users) currentBindings(ctx context.Context, user string, cached []iamv1alpha2.GroupBinding) ([]iamv1alpha2.GroupBinding, error) {
	labelled := &iamv1alpha2.GroupBindingList{}
	if err := u.live.List(ctx, labelled, client.MatchingLabels{iamv1alpha2.LabelUserReference: user}); err != nil {
		return nil, err
	}
	current := labelled.Items
	for n := range cached {
		if slices.ContainsFunc(labelled.Items, func(b iamv1alpha2.GroupBinding) bool { return b.UID == cached[n].UID }) {
			continue
		}
		binding := iamv1alpha2.GroupBinding{}
		err := u.live.Get(ctx, client.ObjectKeyFromObject(&cached[n]), &binding)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil {
			current = append(current, binding)
		}
	}
	return slices.DeleteFunc(current, func(b iamv1alpha2.GroupBinding) bool { return !slices.Contains(b.Users, user) }), nil
}

// memberships returns the groups a user should be in by the bindings given and
// the groups a reader has.
func memberships(ctx context.Context, reader client.Reader, user *iamv1alpha2.User, bound []iamv1alpha2.GroupBinding) ([]string, error) {
	var problem error
	find := func(name string) *iamv1alpha2.Group {
		group := &iamv1alpha2.Group{}
		err := reader.Get(ctx, client.ObjectKey{Name: name}, group)
		if client.IgnoreNotFound(err) != nil {
			problem = err
		}
		if err != nil || group.DeletionTimestamp != nil {
			return nil
		}
		return group
	}
	return iam.Memberships(user.Spec.Groups, find, bound), problem
}

// ignoreConflict leaves an object that changed meanwhile to the event of that
// change.
func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return client.IgnoreNotFound(err)
}

// soon is when something is tried again that changed while it was read: the
// cache will have caught up.
const soon = 200 * time.Millisecond

// again tries again what met a conflict, which is no failure.
func again(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// records keeps the latest login records of each user, and writes down when
// the user logged in last.
type records struct {
	client    client.Client
	now       func() time.Time
	maximum   int
	retention time.Duration
}

func (r *records) setup(run ctrl.Manager) error {
	return completeFair(ctrl.NewControllerManagedBy(run).Named("loginrecords").
		Watches(&iamv1alpha2.LoginRecord{}, enqueue(boundUsers)), r, byName, keyBudget)
}

// Reconcile implements reconcile.Reconciler.
func (r *records) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	found := &iamv1alpha2.LoginRecordList{}
	if err := r.client.List(ctx, found, client.MatchingFields{byUser: request.Name}); err != nil {
		return reconcile.Result{}, err
	}
	keep, drop := trim(found.Items, r.maximum, r.now().Add(-r.retention))
	for n := range drop {
		if err := r.client.Delete(ctx, &drop[n]); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, err
		}
	}
	if err := r.lastLogin(ctx, request.Name, keep); err != nil {
		return again(err)
	}
	if len(keep) == 0 {
		return reconcile.Result{}, nil
	}
	oldest := keep[len(keep)-1].CreationTimestamp.Add(r.retention)
	return reconcile.Result{RequeueAfter: max(oldest.Sub(r.now()), time.Second)}, nil
}

// trim returns the records to keep, the latest first, and the others.
func trim(all []iamv1alpha2.LoginRecord, maximum int, since time.Time) (keep, drop []iamv1alpha2.LoginRecord) {
	slices.SortFunc(all, func(a, b iamv1alpha2.LoginRecord) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	for n := range all {
		if n < maximum && all[n].CreationTimestamp.After(since) {
			keep = append(keep, all[n])
		} else {
			drop = append(drop, all[n])
		}
	}
	return keep, drop
}

func (r *records) lastLogin(ctx context.Context, name string, latestFirst []iamv1alpha2.LoginRecord) error {
	n := slices.IndexFunc(latestFirst, func(record iamv1alpha2.LoginRecord) bool { return record.Spec.Success })
	if n < 0 {
		return nil
	}
	at := latestFirst[n].CreationTimestamp
	user := &iamv1alpha2.User{}
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, user); err != nil {
		return client.IgnoreNotFound(err)
	}
	if user.Status.LastLoginTime != nil && !user.Status.LastLoginTime.Before(&at) {
		return nil
	}
	updated := user.DeepCopy()
	updated.Status.LastLoginTime = new(metav1.NewTime(at.Time))
	return r.client.Update(ctx, updated)
}

// groups adopts the members of new groups, finishes the deletion of groups, and lets memberships go that
// KubeSphere held.
type groups struct {
	client client.Client
	groups *iam.Groups
}

func (g *groups) setup(run ctrl.Manager) error {
	return completeFair(ctrl.NewControllerManagedBy(run).Named("groups").For(&iamv1alpha2.Group{}), g, g.workspace, sharedBudget)
}

// workspace returns the workspace of a group, "" for groups of the platform and those that
// do not exist any more.
func (g *groups) workspace(ctx context.Context, request reconcile.Request) string {
	group := &iamv1alpha2.Group{}
	if err := g.client.Get(ctx, request.NamespacedName, group); err != nil {
		return ""
	}
	return group.Labels[iamv1alpha2.LabelWorkspace]
}

// Reconcile implements reconcile.Reconciler.
func (g *groups) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	group := &iamv1alpha2.Group{}
	if err := g.client.Get(ctx, request.NamespacedName, group); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if group.DeletionTimestamp != nil {
		return reconcile.Result{}, g.groups.Finish(ctx, group.DeepCopy())
	}
	return reconcile.Result{}, g.groups.Adopt(ctx, group.DeepCopy())
}
