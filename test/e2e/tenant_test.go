//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

func TestWorkspaces(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", iamPath+"/users", newUser("wim", "platform-self-provisioner"))
	admin.must(t, 200, "POST", iamPath+"/users", newUser("wally", "platform-regular"))
	wim := shared.as(t, "wim", passwordOf("wim"))
	wim.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace("wide", ""))
	wim.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace("other", "wim"))
	for _, name := range []string{"wide-a", "wide-b"} {
		wim.must(t, 200, "POST", tenantPath+"/workspaces/wide/namespaces", newNamespace(name))
	}
	t.Run("refused", func(t *testing.T) {
		wim.must(t, 404, "POST", tenantPath+"/workspaces", newWorkspace("third", "nobody-at-all"))
		wim.must(t, 422, "POST", tenantPath+"/workspaces", newWorkspace("Third", ""))
		wim.must(t, 422, "POST", tenantPath+"/workspaces/wide/namespaces", newNamespace("Bad_NS"))
		wim.must(t, 409, "POST", tenantPath+"/workspaces/wide/namespaces", newNamespace("wide-a"))
		// A label without a workspace is nobody's to take.
		c := kubernetes(t, "")
		labelled := &corev1.Namespace{}
		labelled.Name, labelled.Labels = "labelled", map[string]string{iamv1alpha2.LabelWorkspace: "nobodys"}
		if err := c.Create(t.Context(), labelled); err != nil {
			t.Fatal(err)
		}
		wim.must(t, 409, "POST", tenantPath+"/workspaces", newWorkspace("nobodys", ""))
	})
	t.Run("what pods may do", func(t *testing.T) { // CVE-2026-41052
		privileged := fields{"pod-security.kubernetes.io/enforce": "privileged"}
		path := tenantPath + "/workspaces/wide/namespaces"
		wim.must(t, 403, "POST", path, fields{"metadata": fields{"name": "wide-c", "labels": privileged}})
		wim.must(t, 403, "PATCH", path+"/wide-a", fields{"metadata": fields{"labels": privileged}})
		wim.must(t, 403, "PUT", path+"/wide-a", fields{"metadata": fields{"name": "wide-a", "labels": privileged}})
		admin.must(t, 200, "PATCH", path+"/wide-a", fields{"metadata": fields{"labels": privileged}})
		wim.must(t, 403, "PUT", path+"/wide-a", fields{"metadata": fields{"name": "wide-a"}})
		wim.must(t, 200, "PATCH", path+"/wide-a", fields{"metadata": fields{"labels": fields{"team": "a"}}})
	})
	t.Run("update", func(t *testing.T) {
		path := "/kapis/tenant.kubesphere.io/v1alpha3/workspacetemplates/wide"
		wim.must(t, 200, "PATCH", path, fields{"metadata": fields{"annotations": fields{"kubesphere.io/alias-name": "Wide"}}})
		wim.must(t, 409, "PUT", path, fields{"metadata": fields{"name": "wide", "resourceVersion": "1"}, "spec": fields{"template": fields{"spec": fields{"manager": "wim"}}}})
		wim.must(t, 200, "PATCH", path, fields{"spec": fields{"template": fields{"spec": fields{"manager": "wally"}}}})
		// The manager is a member as long as he is the manager.
		wally := shared.as(t, "wally", passwordOf("wally"))
		wally.must(t, 200, "GET", path, nil)
		wim.must(t, 403, "GET", path, nil)
		wally.must(t, 200, "POST", iamPath+"/workspaces/wide/workspacemembers", []fields{{"username": "wim", "roleRef": "wide-admin"}})
		wim.must(t, 200, "DELETE", iamPath+"/workspaces/wide/workspacemembers/wally", nil)
		wally.must(t, 403, "GET", path, nil)
	})
	t.Run("move", func(t *testing.T) {
		wim.must(t, 200, "PATCH", tenantPath+"/workspaces/wide/namespaces/wide-b", fields{"metadata": fields{"labels": fields{"kubesphere.io/workspace": "other"}}})
		wim.must(t, 404, "GET", tenantPath+"/workspaces/wide/namespaces/wide-b", nil)
		wim.must(t, 200, "GET", tenantPath+"/workspaces/other/namespaces/wide-b", nil)
		wim.must(t, 403, "PATCH", tenantPath+"/workspaces/wide/namespaces/wide-a", fields{"metadata": fields{"labels": fields{"kubesphere.io/workspace": "nowhere"}}})
	})
	t.Run("namespaces", func(t *testing.T) {
		for path, number := range map[string]int{"/workspaces/wide/namespaces": 1, "/namespaces": 2, "/workspaces/wide/workspacemembers/wim/namespaces": 1, "/workspaces/wide/workspacemembers/wally/namespaces": 0} {
			if err := expectItems(wim.must(t, 200, "GET", tenantPath+path, nil), number); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
	t.Run("delete", func(t *testing.T) {
		c := kubernetes(t, "")
		wim.must(t, 400, "DELETE", tenantPath+"/workspaces/other?propagationPolicy=Sideways", nil)
		wim.must(t, 200, "DELETE", tenantPath+"/workspaces/other", fields{"propagationPolicy": "Orphan"})
		orphan := &corev1.Namespace{}
		if err := c.Get(t.Context(), clientKey("wide-b"), orphan); err != nil || orphan.DeletionTimestamp != nil || orphan.Labels[iamv1alpha2.LabelWorkspace] != "" {
			t.Errorf("the orphan: %+v, %v", orphan.ObjectMeta, err)
		}
		// It goes on counting for who created the workspace.
		if former := orphan.Annotations; former[tenantv1alpha2.AnnotationFormerWorkspace] == "" || former[tenantv1alpha2.AnnotationFormerCreator] != "wim" {
			t.Errorf("the orphan was in %v", former)
		}
		wim.must(t, 200, "DELETE", tenantPath+"/workspaces/wide", nil)
		wait.For(t, "the namespace to go with its workspace", func() error {
			if err := c.Get(t.Context(), clientKey("wide-a"), &corev1.Namespace{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the namespace is there: %w", err)
			}
			return nil
		})
		// The next of that name starts with nothing.
		wim.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace("wide", ""))
		if err := expectItems(wim.must(t, 200, "GET", iamPath+"/workspaces/wide/workspacemembers", nil), 1); err != nil {
			t.Error(err)
		}
	})
}

func TestWorkspaceQuota(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace("small", "admin"))
	for _, name := range []string{"small-a", "small-b"} {
		admin.must(t, 200, "POST", tenantPath+"/workspaces/small/namespaces", newNamespace(name))
	}
	path := tenantPath + "/workspaces/small/resourcequotas"
	quota := fields{"metadata": fields{"name": "small"}, "spec": fields{"quota": fields{"hard": fields{"count/configmaps": "6"}}}}
	admin.must(t, 422, "POST", path, fields{"metadata": fields{"name": "small"}, "spec": fields{"quota": fields{"hard": fields{"pods": "-1"}}}})
	admin.must(t, 200, "POST", path, quota)
	admin.must(t, 404, "GET", tenantPath+"/workspaces/other-one/resourcequotas/small", nil)
	used := func(number string) func() error {
		return func() error {
			got := decode[quotav1alpha2.ResourceQuota](t, admin.must(t, 200, "GET", path+"/small", nil))
			total := got.Status.Total.Used["count/configmaps"]
			if total.String() != number || len(got.Status.Namespaces) != 2 {
				return fmt.Errorf("%+v", got.Status)
			}
			return nil
		}
	}
	wait.For(t, "each namespace to use one configmap", used("2")) // each namespace has kube-root-ca.crt
	configMap := func(name string) fields {
		return fields{"apiVersion": "v1", "kind": "ConfigMap", "metadata": fields{"name": name}}
	}
	for n := range 3 {
		admin.must(t, 201, "POST", "/api/v1/namespaces/small-a/configmaps", configMap(fmt.Sprintf("c%d", n)))
	}
	wait.For(t, "the quota to count the configmaps", used("5"))
	// What one namespace uses is missing in the other.
	wait.For(t, "the other namespace to get what is left", func() error {
		r := admin.call(t, "GET", "/kapis/resources.kubesphere.io/v1alpha2/namespaces/small-b/quotas", nil)
		if !strings.Contains(string(r.body), `"hard":{"count/configmaps":"2"}`) {
			return fmt.Errorf("%d %s", r.code, r.body)
		}
		return nil
	})
	admin.must(t, 201, "POST", "/api/v1/namespaces/small-b/configmaps", configMap("d0"))
	admin.must(t, 403, "POST", "/api/v1/namespaces/small-b/configmaps", configMap("d1"))
	wait.For(t, "the quota to be enforced", func() error {
		return expect(admin.call(t, "POST", "/api/v1/namespaces/small-a/configmaps?dryRun=All", configMap("d2")), 403)
	})
	admin.must(t, 200, "DELETE", path+"/small", nil)
	admin.must(t, 201, "POST", "/api/v1/namespaces/small-b/configmaps", configMap("d1"))
	admin.must(t, 404, "GET", path+"/small", nil)
}

func TestGroups(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", iamPath+"/users", newUser("gina", "platform-regular"))
	admin.must(t, 200, "POST", iamPath+"/users", newUser("guest", "platform-regular"))
	admin.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace("grouped", "admin"))
	admin.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace("elsewhere", "admin"))
	groups, bindings := iamPath+"/workspaces/grouped/groups", iamPath+"/workspaces/grouped/groupbindings"
	admin.must(t, 200, "POST", groups, fields{"metadata": fields{"name": "devs"}})
	child := decode[iamv1alpha2.Group](t, admin.must(t, 200, "POST", groups, fields{"metadata": fields{"generateName": "seniors-", "labels": fields{"iam.kubesphere.io/group-parent": "devs"}}}))
	admin.must(t, 404, "POST", groups, fields{"metadata": fields{"name": "lost", "labels": fields{"iam.kubesphere.io/group-parent": "nowhere"}}})
	admin.must(t, 404, "GET", iamPath+"/workspaces/elsewhere/groups/devs", nil)
	admin.must(t, 404, "DELETE", iamPath+"/workspaces/elsewhere/groups/devs", nil)
	admin.must(t, 200, "PATCH", groups+"/devs", fields{"metadata": fields{"annotations": fields{"kubesphere.io/alias-name": "Developers"}, "labels": fields{"kubesphere.io/workspace": "elsewhere"}}})
	if err := expectItems(admin.must(t, 200, "GET", groups, nil), 2); err != nil {
		t.Error(err)
	}

	// The roles of a group are those of its members.
	c := kubernetes(t, "")
	binding := &iamv1alpha2.WorkspaceRoleBinding{}
	binding.Name, binding.Labels = "devs-grouped-viewer", map[string]string{iamv1alpha2.LabelWorkspace: "grouped"}
	binding.RoleRef.APIGroup, binding.RoleRef.Kind, binding.RoleRef.Name = iamv1alpha2.GroupName, "WorkspaceRole", "grouped-viewer"
	binding.Subjects = append(binding.Subjects, subjectUser("devs"))
	binding.Subjects[0].Kind = "Group"
	if err := c.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	gina := shared.as(t, "gina", passwordOf("gina"))
	path := tenantPath + "/workspaces/grouped"
	gina.must(t, 403, "GET", path, nil)
	gina.must(t, 403, "POST", bindings, []fields{{"userName": "gina", "groupName": "devs"}})
	admin.must(t, 404, "POST", bindings, []fields{{"userName": "ghost", "groupName": "devs"}})
	made := decode[[]iamv1alpha2.GroupBinding](t, admin.must(t, 200, "POST", bindings, []fields{{"userName": "gina", "groupName": "devs"}}))
	gina.must(t, 200, "GET", path, nil)
	if err := expectItems(admin.must(t, 200, "GET", iamPath+"/users?ingroup=devs", nil), 1); err != nil {
		t.Error(err)
	}
	if err := expectItems(admin.must(t, 200, "GET", bindings+"?user=gina", nil), 1); err != nil {
		t.Error(err)
	}
	admin.must(t, 404, "DELETE", iamPath+"/workspaces/elsewhere/groupbindings/"+made[0].Name, nil)
	// Joining and leaving count at once, however far behind the reconciler of the
	// memberships is.
	for range 20 {
		admin.must(t, 200, "DELETE", bindings+"/"+made[0].Name, nil)
		gina.must(t, 403, "GET", path, nil)
		made = decode[[]iamv1alpha2.GroupBinding](t, admin.must(t, 200, "POST", bindings, []fields{{"userName": "gina", "groupName": "devs"}}))
		gina.must(t, 200, "GET", path, nil)
	}
	admin.must(t, 200, "DELETE", groups+"/devs", nil)
	gina.must(t, 403, "GET", path, nil)
	admin.must(t, 404, "GET", groups+"/"+child.Name, nil)
	if err := c.Get(t.Context(), clientKey(binding.Name), binding); !apierrors.IsNotFound(err) {
		t.Errorf("the role of the group is left: %v", err)
	}
}

// Another replica reconciles within 15 seconds of the first's death, without
// being told.
func TestTakeover(t *testing.T) {
	t.Parallel()
	k := newCluster(t)
	k.start(t)
	at := func(c *config.Config) { c.Kubernetes.KubeConfig = k.kubeconfig }
	first := startProcess(t, k.kubeconfig)
	c := kubernetes(t, k.kubeconfig)
	plain := func(name string) {
		user := &iamv1alpha2.User{Spec: iamv1alpha2.UserSpec{Email: name + "@example.com", EncryptedPassword: "Plain-Passw0rd"}}
		user.Name = name
		if err := c.Create(t.Context(), user); err != nil {
			t.Fatal(err)
		}
	}
	hashed := func(name string) func() error {
		return func() error {
			user := &iamv1alpha2.User{}
			if err := c.Get(t.Context(), clientKey(name), user); err != nil {
				return err
			}
			if !strings.HasPrefix(user.Spec.EncryptedPassword, "$2a$") {
				return fmt.Errorf("%s is not reconciled", name)
			}
			return nil
		}
	}
	wait.For(t, "the first start", func() error { return c.Get(t.Context(), clientKey("admin"), &iamv1alpha2.User{}) })
	plain("before")
	wait.For(t, "the user to be reconciled by the first replica", hashed("before"))
	second := run(t, at)
	if err := second.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	first() // not gently
	plain("after")
	wait.For(t, "the user to be reconciled by the second replica", hashed("after"))
}

// startProcess runs the command and returns what kills it.
func startProcess(t *testing.T, kubeconfig string) (kill func()) {
	t.Helper()
	process := exec.Command("../../bin/ks-apiserver", "--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1", "--insecure-port", "0")
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	}
	t.Cleanup(kill)
	return kill
}
