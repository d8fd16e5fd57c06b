package iam

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// WorkspaceGroupPrefix begins the names by which applications know groups of workspaces:
// workspace:WORKSPACE:GROUP. Whoever may create a workspace chooses names of groups there, so
// that a name alone would say nothing about whose group it is. Groups of identity providers
// and of no workspace cannot have such a name, also where it has a colon.
const WorkspaceGroupPrefix = "workspace:"

// maxGroupReads is how many groups are read one by one; more are listed.
const maxGroupReads = 10

// ClaimedGroups returns the groups of a user by the names that applications know them by:
// those an identity provider put the user into, those the user had before they were groups
// of a workspace and those of no workspace as they are called, and those of workspaces with WorkspaceGroupPrefix. Those that matter most are first, see
// orderGroups. names are the groups in the spec of the user that count.
func (d *Directory) ClaimedGroups(ctx context.Context, user string, names []string) ([]string, error) {
	if len(names) == 0 {
		return names, nil
	}
	names, err := d.orderGroups(ctx, user, names)
	if err != nil {
		return nil, err
	}
	bound := &iamv1alpha2.GroupBindingList{}
	if err := d.Client.List(ctx, bound, client.MatchingLabels{iamv1alpha2.LabelUserReference: user}); err != nil {
		return nil, err
	}
	workspaces, provided := make(map[string]string), make(map[string]bool)
	for n := range bound.Items {
		if one := &bound.Items[n]; slices.Contains(one.Users, user) {
			workspaces[one.GroupRef.Name] = one.Labels[iamv1alpha2.LabelWorkspace]
			if one.Labels[iamv1alpha2.LabelIdentityProvider] != "" || isExternal(one) {
				provided[one.GroupRef.Name] = true
			}
		}
	}
	// A membership that is being removed may have no binding any more.
	if err := d.readGroupWorkspaces(ctx, names, workspaces); err != nil {
		return nil, err
	}
	claimed := make([]string, 0, len(names))
	for _, name := range names {
		switch {
		case provided[name] || workspaces[name] == "":
			if !hasWorkspaceGroupPrefix(name) {
				claimed = append(claimed, name)
			}
		default:
			claimed = append(claimed, WorkspaceGroupPrefix+workspaces[name]+":"+name)
		}
	}
	return claimed, nil
}

func hasWorkspaceGroupPrefix(name string) bool {
	return len(name) >= len(WorkspaceGroupPrefix) && name[:len(WorkspaceGroupPrefix)] == WorkspaceGroupPrefix
}

// readGroupWorkspaces adds the workspaces of groups that are not known yet, as they are
// stored.
func (d *Directory) readGroupWorkspaces(ctx context.Context, names []string, workspaces map[string]string) error {
	unknown := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return workspaces[name] != "" })
	if len(unknown) <= maxGroupReads {
		for _, name := range unknown {
			workspace, err := GroupWorkspace(ctx, d.Client, name)
			if err != nil {
				return err
			}
			workspaces[name] = workspace
		}
		return nil
	}
	groups := &metav1.PartialObjectMetadataList{}
	groups.SetGroupVersionKind(iamv1alpha2.SchemeGroupVersion.WithKind("GroupList"))
	if err := d.Client.List(ctx, groups); err != nil {
		return err
	}
	for n := range groups.Items {
		if group := &groups.Items[n]; workspaces[group.Name] == "" {
			workspaces[group.Name] = group.Labels[iamv1alpha2.LabelWorkspace]
		}
	}
	return nil
}
