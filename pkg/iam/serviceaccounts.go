package iam

import (
	"context"
	"errors"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
)

// BoundServiceAccounts are the bindings outside of a namespace that name its service
// accounts, whether the namespace exists or not.
type BoundServiceAccounts struct {
	// Namespace is the namespace of the service accounts.
	Namespace string
	// Wide are those on the platform, in the cluster and in namespaces of no workspace
	// or of the platform's. Local are those in workspaces and their projects.
	Wide, Local []BindingReference
}

// BindingReference names a binding.
type BindingReference struct{ Resource, Namespace, Name string }

// String is RESOURCE NAME or RESOURCE NAMESPACE/NAME.
func (r BindingReference) String() string {
	if r.Namespace != "" {
		return r.Resource + " " + r.Namespace + "/" + r.Name
	}
	return r.Resource + " " + r.Name
}

// Err returns a *BoundError with the bindings; nil without any.
func (b *BoundServiceAccounts) Err() error {
	bindings := slices.Concat(b.Wide, b.Local)
	if len(bindings) == 0 {
		return nil
	}
	bound := &BoundError{Kind: "Namespace", Name: b.Namespace}
	for _, one := range bindings {
		bound.Bindings = append(bound.Bindings, one.String())
	}
	return bound
}

// BoundServiceAccounts returns the bindings outside of a namespace that name its service
// accounts.
func (r *Rights) BoundServiceAccounts(namespace string) *BoundServiceAccounts {
	bound := &BoundServiceAccounts{Namespace: namespace}
	named := func(resource string, bindings Objects[Binding], workspaceOf func(*Binding) string) {
		for _, one := range bindings.Items {
			if one.Namespace == namespace || !slices.ContainsFunc(one.Subjects, serviceAccountOf(namespace)) {
				continue // those within go with the namespace
			}
			reference := BindingReference{resource, one.Namespace, one.Name}
			if workspace := workspaceOf(one); workspace != "" && workspace != tenantv1alpha2.SystemWorkspace {
				bound.Local = append(bound.Local, reference)
			} else {
				bound.Wide = append(bound.Wide, reference)
			}
		}
	}
	none := func(*Binding) string { return "" }
	named("globalrolebindings", r.GlobalRoleBindings, none)
	named("clusterrolebindings", r.ClusterRoleBindings, none)
	named(resourceWorkspaceRoleBindings, r.WorkspaceRoleBindings, func(one *Binding) string { return one.Workspace })
	named("rolebindings", r.RoleBindings, func(one *Binding) string { return r.workspaceOf(one.Namespace) })
	return bound
}

const resourceWorkspaceRoleBindings = "workspacerolebindings"

// workspaceOf returns the workspace of a namespace, "" for none.
func (r *Rights) workspaceOf(namespace string) string {
	n, found := slices.BinarySearchFunc(r.Namespaces.Items, namespace, func(one *Namespace, name string) int { return strings.Compare(one.Name, name) })
	if !found {
		return ""
	}
	return r.Namespaces.Items[n].Workspace
}

// serviceAccountOf reports whether a subject is a service account of a namespace, by its
// kind or by its user name, or the group of all of them.
func serviceAccountOf(namespace string) func(rbacv1.Subject) bool {
	group, prefix := serviceaccount.MakeNamespaceGroupName(namespace), serviceaccount.MakeUsername(namespace, "")
	return func(subject rbacv1.Subject) bool {
		switch subject.Kind {
		case rbacv1.ServiceAccountKind:
			return subject.Namespace == namespace
		case rbacv1.GroupKind:
			return subject.Name == group
		case rbacv1.UserKind:
			return strings.HasPrefix(subject.Name, prefix)
		}
		return false
	}
}

// RemoveServiceAccounts takes the service accounts of a namespace out of the bindings in
// workspaces and their projects.
func (b *Bindings) RemoveServiceAccounts(ctx context.Context, bound *BoundServiceAccounts) error {
	var problems []error
	for _, one := range bound.Local {
		meta := metav1.ObjectMeta{Namespace: one.Namespace, Name: one.Name}
		var object client.Object = &rbacv1.RoleBinding{ObjectMeta: meta}
		if one.Resource == resourceWorkspaceRoleBindings {
			object = &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta}
		}
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			problems = append(problems, client.IgnoreNotFound(err))
			continue
		}
		matches := serviceAccountOf(bound.Namespace)
		if present := bindingOf(object); slices.ContainsFunc(*present.subjects, matches) {
			problems = append(problems, b.drop(ctx, present, matches))
		}
	}
	return errors.Join(problems...)
}
