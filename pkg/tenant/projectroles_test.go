package tenant

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
)

// TestProjectRoles: who gives many roles of a workspace with many projects made one
// binding at Kubernetes for each of both. A role given once more costs nothing.
func TestProjectRoles(t *testing.T) {
	labelled := func(workspace, name, more string) string {
		return `{"metadata":{"name":"` + name + `","uid":"` + name + `","resourceVersion":"1","labels":{"kubesphere.io/workspace":"` + workspace + `"}}` + more + `}`
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{
		"namespaces":            {labelled("w", "p", ""), labelled("w", "q", ""), labelled("v", "r", "")},
		"workspacerolebindings": {labelled("w", "a", `,"roleRef":{"name":"w-admin"}`), labelled("w", "b", `,"roleRef":{"name":"w-admin"}`), labelled("w", "c", `,"roleRef":{"name":"w-viewer"}`)},
	})
	l := &Limits{Cache: cache, Catalog: objects.NewCatalog(), Rights: administrators{}, Values: config.Limits{NamespacesPerWorkspace: 10, ProjectRolesPerWorkspace: 6}}
	binding := func(workspace, role string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"kind": "WorkspaceRoleBinding", "metadata": map[string]any{"labels": map[string]any{"kubesphere.io/workspace": workspace}}, "roleRef": map[string]any{"name": role},
		}}
	}
	give := func(workspace string, roles ...string) func(context.Context, user.Info) (func(), error) {
		return func(ctx context.Context, who user.Info) (func(), error) {
			return l.ReserveRoles(ctx, who, workspace, roles...)
		}
	}
	write := func(before, after *unstructured.Unstructured) func(context.Context, user.Info) (func(), error) {
		return func(ctx context.Context, who user.Info) (func(), error) {
			return func() {}, l.CheckRights(ctx, who, before, after)
		}
	}
	project := func(workspace string) func(context.Context, user.Info) (func(), error) {
		return func(ctx context.Context, who user.Info) (func(), error) { return l.ReserveProject(ctx, who, workspace) }
	}
	for _, test := range []struct {
		name    string
		do      func(context.Context, user.Info) (func(), error)
		refused bool
	}{
		{"a third role", give("w", "w-a"), false},
		{"the same role twice", give("w", "w-a", "w-a", "w-admin"), false},
		{"a fourth one", give("w", "w-a", "w-b"), true},
		{"roles that are given", give("w", "w-admin", "w-viewer"), false},
		{"in a workspace of one project", give("v", "v-a", "v-b", "v-c", "v-d", "v-e", "v-f"), false},
		{"and one more", give("v", "v-a", "v-b", "v-c", "v-d", "v-e", "v-f", "v-g"), true},
		{"a binding of a third role", write(nil, binding("w", "w-a")), false},
		{"a binding that is changed to it", write(binding("w", "w-admin"), binding("w", "w-a")), false},
		{"a third project", project("w"), false},
	} {
		for _, who := range []string{"jane", "admin"} {
			release, err := test.do(t.Context(), &user.DefaultInfo{Name: who})
			release()
			if refused := test.refused && who != "admin"; refused != apierrors.IsForbidden(err) || !refused && err != nil || refused && !strings.Contains(err.Error(), "limits.projectRolesPerWorkspace") {
				t.Errorf("%s, by %s: %v", test.name, who, err)
			}
		}
	}
	release, err := l.ReserveRoles(t.Context(), &user.DefaultInfo{Name: "jane"}, "w", "w-a")
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(context.Context, user.Info) (func(), error){
		"a further project": project("w"), "a further binding": write(nil, binding("w", "w-b")), "a changed binding": write(binding("w", "w-admin"), binding("w", "w-b")),
	} {
		if _, err := do(t.Context(), &user.DefaultInfo{Name: "jane"}); !apierrors.IsForbidden(err) {
			t.Errorf("%s while a role is being given: %v", name, err)
		}
	}
	release()
	if _, err := project("w")(t.Context(), &user.DefaultInfo{Name: "jane", Extra: map[string][]string{authz.ExtraScopes: {"all"}}}); err != nil {
		t.Errorf("the room is not given back: %v", err)
	}
}
