//go:build e2e

package e2e

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestRemovalOfMembers: the removal of a member of a workspace takes the rights
// of the roles the member has in its projects, too.
func TestRemovalOfMembers(t *testing.T) {
	t.Parallel()
	workspace(t, "rm-space")
	c, every := kubernetes(t, ""), []string{"*"}
	manager, boss := user(t, "rm-manager"), user(t, "rm-boss")
	user(t, "rm-guest")
	create(t, c, &iamv1alpha2.WorkspaceRole{
		ObjectMeta: metav1.ObjectMeta{Name: "rm-space-manager", Labels: map[string]string{"kubesphere.io/workspace": "rm-space"}},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: every, Resources: []string{"workspacemembers", "workspaceroles", "workspacerolebindings"}, Verbs: every},
			{APIGroups: every, Resources: []string{"workspaces", "workspacetemplates"}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{"monitoring.kubesphere.io", "metering.kubesphere.io", "monitoring.coreos.com"}, Resources: []string{"namespaces"}, Verbs: []string{"list"}},
		},
	})
	inWorkspace(t, "rm-manager", "rm-space", "manager")
	inWorkspace(t, "rm-boss", "rm-space", "regular")
	inWorkspace(t, "rm-guest", "rm-space", "regular")
	inNamespace(t, "rm-boss", "rm-space-project", "admin")
	const space, project = iamAPI + "/workspaces/rm-space", iamAPI + "/namespaces/rm-space-project"
	answers(t, "GET", space+"/workspacemembers", manager, 200)
	answers(t, "GET", project+"/members", boss, 200)
	const marked = `[{"metadata":{"name":"rm-marked","labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}},"roleRef":{"kind":"WorkspaceRole","name":"rm-space-regular"},"subjects":[{"kind":"User","name":"rm-guest"}]}]`
	const plain = `{"metadata":{"name":"rm-plain","annotations":{"kubesphere.io/creator":"rm-manager"},"labels":{"kubesphere.io/workspace":"rm-space"}},"roleRef":{"kind":"WorkspaceRole","name":"rm-space-regular"},"subjects":[{"kind":"User","name":"rm-guest"}]}`
	attempts(t, []attempt{
		{"removes the administrator of a project", manager, "DELETE", space + "/workspacemembers/rm-boss", "", nil, 403},
		{"who still is one", boss, "GET", project + "/members", "", nil, 200},
		{"makes a binding of the server", manager, "POST", space + "/workspacerolebindings", marked, nil, 403},
		{"makes an own one", manager, "POST", space + "/workspacerolebindings", plain, nil, 200},
		{"makes a role of the server", manager, "POST", space + "/workspaceroles", `{"metadata":{"name":"rm-space-marked","labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}},"rules":[]}`, nil, 403},
		{"removes a guest", manager, "DELETE", space + "/workspacemembers/rm-guest", "", nil, 200},
		{"the platform's removes the administrator", shared.login(t).AccessToken, "DELETE", space + "/workspacemembers/rm-boss", "", nil, 200},
	})
}
