package kubeproxy

import (
	"context"
	"net/http"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestOrphanedProjects: a manager of workspaces deleted a workspace with a protected quota
// without its projects, which went on without the quota.
func TestOrphanedProjects(t *testing.T) {
	const (
		template  = "/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates/bounds"
		workspace = "/apis/tenant.kubesphere.io/v1alpha1/workspaces/bounds"
	)
	for _, test := range []struct {
		name, target, contentType, body string
		code                            int
	}{
		{"no options", template, "", "", 200},
		{"in the background", template + "?propagationPolicy=Background", "application/json", `{"propagationPolicy":"Foreground"}`, 200},
		{"the query", template + "?propagationPolicy=Orphan", "", "", 403},
		{"the query in its former form", template + "?orphanDependents=true", "", "", 403},
		{"the query with other options in the body", template + "?propagationPolicy=Orphan", "application/json", `{"gracePeriodSeconds":0}`, 403},
		{"the body", template, "application/json", `{"propagationPolicy":"Orphan"}`, 403},
		{"the body in its former form", template, "application/json", `{"orphanDependents":true}`, 403},
		{"the body in YAML", template, "application/yaml", "propagationPolicy: Orphan", 403},
		{"the workspace itself", workspace, "application/json", `{"propagationPolicy":"Orphan"}`, 403},
	} {
		kubernetes := &collection{kind: "WorkspaceTemplate"}
		f := newFront(t, kubernetes.serve)
		f.proxy.options.Authorizer = &authz.RBAC{All: true}
		f.proxy.options.CheckOrphans = func(_ context.Context, who user.Info, workspace string) error {
			return status.Forbidden(workspaceTemplates, workspace, "%s may not", who.GetName())
		}
		code, text := f.send(t, http.MethodDelete, test.target, test.contentType, test.body)
		if code != test.code || len(kubernetes.deleted) != code/200%2 {
			t.Errorf("%s: %d %s, deleted %v, want %d", test.name, code, text, kubernetes.deleted, test.code)
		}
		if code == 200 && kubernetes.bodies[0] != test.body {
			t.Errorf("%s: deleted with %q", test.name, kubernetes.bodies[0])
		}
	}
}
