//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// story: somebody is given an account, makes a workspace, invites another, makes
// a project, deploys into it, and is refused everything else. Nothing waits.
func story(t *testing.T, i *instance, password, prefix string) {
	alice, bob, workspace, project := prefix+"alice", prefix+"bob", prefix+"ws", prefix+"project"
	admin := i.as(t, "admin", password)
	admin.must(t, 200, "POST", iamPath+"/users", newUser(alice, "platform-self-provisioner"))
	admin.must(t, 200, "POST", iamPath+"/users", newUser(bob, "platform-regular"))
	a, b := i.as(t, alice, passwordOf(alice)), i.as(t, bob, passwordOf(bob))

	// Who has no role in a workspace sees none, and makes none.
	if r := b.must(t, 200, "GET", "/kapis/tenant.kubesphere.io/v1alpha3/workspacetemplates?limit=10", nil); *decode[list](t, r).TotalItems != 0 {
		t.Errorf("bob sees workspaces: %s", r.body)
	}
	b.must(t, 403, "POST", tenantPath+"/workspaces", newWorkspace(prefix+"bobs", bob))

	a.must(t, 200, "POST", "/kapis/tenant.kubesphere.io/v1alpha3/workspacetemplates", newWorkspace(workspace, alice))
	a.must(t, 409, "POST", "/kapis/tenant.kubesphere.io/v1alpha3/workspacetemplates", newWorkspace(workspace, alice))
	// Everything that belongs to a workspace is there when it is created.
	if r := admin.must(t, 200, "GET", viewer+"/workspaceroles?workspace="+workspace+"&annotation=kubesphere.io/creator", nil); *decode[list](t, r).TotalItems != 4 {
		t.Errorf("roles of the workspace: %s", r.body)
	}
	if r := a.must(t, 200, "GET", tenantPath+"/workspaces", nil); *decode[list](t, r).TotalItems != 1 {
		t.Errorf("workspaces of alice: %s", r.body)
	}
	a.must(t, 200, "GET", "/kapis/tenant.kubesphere.io/v1alpha3/workspacetemplates/"+workspace, nil)

	// Inviting.
	members := iamPath + "/workspaces/" + workspace + "/workspacemembers"
	b.must(t, 403, "POST", members, []fields{{"username": bob, "roleRef": workspace + "-viewer"}})
	a.must(t, 404, "POST", members, []fields{{"username": bob, "roleRef": "nope"}})
	a.must(t, 404, "POST", members, []fields{{"username": "ghost", "roleRef": workspace + "-viewer"}}) // golden 289
	a.must(t, 200, "POST", members, []fields{{"username": bob, "roleRef": workspace + "-viewer"}})
	if r := a.must(t, 200, "GET", members, nil); *decode[list](t, r).TotalItems != 2 || !strings.Contains(string(r.body), `"iam.kubesphere.io/workspacerole":"`+workspace+`-viewer"`) {
		t.Errorf("members: %s", r.body)
	}
	b.must(t, 200, "GET", tenantPath+"/workspaces/"+workspace, nil)
	b.must(t, 403, "POST", tenantPath+"/workspaces/"+workspace+"/namespaces", newNamespace(prefix+"bobs"))
	b.must(t, 403, "PUT", members+"/"+bob, fields{"username": bob, "roleRef": workspace + "-admin"})
	b.must(t, 403, "DELETE", tenantPath+"/workspaces/"+workspace, nil)

	// A project, and something in it.
	created := a.must(t, 200, "POST", tenantPath+"/workspaces/"+workspace+"/namespaces", newNamespace(project))
	for _, label := range []string{`"kubesphere.io/workspace":"` + workspace + `"`, `"kubesphere.io/namespace":"` + project + `"`} {
		if !strings.Contains(string(created.body), label) {
			t.Errorf("the project has no label %s: %s", label, created.body)
		}
	}
	if r := a.must(t, 200, "GET", viewer+"/namespaces/"+project+"/roles?annotation=kubesphere.io/creator", nil); *decode[list](t, r).TotalItems != 3 {
		t.Errorf("roles of the project: %s", r.body)
	}
	a.must(t, 201, "POST", "/apis/apps/v1/namespaces/"+project+"/deployments", newDeployment("web"))
	wait.For(t, "the pod to run", func() error {
		return expectItems(a.call(t, "GET", viewer+"/namespaces/"+project+"/pods?status=Running", nil), 1)
	})
	a.must(t, 200, "GET", "/kapis/resources.kubesphere.io/v1alpha2/namespaces/"+project+"/quotas", nil)
	a.must(t, 200, "GET", "/kapis/resources.kubesphere.io/v1alpha2/namespaces/"+project+"/abnormalworkloads", nil)
	// A viewer of the workspace looks and does not touch.
	b.must(t, 200, "GET", viewer+"/namespaces/"+project+"/pods", nil)
	b.must(t, 403, "POST", "/apis/apps/v1/namespaces/"+project+"/deployments", newDeployment("mine"))
	b.must(t, 403, "DELETE", tenantPath+"/workspaces/"+workspace+"/namespaces/"+project, nil)
	a.must(t, 200, "POST", iamPath+"/namespaces/"+project+"/members", []fields{{"username": bob, "roleRef": "operator"}})
	b.must(t, 201, "POST", "/apis/apps/v1/namespaces/"+project+"/deployments", newDeployment("mine"))
	b.must(t, 403, "POST", iamPath+"/namespaces/"+project+"/members", []fields{{"username": bob, "roleRef": "admin"}})

	// Everything else is refused (CVE-2024-46528): the hole of the empty workspace (golden 303,
	// 304), other users, other projects, the cluster.
	for _, path := range []string{
		"/api/v1/namespaces/kube-system/secrets", "/api/v1/namespaces/default/pods", "/api/v1/secrets", "/apis/iam.kubesphere.io/v1alpha2/users",
		"/apis/iam.kubesphere.io/v1alpha2/users/" + alice, iamPath + "/users/admin", iamPath + "/users/admin/loginrecords", viewer + "/users",
		"/kapis/resources.kubesphere.io/v1alpha2/users/admin/kubeconfig", iamPath + "/clustermembers", tenantPath + "/workspaces/" + prefix + "other/namespaces/kube-system",
	} {
		a.must(t, 403, "GET", path, nil)
	}
	a.must(t, 403, "GET", tenantPath+"/workspaces/"+workspace+"/namespaces/kube-system", nil)
	a.must(t, 403, "PATCH", tenantPath+"/workspaces/"+workspace+"/namespaces/kube-system", fields{"metadata": fields{"labels": fields{"kubesphere.io/workspace": workspace}}})
	a.must(t, 403, "DELETE", tenantPath+"/workspaces/"+workspace+"/namespaces/kube-system", nil)
	admin.must(t, 404, "DELETE", tenantPath+"/workspaces/"+workspace+"/namespaces/kube-system", nil)
	a.must(t, 403, "POST", iamPath+"/users", newUser(prefix+"eve", "platform-admin"))
	a.must(t, 403, "DELETE", iamPath+"/users/"+bob, nil)
	a.must(t, 403, "POST", iamPath+"/clustermembers", []fields{{"username": alice, "roleRef": "cluster-admin"}})

	// Leaving.
	a.must(t, 200, "DELETE", members+"/"+bob, nil)
	b.must(t, 403, "GET", viewer+"/namespaces/"+project+"/pods", nil)
	b.must(t, 403, "GET", tenantPath+"/workspaces/"+workspace, nil)
	a.must(t, 404, "GET", members+"/"+bob, nil)
	a.must(t, 200, "DELETE", tenantPath+"/workspaces/"+workspace, nil)
	if r := admin.must(t, 200, "GET", tenantPath+"/workspaces?name="+workspace, nil); *decode[list](t, r).TotalItems != 0 {
		t.Errorf("the deleted workspace is there: %s", r.body)
	}
}

func TestStory(t *testing.T) { story(t, shared, adminPassword, "story-") }

// TestStoryOnKubeSphere is the same on a cluster that has KubeSphere 3.4.
func TestStoryOnKubeSphere(t *testing.T) {
	t.Parallel()
	k := newCluster(t)
	k.start(t)
	k.installKubeSphere(t)
	server := run(t, func(c *config.Config) { c.Kubernetes.KubeConfig = k.kubeconfig })
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	story(t, server, "P@88w0rd-3.4", "")
}
