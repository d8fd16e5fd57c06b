package tenant

import (
	"context"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// ProjectRolesPerWorkspace bounds the roles of a workspace that somebody has, times its
// projects: Kubernetes keeps a binding for each of them in each project.
var ProjectRolesPerWorkspace = &Limit{
	key: "limits.projectRolesPerWorkspace", owner: "workspace", resource: iamv1alpha2.Resource("workspacerolebindings"), what: "roles in all projects together",
	value: func(l *config.Limits) int { return l.ProjectRolesPerWorkspace }, count: countProjectRoles,
}

func countProjectRoles(ctx context.Context, l *Limits, workspace string) (int, error) {
	given, err := l.givenRoles(ctx, workspace)
	if err != nil {
		return 0, err
	}
	projects, err := NamespacesPerWorkspace.count(ctx, l, workspace)
	return given.Len() * projects, err
}

// givenRoles returns the names of the roles of a workspace that a binding gives.
func (l *Limits) givenRoles(ctx context.Context, workspace string) (sets.Set[string], error) {
	view, err := l.Cache.View(ctx, l.Catalog.Type("workspacerolebindings"))
	if err != nil {
		return nil, err
	}
	given := sets.New[string]()
	view.All(func(item *objects.Item) bool {
		if item.Labels().Get(iamv1alpha2.LabelWorkspace) == workspace {
			given.Insert(item.Field("roleRef.name").String())
		}
		return true
	})
	return given, nil
}

// ReserveRoles is Reserve for roles of a workspace that are given to somebody, of which
// those count that nobody has yet.
func (l *Limits) ReserveRoles(ctx context.Context, who user.Info, workspace string, roles ...string) (release func(), err error) {
	none := func() {}
	if l == nil || workspace == "" || len(roles) == 0 {
		return none, nil
	}
	given, err := l.givenRoles(ctx, workspace)
	if err != nil {
		return none, err
	}
	projects, err := NamespacesPerWorkspace.count(ctx, l, workspace)
	if err != nil {
		return none, err
	}
	return l.Reserve(ctx, who, ProjectRolesPerWorkspace, workspace, sets.New(roles...).Difference(given).Len()*projects)
}

// ReserveProject is Reserve for a further project of a workspace.
func (l *Limits) ReserveProject(ctx context.Context, who user.Info, workspace string) (release func(), err error) {
	none := func() {}
	if l == nil {
		return none, nil
	}
	releaseProject, err := l.Reserve(ctx, who, NamespacesPerWorkspace, workspace, 1)
	if err != nil {
		return none, err
	}
	given, err := l.givenRoles(ctx, workspace)
	if err != nil {
		releaseProject()
		return none, err
	}
	releaseRoles, err := l.Reserve(ctx, who, ProjectRolesPerWorkspace, workspace, given.Len())
	if err != nil {
		releaseProject()
		return none, err
	}
	return func() { releaseProject(); releaseRoles() }, nil
}
