package iam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// BoundError says that a name has bindings before there is a user or group of
// that name, who would have their roles at once. Its status is a conflict with
// their number; WithNames adds their names for callers who may see them.
type BoundError struct {
	// Kind is User or Group.
	Kind, Name string
	// Bindings are RESOURCE NAME, or RESOURCE NAMESPACE/NAME.
	Bindings []string
	// Members are the users and memberships of a group, as RESOURCE NAME. Their names are
	// for callers who may read users.
	Members []string
}

// Error implements error.
func (e *BoundError) Error() string {
	counts := make(map[string]int)
	for _, binding := range slices.Concat(e.Bindings, e.Members) {
		resource, _, _ := strings.Cut(binding, " ")
		counts[resource]++
	}
	var kinds []string
	for _, resource := range slices.Sorted(maps.Keys(counts)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", counts[resource], resource))
	}
	return fmt.Sprintf("the name %q is in use before there is a %s of that name, by %s", e.Name, strings.ToLower(e.Kind), strings.Join(kinds, ", "))
}

// Status implements apierrors.APIStatus.
func (e *BoundError) Status() metav1.Status {
	return status.New(http.StatusConflict, metav1.StatusReasonConflict, "%s", e.Error()).Status()
}

// maxShown bounds how many bindings are named.
const maxShown = 20

// WithNames is the conflict with the names of the bindings, for users who may
// confirm them with the query parameter.
func (e *BoundError) WithNames(parameter string) error {
	shown := slices.Concat(e.Bindings, e.Members)
	shown = shown[:min(len(shown), maxShown)]
	err := status.New(http.StatusConflict, metav1.StatusReasonConflict, "%s: %s; delete them, or confirm them with %s=true", e.Error(), strings.Join(shown, ", "), parameter)
	err.ErrStatus.Details = &metav1.StatusDetails{Name: e.Name, Kind: e.Kind}
	for _, binding := range shown {
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: "BindingExists", Message: binding})
	}
	return err
}

// references name bindings in errors.
func references(bound []binding) []string {
	var all []string
	for _, one := range bound {
		name := one.object.GetName()
		if namespace := one.object.GetNamespace(); namespace != "" {
			name = namespace + "/" + name
		}
		all = append(all, one.resource()+" "+name)
	}
	return all
}

func (b binding) resource() string {
	switch b.object.(type) {
	case *iamv1alpha2.GlobalRoleBinding:
		return "globalrolebindings"
	case *iamv1alpha2.WorkspaceRoleBinding:
		return "workspacerolebindings"
	case *rbacv1.ClusterRoleBinding:
		return "clusterrolebindings"
	}
	return "rolebindings"
}

// place is where a binding gives a role.
func (b binding) place() Place {
	switch b.object.(type) {
	case *iamv1alpha2.WorkspaceRoleBinding:
		return Place{Workspace: b.object.GetLabels()[iamv1alpha2.LabelWorkspace]}
	case *rbacv1.ClusterRoleBinding:
		return Place{Cluster: true}
	case *rbacv1.RoleBinding:
		return Place{Namespace: b.object.GetNamespace()}
	}
	return Place{}
}

// ofSubject returns the bindings in all places that name a subject.
func (b *Bindings) ofSubject(ctx context.Context, kind, name string, options ...client.ListOption) ([]binding, error) {
	var bound []binding
	var problems []error
	for _, list := range []client.ObjectList{
		&iamv1alpha2.GlobalRoleBindingList{}, &iamv1alpha2.WorkspaceRoleBindingList{}, &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleBindingList{},
	} {
		named, err := b.list(ctx, list, kind, name, options...)
		problems = append(problems, err)
		bound = append(bound, named...)
	}
	return bound, errors.Join(problems...)
}

// unbound lets no new user have roles that were given to the name before. It returns a
// *BoundError when the name has a role on the platform, in the cluster, in a namespace of
// no workspace or in the workspace of the platform. Roles in other workspaces and their
// projects are taken away: whoever may give roles in a project could otherwise keep any
// name from its user.
func (b *Bindings) unbound(ctx context.Context, user string) error {
	bound, err := b.ofSubject(ctx, rbacv1.UserKind, user)
	if err != nil {
		return err
	}
	wide, local, err := b.byReach(ctx, bound)
	if err != nil {
		return err
	}
	if len(wide) > 0 {
		return &BoundError{Kind: rbacv1.UserKind, Name: user, Bindings: references(wide)}
	}
	return b.takeAway(ctx, rbacv1.UserKind, user, local)
}

// byReach returns the bindings on the platform, in the cluster, in namespaces of no
// workspace and in the workspace of the platform, and those in other workspaces and their
// projects. The subjects of a namespace of no workspace may be users and groups of
// kube-apiserver itself: who creates one of the name here has no say in theirs.
func (b *Bindings) byReach(ctx context.Context, bound []binding) (wide, local []binding, err error) {
	workspaces := make(map[string]string) // by namespace
	for _, one := range bound {
		place := one.place()
		workspace := place.Workspace
		if place.Namespace != "" {
			known := false
			if workspace, known = workspaces[place.Namespace]; !known {
				if workspace, err = b.workspaceOf(ctx, place.Namespace); err != nil {
					return nil, nil, err
				}
				workspaces[place.Namespace] = workspace
			}
		}
		if workspace == "" || workspace == tenantv1alpha2.SystemWorkspace || reserved.Default().IsPlatformNamespace(place.Namespace) {
			wide = append(wide, one)
		} else {
			local = append(local, one)
		}
	}
	return wide, local, nil
}

// workspaceOf returns the workspace of a namespace, "" for none.
func (b *Bindings) workspaceOf(ctx context.Context, namespace string) (string, error) {
	found := &corev1.Namespace{}
	err := b.Client.Get(ctx, client.ObjectKey{Name: namespace}, found)
	return found.Labels[iamv1alpha2.LabelWorkspace], client.IgnoreNotFound(err)
}

// ofGroup returns the bindings of a group in the places that pass.
func (b *Bindings) ofGroup(ctx context.Context, group string, pass func(Place) (bool, error)) ([]binding, error) {
	all, err := b.ofSubject(ctx, rbacv1.GroupKind, group)
	if err != nil {
		return nil, err
	}
	var passed []binding
	for _, one := range all {
		found, err := pass(one.place())
		if err != nil {
			return nil, err
		}
		if found {
			passed = append(passed, one)
		}
	}
	return passed, nil
}

// within reports whether a place is a workspace or one of its namespaces.
func (b *Bindings) within(ctx context.Context, workspace string, place Place) (bool, error) {
	switch {
	case workspace == "" || place.Cluster:
		return false, nil
	case place.Namespace == "":
		return place.Workspace == workspace, nil
	}
	found, err := b.workspaceOf(ctx, place.Namespace)
	return found == workspace, err
}

// RemoveGroup takes the roles of a group of a workspace away, there and in its
// namespaces; those of a group of no workspace everywhere.
func (b *Bindings) RemoveGroup(ctx context.Context, workspace, group string) error {
	bound, err := b.ofGroup(ctx, group, func(place Place) (bool, error) {
		if workspace == "" {
			return true, nil
		}
		return b.within(ctx, workspace, place)
	})
	if err != nil {
		return err
	}
	return b.takeAway(ctx, rbacv1.GroupKind, group, bound)
}
