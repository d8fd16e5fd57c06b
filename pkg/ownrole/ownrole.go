package ownrole

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// Name is that of the role and its binding, and of the service account.
const Name = reserved.ManagedByServer

// Ensure makes sure that the service account of this server has exactly some rules in a
// namespace. Objects of the name that are not this server's are left as they are.
func Ensure(ctx context.Context, c client.Client, namespace string, rules []rbacv1.PolicyRule) error {
	ctx = kube.AsServer(ctx)
	metadata := metav1.ObjectMeta{Namespace: namespace, Name: Name, Labels: map[string]string{reserved.LabelManagedBy: reserved.ManagedByServer}}
	role := &rbacv1.Role{}
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: Name}, role)
	switch {
	case apierrors.IsNotFound(err):
		err = c.Create(ctx, &rbacv1.Role{ObjectMeta: metadata, Rules: rules})
	case err == nil && role.Labels[reserved.LabelManagedBy] == reserved.ManagedByServer && !equality.Semantic.DeepEqual(role.Rules, rules):
		role = role.DeepCopy()
		role.Rules = rules
		err = c.Update(ctx, role)
	}
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) { // another replica writes the same
		return err
	}
	err = c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: Name}, &rbacv1.RoleBinding{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	err = c.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metadata, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: kube.Namespace, Name: Name}},
	})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
