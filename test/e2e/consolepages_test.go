//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/tidwall/gjson"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// The pages of the console of KubeSphere 3.4, with the requests it sends.

const realRoles = "?annotation=kubesphere.io%2Fcreator&sortBy=createTime&limit=10&page=1"

// TestConsoleRolePages: lists of roles show roles, and no templates of roles.
func TestConsoleRolePages(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "crole")
	root := shared.as(t, "admin", adminPassword)
	for _, test := range []struct {
		name, path string
		who        []person
		role       string
	}{
		{"platform", "/globalroles", []person{root}, "platform-admin"},
		{"cluster", "/clusterroles", []person{root}, "cluster-viewer"},
		{"workspace", "/workspaces/" + x.workspace + "/workspaceroles", []person{root, x.owner}, x.workspace + "-admin"},
		{"project", "/namespaces/" + x.project + "/roles", []person{root, x.owner, x.admin, x.operator, x.viewer}, "operator"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, who := range test.who {
				for _, query := range []string{realRoles, "?annotation=kubesphere.io%2Fcreator&limit=-1&sortBy=createTime"} {
					got := names(decode[list](t, who.must(t, 200, "GET", iamPath+test.path+query, nil)))
					found := false
					for _, name := range got {
						_, name, _ = strings.Cut(name, "/") // after the namespace
						if strings.HasPrefix(name, "role-template-") {
							t.Errorf("%s sees the template %s among the roles", who.name, name)
						}
						found = found || name == test.role
					}
					if !found {
						t.Errorf("%s does not see %s: %v", who.name, test.role, got)
					}
				}
			}
		})
	}
}

// TestConsoleCreateProjectRole: the console adds the basic template to what was
// chosen, in every scope.
func TestConsoleCreateProjectRole(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "cnew")
	path := iamPath + "/namespaces/" + x.project + "/roles"
	templates := decode[list](t, x.admin.must(t, 200, "GET", path+"?label=iam.kubesphere.io%2Frole-template%3Dtrue&limit=-1&sortBy=createTime", nil))
	if !strings.Contains(strings.Join(names(templates), " ")+" ", "role-template-view-basic ") {
		t.Errorf("the basic template is missing in projects: %v", names(templates))
	}
	body := fields{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": fields{"name": "reader", "namespace": x.project, "annotations": fields{
			"iam.kubesphere.io/aggregation-roles": `["role-template-view-app-workloads","role-template-view-basic"]`, "kubesphere.io/creator": x.admin.name,
		}},
		"rules": []any{},
	}
	if r := x.viewer.call(t, "GET", path+"/reader", nil); r.code != http.StatusNotFound {
		t.Errorf("a name that is free: %d", r.code)
	}
	x.admin.must(t, 200, "POST", path, body)
	if got := decode[list](t, x.viewer.must(t, 200, "GET", path+realRoles, nil)); !strings.Contains(strings.Join(names(got), " "), "reader") {
		t.Errorf("the new role is not listed: %v", names(got))
	}
	for _, who := range []person{x.operator, x.viewer} {
		body["metadata"].(fields)["name"] = "theirs"
		who.must(t, 403, "POST", path, body)
	}
}

// TestConsoleDeleteManager: a user who manages a workspace is deleted at once,
// whoever else writes the workspace at the moment.
func TestConsoleDeleteManager(t *testing.T) {
	t.Parallel()
	root := shared.as(t, "admin", adminPassword)
	for n := range 8 {
		name := fmt.Sprintf("cmanager-%d", n)
		root.must(t, 200, "POST", iamPath+"/users", newUser(name, "platform-self-provisioner"))
		root.must(t, 200, "POST", tenant3+"/workspacetemplates", newWorkspace(name, name))
		if r := root.call(t, "DELETE", iamPath+"/users/"+name, nil); r.code != http.StatusOK {
			t.Errorf("deleting %s: %d %.300s", name, r.code, r.body)
		}
		root.must(t, 404, "GET", iamPath+"/users/"+name, nil)
		root.must(t, 200, "DELETE", tenant3+"/workspacetemplates/"+name, fields{"propagationPolicy": "Background"})
	}
}

// TestConsoleProjectGoes: the page of projects watches namespaces, and a project
// that is deleted leaves it.
func TestConsoleProjectGoes(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "cgone")
	path := "/api/v1/watch/namespaces?labelSelector=" + url.QueryEscape("kubesphere.io/workspace="+x.workspace)
	for _, who := range []person{x.owner, x.admin} {
		x.owner.must(t, 200, "GET", tenant2+"/workspaces/"+x.workspace+"/namespaces?sortBy=createTime&limit=10&page=1&labelSelector=kubefed.io%2Fmanaged%21%3Dtrue%2C%20kubesphere.io%2Fkubefed-host-namespace%21%3Dtrue", nil)
		project := x.project + "-of-" + who.name
		x.owner.must(t, 200, "POST", tenant2+"/workspaces/"+x.workspace+"/namespaces", newNamespace(project))
		x.owner.must(t, 200, "POST", iamPath+"/namespaces/"+project+"/members", []fields{{"username": "cgone-admin", "roleRef": "admin"}})
		conn, response, err := socket(t, path, who.token)
		if err != nil {
			t.Fatalf("%s: watching: %v %+v", who.name, err, response)
		}
		conn.SetReadLimit(1 << 20)
		deleted := make(chan error, 1)
		go func() {
			for {
				_, message, err := conn.Read(t.Context())
				if err != nil {
					deleted <- err
					return
				}
				if event := gjson.ParseBytes(message); event.Get("type").Str == "DELETED" && event.Get("object.metadata.name").Str == project {
					deleted <- nil
					return
				}
			}
		}()
		x.owner.must(t, 200, "DELETE", tenant2+"/workspaces/"+x.workspace+"/namespaces/"+project, nil)
		select {
		case err := <-deleted:
			if err != nil {
				t.Errorf("%s: the watch ended: %v", who.name, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s is not told that %s is gone", who.name, project)
		}
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}
}

// TestConsoleKubeconfig: the console's server asks by a name and over HTTP, and
// the person uses the text elsewhere.
func TestConsoleKubeconfig(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "ckube")
	const public = "https://ks.example.com"
	configured := run(t, func(c *config.Config) { c.Server.PublicURL = public })
	issued := run(t, func(c *config.Config) { c.Authentication.OAuthOptions.Issuer = public })
	unknown := run(t, func(*config.Config) {})
	for _, server := range []*instance{configured, issued, unknown} {
		if err := server.waitReady(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	console := func(q *http.Request) { q.Host = "ks-apiserver.kubesphere-system" }
	for _, name := range []string{"owner", "admin", "viewer"} {
		name = "ckube-" + name
		path := resources2 + "/users/" + name + "/kubeconfig"
		for _, server := range []*instance{configured, issued} {
			who := server.as(t, name, passwordOf(name))
			r := server.get(t, path, bearer(who.token), console)
			if r.code != http.StatusOK || !strings.Contains(string(r.body), "server: "+public+"\n") || r.header.Get("Warning") != "" {
				t.Errorf("%s: %d %s %.300s", name, r.code, r.header.Get("Warning"), r.body)
			}
		}
		// Without any address that is known it says so, and never leads a token over HTTP.
		who := unknown.as(t, name, passwordOf(name))
		r := unknown.get(t, path, bearer(who.token), console)
		if r.code != http.StatusOK || strings.Contains(string(r.body), "server: http://") || !strings.HasPrefix(string(r.body), "# ") || !strings.Contains(string(r.body), "server.publicURL") || !strings.Contains(r.header.Get("Warning"), "server.publicURL") {
			t.Errorf("%s: %d %s %.300s", name, r.code, r.header.Get("Warning"), r.body)
		}
		if loaded, err := clientcmd.Load(r.body); err != nil || loaded.CurrentContext != name+"@kubesphere" {
			t.Errorf("%s: %v %+v", name, err, loaded)
		}
	}
	if r := shared.get(t, resources2+"/users/ckube-admin/kubeconfig", bearer(x.viewer.token)); r.code != http.StatusForbidden {
		t.Errorf("that of another: %d", r.code)
	}
}

// TestConsoleSystemWorkspace: the namespaces of the platform are not among those
// of users.
func TestConsoleSystemWorkspace(t *testing.T) {
	t.Parallel()
	root := shared.as(t, "admin", adminPassword)
	wait.For(t, "system-workspace to have the namespaces of the cluster", func() error {
		r := root.call(t, "GET", tenant3+"/workspacetemplates/system-workspace", nil)
		if err := expect(r, 200); err != nil {
			return err
		}
		system := root.must(t, 200, "GET", viewer+"/namespaces?sortBy=createTime&limit=-1&labelSelector="+url.QueryEscape("kubesphere.io/workspace=system-workspace"), nil)
		users := root.must(t, 200, "GET", viewer+"/namespaces?sortBy=createTime&limit=-1&labelSelector="+url.QueryEscape("kubesphere.io/workspace!=system-workspace,!kubesphere.io/devopsproject"), nil)
		for _, name := range []string{"kube-system", "kube-public", "kubesphere-system"} {
			where := fmt.Sprintf("items.#(metadata.name==%q)", name)
			if !gjson.GetBytes(system.body, where).Exists() || gjson.GetBytes(users.body, where).Exists() {
				return fmt.Errorf("%s is among the projects of users", name)
			}
		}
		return nil
	})
	if r := root.must(t, 200, "GET", tenant3+"/workspacetemplates?sortBy=createTime&limit=10&page=1", nil); !gjson.GetBytes(r.body, `items.#(metadata.name=="system-workspace")`).Exists() {
		t.Errorf("no system-workspace in the list: %.300s", r.body)
	}
}

// TestConsoleKubectl: the tool box opens a terminal with kubectl, for everybody.
func TestConsoleKubectl(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "cktl")
	root := shared.as(t, "admin", adminPassword)
	without := run(t, func(*config.Config) {})
	if err := without.waitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, who := range []person{root, x.owner, x.admin, x.viewer} {
		where := gjson.ParseBytes(who.must(t, 200, "GET", resources2+"/users/"+who.name+"/kubectl", nil).body)
		exec := terminalPath + "/namespaces/" + where.Get("namespace").Str + "/pods/" + where.Get("pod").Str + "/exec?container=" + where.Get("container").Str + "&shell=sh"
		if r := who.call(t, "GET", exec, nil); r.code != http.StatusBadRequest { // the probe of the path
			t.Errorf("%s: a terminal without a WebSocket: %d %.200s", who.name, r.code, r.body)
		}
		s := shared.terminal(t, exec, who.token)
		s.typed("kubectl auth whoami\r")
		s.shows("Username")
		s.shows(who.name + "\r\n")
		s.typed("exit\r")
		s.ends(5*time.Second, websocket.StatusNormalClosure, "")

		r := without.get(t, resources2+"/users/"+who.name+"/kubectl", bearer(without.as(t, who.name, map[bool]string{true: adminPassword, false: passwordOf(who.name)}[who.name == "admin"]).token))
		if r.code != http.StatusServiceUnavailable || !strings.Contains(gjson.GetBytes(r.body, "message").Str, "terminal.kubectl.server") {
			t.Errorf("%s: where it is not configured: %d %.300s", who.name, r.code, r.body)
		}
	}
}

// TestConsoleWorkspaceOverview: a member's first page asks for measurements, and
// shows no error where there are none.
func TestConsoleWorkspaceOverview(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "cover")
	root := shared.as(t, "admin", adminPassword)
	at := monitoringAPI + "/workspaces/" + x.workspace
	for _, who := range []person{root, x.owner, x.admin, x.viewer} {
		usage := who.must(t, 200, "GET", at+"?metrics_filter="+url.QueryEscape("workspace_cpu_usage|workspace_memory_usage_wo_cache$"), nil)
		trend := who.must(t, 200, "GET", at+"?start=1700000000&end=1700003600&step=60s&times=60&metrics_filter="+url.QueryEscape("workspace_pod_count|workspace_deployment_count|workspace_service_count$"), nil)
		for r, want := range map[*reply]string{&usage: `["workspace_cpu_usage","workspace_memory_usage_wo_cache"]`, &trend: `["workspace_pod_count","workspace_deployment_count","workspace_service_count"]`} {
			if got := gjson.GetBytes(r.body, "results.#.metric_name").Raw; got != want {
				t.Errorf("%s: %s, want %s", who.name, got, want)
			}
			if gjson.GetBytes(r.body, "results.#.data.result").Raw != "[]" || gjson.GetBytes(r.body, "results.0.error").Str == "" || !gjson.GetBytes(r.body, "results.0.data").IsObject() {
				t.Errorf("%s: %s", who.name, r.body)
			}
		}
		counts := who.must(t, 200, "GET", at+"?type=statistics", nil)
		if got := gjson.GetBytes(counts.body, `results.#(metric_name=="workspace_namespace_count").data.result.0.value.1`).Str; got != "1" {
			t.Errorf("%s: %s", who.name, counts.body)
		}
	}
	root.must(t, 400, "GET", at+"?metrics_filter=%5B", nil)
	// A name that belongs to nothing has no numbers, and says nothing to strangers.
	shared.as(t, "cover-viewer", passwordOf("cover-viewer")).must(t, 403, "GET", monitoringAPI+"/workspaces/another?metrics_filter=workspace_cpu_usage", nil)
}

// TestConsoleLogs: the console asks for logs of containers that have an ID.
func TestConsoleLogs(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "clogs")
	c := kubernetes(t, "")
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx"}}}}
	pod.Name, pod.Namespace = "web", x.project
	create(t, c, pod)
	running(t, c, x.project, "web")
	for _, who := range []person{x.admin, x.operator, x.viewer} {
		for _, path := range []string{"/api/v1/namespaces/" + x.project + "/pods/web", viewer + "/namespaces/" + x.project + "/pods/web"} {
			wait.For(t, "the ID of the container", func() error { // caches follow
				if id := gjson.GetBytes(who.must(t, 200, "GET", path, nil).body, "status.containerStatuses.0.containerID").Str; !strings.Contains(id, "://") {
					return fmt.Errorf("%s: %s: it is %q", who.name, path, id)
				}
				return nil
			})
		}
		who.must(t, 200, "GET", "/api/v1/namespaces/"+x.project+"/pods/web/log?container=web&tailLines=1000&timestamps=true", nil)
	}
}

// TestConsoleMenus: what the console shows by features and roles is served.
func TestConsoleMenus(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "cmenu")
	root := shared.as(t, "admin", adminPassword)
	features := gjson.ParseBytes(shared.get(t, configAPI+"/configz").body)
	if !features.Get("network").Bool() || features.Get(`network\.ippool`).Bool() || features.Get("openpitrix").Bool() || features.Get("monitoring").Bool() {
		t.Errorf("the features are %s", features)
	}
	for who, name := range map[*person]string{&root: "admin", &x.owner: "cmenu-owner", &x.admin: "cmenu-admin", &x.operator: "cmenu-operator", &x.viewer: "cmenu-viewer"} {
		opened := map[string]string{}
		for _, path := range []string{"/namespaces/" + x.project + "/members/" + name + "/roles", "/workspaces/" + x.workspace + "/workspacemembers/" + name + "/workspaceroles", "/users/" + name + "/globalroles"} {
			for _, rules := range gjson.GetBytes(who.must(t, 200, "GET", iamPath+path, nil).body, `#.metadata.annotations.iam\.kubesphere\.io/role-template-rules`).Array() {
				gjson.Parse(rules.Str).ForEach(func(capability, verb gjson.Result) bool {
					opened[capability.Str] = verb.Str
					return true
				})
			}
		}
		for _, capability := range []string{"applications", "custom-monitoring"} {
			if opened[capability] != "" {
				t.Errorf("%s is offered %s, which nothing serves", name, capability)
			}
		}
		if name != "admin" && name != "cmenu-owner" && (opened["deployments"] == "" || opened["pods"] == "") {
			t.Errorf("%s is not offered what is served: %v", name, opened)
		}
	}
	// The templates themselves stay as they are.
	if r := x.admin.must(t, 200, "GET", iamPath+"/namespaces/"+x.project+"/roles?label=iam.kubesphere.io%2Frole-template%3Dtrue&limit=-1", nil); !strings.Contains(string(r.body), "role-template-view-custom-monitoring") {
		t.Error("a template is gone")
	}

	// Enable Gateway, and what the page shows after it.
	gateways := gatewayPath + "/namespaces/" + x.project + "/gateways"
	create(t, kubernetes(t, ""), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kubesphere-controls-system"}})
	body := fields{
		"apiVersion": "gateway.kubesphere.io/v1alpha1", "kind": "Gateway",
		"metadata": fields{"name": "kubesphere-router-" + x.project, "namespace": "kubesphere-controls-system", "annotations": fields{"kubesphere.io/annotations": "QKE", "kubesphere.io/creator": "cmenu-admin"}},
		"spec": fields{
			"controller": fields{"replicas": 1, "annotations": fields{}, "config": fields{}, "scope": fields{"enabled": true, "namespace": x.project}},
			"deployment": fields{"annotations": fields{"servicemesh.kubesphere.io/enabled": "false"}, "replicas": 1},
			"service":    fields{"annotations": fields{}, "type": "NodePort"},
		},
	}
	for _, who := range []person{x.operator, x.viewer} {
		who.must(t, 403, "POST", gateways, body)
	}
	x.admin.must(t, 200, "POST", gateways, body)
	for _, who := range []person{root, x.admin, x.operator, x.viewer} {
		if r := who.must(t, 200, "GET", gateways, nil); gjson.GetBytes(r.body, "0.spec.service.type").Str != "NodePort" {
			t.Errorf("%s: %s", who.name, r.body)
		}
	}
	x.admin.must(t, 200, "DELETE", gateways, nil)
}
