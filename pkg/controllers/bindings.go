package controllers

import (
	"context"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// administrators takes away what earlier versions gave: they made administrators of the
// platform administrators of Kubernetes, each by a binding, which those lose who are
// administrators no more. Now a group stands for them.
type administrators struct {
	client client.Client
}

// clusterAdmin is the role of Kubernetes, and what the names of the bindings
// to it end in.
const clusterAdmin = "cluster-admin"

func (a *administrators) setup(run ctrl.Manager) error {
	return completeFair(ctrl.NewControllerManagedBy(run).Named("administrators").
		Watches(&iamv1alpha2.GlobalRoleBinding{}, enqueue(boundUsers)).
		Watches(&rbacv1.ClusterRoleBinding{}, enqueue(func(object client.Object) []string {
			if user := object.GetLabels()[iamv1alpha2.LabelUserReference]; object.GetName() == user+"-"+clusterAdmin {
				return []string{user}
			}
			return nil
		})), a, byName, keyBudget)
}

// Reconcile implements reconcile.Reconciler. The request names a user.
func (a *administrators) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	bindings := &iamv1alpha2.GlobalRoleBindingList{}
	if err := a.client.List(ctx, bindings, client.MatchingFields{byUser: request.Name}); err != nil {
		return reconcile.Result{}, err
	}
	wanted := slices.ContainsFunc(bindings.Items, func(b iamv1alpha2.GlobalRoleBinding) bool {
		return b.RoleRef.Kind == "GlobalRole" && b.RoleRef.Name == iamv1alpha2.GlobalRolePlatformAdmin && b.DeletionTimestamp == nil
	})
	if wanted {
		return reconcile.Result{}, nil
	}
	found := &rbacv1.ClusterRoleBinding{}
	if err := a.client.Get(ctx, client.ObjectKey{Name: request.Name + "-" + clusterAdmin}, found); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if found.Labels[labelAdministrator] != "" && found.RoleRef.Name == clusterAdmin && onlyUser(found.Subjects, request.Name) {
		return again(iam.Revoke(ctx, a.client, found))
	}
	return reconcile.Result{}, nil
}

// labelAdministrator marks these bindings: others of the same name were given to a member of the cluster, and are not taken away.
const labelAdministrator = iamv1alpha2.LabelGlobalRoleReference

// onlyUser reports whether a binding is for one user and nothing else, as this
// server makes them: a label alone does not make a binding this server's.
func onlyUser(subjects []rbacv1.Subject, name string) bool {
	return len(subjects) == 1 && subjects[0].Kind == rbacv1.UserKind && subjects[0].Name == name
}

// leftovers deletes bindings this server made for users who do not exist:
// their creation was interrupted after the binding, which comes first.
type leftovers struct {
	client client.Client
	live   client.Client
	now    func() time.Time
}

// interrupted is how old a binding without a user is when nobody can be
// creating the user any more.
const interrupted = time.Minute

func (l *leftovers) setup(run ctrl.Manager) error {
	return completeFair(ctrl.NewControllerManagedBy(run).Named("leftovers").
		Watches(&iamv1alpha2.GlobalRoleBinding{}, enqueue(func(object client.Object) []string {
			if object.GetLabels()[reserved.LabelManagedBy] != reserved.ManagedByServer || object.GetLabels()[iamv1alpha2.LabelUserReference] == "" {
				return nil
			}
			return []string{object.GetName()}
		})), l, byName, keyBudget)
}

// Reconcile implements reconcile.Reconciler. The request names a binding.
func (l *leftovers) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	binding := &iamv1alpha2.GlobalRoleBinding{}
	if err := l.client.Get(ctx, request.NamespacedName, binding); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	user := binding.Labels[iamv1alpha2.LabelUserReference]
	if user == "" || strings.Contains(user, "/") || !onlyUser(binding.Subjects, user) {
		return reconcile.Result{}, nil
	}
	if err := l.client.Get(ctx, client.ObjectKey{Name: user}, &iamv1alpha2.User{}); !apierrors.IsNotFound(err) {
		return reconcile.Result{}, err
	}
	if age := l.now().Sub(binding.CreationTimestamp.Time); age < interrupted {
		return reconcile.Result{RequeueAfter: interrupted - age}, nil
	}
	// The cache may not know yet of a user who was just created.
	if err := l.live.Get(ctx, client.ObjectKey{Name: user}, &iamv1alpha2.User{}); !apierrors.IsNotFound(err) {
		return reconcile.Result{}, err
	}
	return again(iam.Revoke(ctx, l.live, binding))
}
