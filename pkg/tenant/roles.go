package tenant

import (
	"context"
	"fmt"
	"maps"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// base is a role that is copied into every workspace or project.
type base struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta   `json:"metadata"`
	Rules           []rbacv1.PolicyRule `json:"rules"`
}

// bases returns the roles of a kind to copy: WorkspaceRole or Role. Templates,
// of which roles are made, are not copied, nor are roles of DevOps projects.
func bases(ctx context.Context, reader client.Reader, kind string) ([]base, error) {
	all := &iamv1alpha2.RoleBaseList{}
	if err := reader.List(ctx, all); err != nil {
		return nil, fmt.Errorf("reading the roles to copy: %w", err)
	}
	var found []base
	for n := range all.Items {
		labels := all.Items[n].Labels
		_, devops := labels["scope.kubesphere.io/devops"]
		_, project := labels["scope.kubesphere.io/namespace"]
		one := base{}
		if err := strictjson.Unmarshal(all.Items[n].Role.Raw, &one); err != nil {
			return nil, fmt.Errorf("role base %s: %w", all.Items[n].Name, err)
		}
		_, template := one.Metadata.Labels[iamv1alpha2.LabelRoleTemplate] // "false" marks one that is not shown
		if one.Kind == kind && !template && (!devops || project) {
			found = append(found, one)
		}
	}
	return found, nil
}

// workspaceRole is the copy of a base in a workspace: workspace-admin becomes
// NAME-admin.
func workspaceRole(from *base, owner metav1.OwnerReference) *iamv1alpha2.WorkspaceRole {
	labels := map[string]string{}
	maps.Copy(labels, from.Metadata.Labels)
	labels[iamv1alpha2.LabelWorkspace] = owner.Name
	return &iamv1alpha2.WorkspaceRole{
		ObjectMeta: metav1.ObjectMeta{
			Name:   owner.Name + "-" + strings.TrimPrefix(from.Metadata.Name, "workspace-"),
			Labels: labels, Annotations: from.Metadata.Annotations, OwnerReferences: []metav1.OwnerReference{owner},
		},
		Rules: from.Rules,
	}
}

// projectRole is the copy of a base in a project: project-admin becomes admin.
// Its verbs are listed, also where the base, one of KubeSphere 3.x, says "*".
func projectRole(from *base, namespace string) *rbacv1.Role {
	return &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: strings.TrimPrefix(from.Metadata.Name, "project-"), Labels: from.Metadata.Labels, Annotations: from.Metadata.Annotations},
		Rules:      iam.ExplicitVerbs(from.Rules),
	}
}

// keepWorkspaceRole creates a role, or makes the one there is equal: built-in
// roles follow what they are copied from. A role of its name that belongs to
// another workspace is a conflict.
func keepWorkspaceRole(ctx context.Context, c client.Client, wanted *iamv1alpha2.WorkspaceRole) error {
	found := &iamv1alpha2.WorkspaceRole{}
	err := c.Get(ctx, client.ObjectKeyFromObject(wanted), found)
	if apierrors.IsNotFound(err) {
		return ignoreExists(c.Create(ctx, wanted))
	}
	if err != nil {
		return err
	}
	if workspace := wanted.Labels[iamv1alpha2.LabelWorkspace]; !ownedByWorkspace(found, workspace) {
		return notOwned(workspaceRoles, found, "workspace "+workspace)
	}
	updated := found.DeepCopy()
	merge(updated, wanted)
	updated.Rules = wanted.Rules
	updated.OwnerReferences = owned(updated.OwnerReferences, wanted.OwnerReferences[0])
	if equality.Semantic.DeepEqual(found, updated) {
		return nil
	}
	return c.Update(ctx, updated)
}

// keepProjectRole is keepWorkspaceRole for the roles of a project.
func keepProjectRole(ctx context.Context, c client.Client, wanted *rbacv1.Role) error {
	found := &rbacv1.Role{}
	err := c.Get(ctx, client.ObjectKeyFromObject(wanted), found)
	if apierrors.IsNotFound(err) {
		return ignoreExists(c.Create(ctx, wanted))
	}
	if err != nil {
		return err
	}
	if !builtInProjectRole(found) {
		return notOwned(projectRoles, found, "the project")
	}
	updated := found.DeepCopy()
	merge(updated, wanted)
	updated.Rules = wanted.Rules
	if equality.Semantic.DeepEqual(found, updated) {
		return nil
	}
	return c.Update(ctx, updated)
}

// merge adds the labels and annotations of one object to another.
func merge(into, from client.Object) {
	into.SetLabels(merged(into.GetLabels(), from.GetLabels()))
	into.SetAnnotations(merged(into.GetAnnotations(), from.GetAnnotations()))
}

func merged(into, from map[string]string) map[string]string {
	if len(from) == 0 {
		return into
	}
	result := make(map[string]string, len(into)+len(from))
	maps.Copy(result, into)
	maps.Copy(result, from)
	return result
}

// owned adds an owner, instead of an older one of the same kind and name.
func owned(owners []metav1.OwnerReference, owner metav1.OwnerReference) []metav1.OwnerReference {
	var result []metav1.OwnerReference
	for _, other := range owners {
		if other.Kind == owner.Kind && other.Name == owner.Name {
			if other.UID == owner.UID {
				return owners
			}
			continue
		}
		if other.Controller != nil && *other.Controller {
			owner.Controller, owner.BlockOwnerDeletion = nil, nil // there is at most one
		}
		result = append(result, other)
	}
	return append(result, owner)
}

func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
