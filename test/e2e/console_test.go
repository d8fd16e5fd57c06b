//go:build e2e

package e2e

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// The paths of the console of KubeSphere 3.3.
const (
	configAPI     = "/kapis/config.kubesphere.io/v1alpha2/configs"
	resources2    = "/kapis/resources.kubesphere.io/v1alpha2"
	tenant2       = "/kapis/tenant.kubesphere.io/v1alpha2"
	tenant3       = "/kapis/tenant.kubesphere.io/v1alpha3"
	monitoringAPI = "/kapis/monitoring.kubesphere.io/v1alpha3"
)

// visitor is the console with somebody logged in: its server sends what the
// browser asks for, with the token it keeps.
type visitor struct {
	person
	t *testing.T
}

// call is one of the console, and the fields it reads of the answer.
type call struct {
	path   string
	fields []string // that must be there, as paths of gjson
	where  string   // a path that must have a true value; none if empty
}

// gets walks through calls that must succeed.
func (v *visitor) gets(page string, steps ...call) {
	v.t.Helper()
	for _, s := range steps {
		r := v.call(v.t, http.MethodGet, s.path, nil)
		if r.code != http.StatusOK {
			v.t.Errorf("%s: GET %s: %d %.300s", page, s.path, r.code, r.body)
			continue
		}
		for _, field := range s.fields {
			if !gjson.GetBytes(r.body, field).Exists() {
				v.t.Errorf("%s: GET %s has no %s: %.600s", page, s.path, field, r.body)
			}
		}
		if s.where != "" && !gjson.GetBytes(r.body, s.where).Exists() {
			v.t.Errorf("%s: GET %s does not show %s: %.600s", page, s.path, s.where, r.body)
		}
	}
}

// exists is what the console's server makes of x-check-exist.
func (v *visitor) exists(path string) bool {
	v.t.Helper()
	r := v.call(v.t, http.MethodGet, path, nil)
	if r.code >= http.StatusMultipleChoices {
		return false
	}
	body := gjson.ParseBytes(r.body)
	if items := body.Get("items"); items.Exists() {
		return len(items.Array()) > 0
	}
	return true
}

// consoleLogin is how the console's server logs somebody in.
func consoleLogin(t *testing.T, name, password string) (visitor, gjson.Result) {
	t.Helper()
	r := shared.token(t, append(passwordForm(name, password), "encrypt", "ZW5jcnlwdGVk"), header("X-Client-Ip", "192.0.2.7"))
	if r.code != http.StatusOK {
		t.Fatalf("login of %s: %d %s", name, r.code, r.body)
	}
	got := decode[tokens](t, r)
	if got.RefreshToken == "" || got.ExpiresIn <= 600 {
		t.Fatalf("the console would log in for ever: %s", r.body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(got.AccessToken, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := gjson.ParseBytes(payload)
	if claims.Get("username").String() != name {
		t.Fatalf("the token is of %s", claims)
	}
	return visitor{person{shared, name, got.AccessToken}, t}, claims
}

// everyPage is what the console asks for before it shows anything (§1.2).
func (v *visitor) everyPage() {
	v.t.Helper()
	for _, open := range []string{configAPI + "/configz", configAPI + "/oauth", "/kapis/version"} {
		if r := shared.get(v.t, open); r.code != http.StatusOK {
			v.t.Errorf("without a token: GET %s: %d %s", open, r.code, r.body)
		}
	}
	if version := gjson.GetBytes(shared.get(v.t, "/kapis/version").body, "gitVersion").String(); version < "v3.3" {
		v.t.Errorf("the console takes %q for one before 3.3", version)
	}
	v.gets("every page",
		call{path: iamPath + "/users/" + v.name, fields: []string{"spec.email", "metadata.name", `metadata.annotations.iam\.kubesphere\.io/globalrole`, "status.lastLoginTime"}},
		call{path: iamPath + "/users/" + v.name + "/globalroles", fields: []string{"0.metadata.name", `#.metadata.annotations.iam\.kubesphere\.io/role-template-rules`}},
		call{path: "/kapis/version", fields: []string{"gitVersion", "kubernetes.gitVersion"}},
		call{path: tenant3 + "/workspacetemplates?limit=10", fields: []string{"items", "totalItems"}},
		call{path: configAPI + "/gpu/kinds", fields: []string{"@this"}},
	)
	for _, list := range []string{iamPath + "/users/" + v.name + "/globalroles", configAPI + "/gpu/kinds"} {
		if r := v.call(v.t, http.MethodGet, list, nil); !gjson.ParseBytes(r.body).IsArray() {
			v.t.Errorf("%s is no list: %.200s", list, r.body)
		}
	}
}

// TestConsole33 is the walk of the console of KubeSphere 3.3 through the API: each
// call in its order, with the fields it needs.
func TestConsole33(t *testing.T) {
	t.Parallel()
	admin, _ := consoleLogin(t, "admin", adminPassword)
	wait.For(t, "the time of the last login", func() error { // it is written after the answer to the login
		if !gjson.GetBytes(admin.call(t, http.MethodGet, iamPath+"/users/admin", nil).body, "status.lastLoginTime").Exists() {
			return fmt.Errorf("no time of the last login")
		}
		return nil
	})
	admin.everyPage()
	admin.gets("every page", call{path: "/api/v1/nodes", fields: []string{"items.0.status.nodeInfo.containerRuntimeVersion"}})
	// A cluster KubeSphere's installer did not set up has no such object, and the console takes it for a host.
	if r := admin.call(t, http.MethodGet, "/api/v1/namespaces/kubesphere-system/configmaps/kubesphere-config", nil); r.code != 200 && r.code != 404 {
		t.Errorf("the configuration: %d %s", r.code, r.body)
	}
	counters := monitoringAPI + "/kubesphere?start=1&end=2&step=600s&times=20&metrics_filter=" + url.QueryEscape("kubesphere_cluser_count|kubesphere_workspace_count|kubesphere_user_count|kubesphere_app_template_count$")
	admin.gets("landing", call{path: counters, fields: []string{"results.0.data.result.0.value.1", "results.2.metric_name", "results.0.data.resultType"}})
	admin.gets("cluster",
		call{path: iamPath + "/clustermembers/admin/clusterroles", fields: []string{"@this"}},
		call{path: viewer + "/namespaces?labelSelector=" + url.QueryEscape("!kubesphere.io/devopsproject") + "&sortBy=createTime&limit=10", fields: []string{"items.0.metadata.name", "totalItems"}},
		call{path: resources2 + "/components", fields: []string{"@this"}},
	)
	admin.nodes()
	admin.projects()
	admin.workloads()
	admin.people()
	if r := admin.call(t, http.MethodGet, "/oauth/logout", nil); r.code != http.StatusOK {
		t.Errorf("logout: %d %s", r.code, r.body)
	}
	wait.For(t, "the token to be refused after the logout", func() error { return expect(admin.call(t, http.MethodGet, iamPath+"/users/admin", nil), 401) })
}

// nodes is §1.5.
func (v *visitor) nodes() {
	node := gjson.GetBytes(v.call(v.t, http.MethodGet, viewer+"/nodes?sortBy=name&limit=1&labelSelector="+url.QueryEscape("!node-role.kubernetes.io/control-plane"), nil).body, "items.0.metadata.name").String()
	v.gets("nodes",
		call{path: viewer + "/nodes?sortBy=createTime&limit=10&page=1&labelSelector=" + url.QueryEscape("!node-role.kubernetes.io/edge"), fields: []string{
			"totalItems", "items.0.metadata.labels", `items.0.metadata.annotations.node\.kubesphere\.io/cpu-requests`, "items.0.status.conditions", "items.0.status.addresses", "items.0.status.nodeInfo", "items.0.status.allocatable",
		}},
		// Neither is a selector of Kubernetes (console.md §0).
		call{path: viewer + "/nodes?labelSelector=" + url.QueryEscape(",!node-role.kubernetes.io/edge"), where: "items.0"},
		call{path: viewer + "/nodes?labelSelector=" + url.QueryEscape("node-role.kubernetes.io/master|node-role.kubernetes.io/control-plane"), where: "items.0"},
		call{path: viewer + "/nodes/" + node, fields: []string{"metadata.name", "spec", "status"}},
		call{path: viewer + "/pods?nodeName=" + node + "&sortBy=startTime&limit=10", fields: []string{"items", "totalItems"}},
		call{path: "/api/v1/events?fieldSelector=" + url.QueryEscape("involvedObject.name="+node), fields: []string{"items"}},
	)
	for _, unschedulable := range []string{"true", "null"} {
		r := v.do(v.t, http.MethodPatch, "/api/v1/nodes/"+node, strings.NewReader(`{"spec":{"unschedulable":`+unschedulable+`}}`), bearer(v.token), header("Content-Type", "application/merge-patch+json"))
		if r.code != http.StatusOK {
			v.t.Errorf("cordon: %d %s", r.code, r.body)
		}
	}
}

// projects is §1.6.
func (v *visitor) projects() {
	v.must(v.t, http.StatusOK, http.MethodPost, tenant3+"/workspacetemplates", newWorkspace("walk", "admin"))
	if v.exists("/api/v1/namespaces/walk-project") {
		v.t.Error("a name that is free is taken")
	}
	project := newNamespace("walk-project")
	project["metadata"].(fields)["annotations"] = fields{"kubesphere.io/creator": "admin"}
	v.must(v.t, http.StatusOK, http.MethodPost, tenant2+"/workspaces/walk/namespaces", project)
	if !v.exists("/api/v1/namespaces/walk-project") {
		v.t.Error("a name that is taken is free")
	}
	for _, selector := range []string{"kubesphere.io/workspace=walk", "kubesphere.io/workspace!=system-workspace,!kubesphere.io/devopsproject", "!kubesphere.io/kubefed-host-namespace,!kubesphere.io/devopsproject"} {
		v.gets("projects", call{path: viewer + "/namespaces?sortBy=createTime&limit=-1&labelSelector=" + url.QueryEscape(selector), where: `items.#(metadata.name=="walk-project")`})
	}
	v.gets("a project",
		call{path: tenant2 + "/workspaces/walk/namespaces?sortBy=createTime&limit=10", where: `items.#(metadata.name=="walk-project")`},
		call{path: "/api/v1/namespaces/walk-project", fields: []string{`metadata.labels.kubesphere\.io/workspace`}},
		call{path: iamPath + "/namespaces/walk-project/members/admin/roles", fields: []string{"@this"}},
		call{path: resources2 + "/namespaces/walk-project/quotas", fields: []string{"data.used"}},
		call{path: resources2 + "/namespaces/walk-project/abnormalworkloads", fields: []string{"data.deployments"}},
		call{path: "/api/v1/namespaces/walk-project/limitranges", fields: []string{"items"}},
	)
}

// workloads is §1.7.
func (v *visitor) workloads() {
	const deployments, viewed = "/apis/apps/v1/namespaces/walk-project/deployments", viewer + "/namespaces/walk-project"
	body := newDeployment("web")
	body["metadata"].(fields)["annotations"] = fields{"kubesphere.io/creator": "admin"}
	v.must(v.t, http.StatusCreated, http.MethodPost, deployments+"?dryRun=All", body)
	if v.exists(deployments + "/web") {
		v.t.Error("a trial was written")
	}
	v.must(v.t, http.StatusCreated, http.MethodPost, deployments, body)
	wait.For(v.t, "the deployment to run", func() error {
		r := v.call(v.t, http.MethodGet, viewed+"/deployments?sortBy=updateTime&limit=10&page=1&status=running&name=web", nil)
		return expectItems(r, 1)
	})
	v.gets("workloads",
		call{path: viewer + "/deployments?sortBy=updateTime&limit=10", fields: []string{"items.0.spec.template", "items.0.status"}},
		call{path: deployments + "/web", fields: []string{"status.readyReplicas"}},
		call{path: viewed + "/pods?ownerKind=ReplicaSet&labelSelector=app%3Dweb&sortBy=startTime", fields: []string{"items.0.status.podIP", "items.0.spec.containers"}},
		call{path: "/apis/apps/v1/namespaces/walk-project/replicasets?labelSelector=app%3Dweb", fields: []string{`items.0.metadata.annotations.deployment\.kubernetes\.io/revision`}},
		call{path: "/apis/autoscaling/v2/namespaces/walk-project/horizontalpodautoscalers", fields: []string{"items"}},
		call{path: viewed + "/services?labelSelector=app%3Dweb", fields: []string{"items"}},
		call{path: resources2 + "/namespaces/walk-project/deployments/web/revisions/1", fields: []string{"spec.template"}},
	)
	pod := gjson.GetBytes(v.call(v.t, http.MethodGet, viewed+"/pods?labelSelector=app%3Dweb", nil).body, "items.0.metadata.name").String()
	v.gets("a pod", call{path: "/api/v1/namespaces/walk-project/pods/" + pod, fields: []string{"spec.containers.0.name"}})
	v.follows("/api/v1/namespaces/walk-project/pods/" + pod + "/log?container=web&tailLines=1000&timestamps=true&follow=true")
	// The probe which path terminals have: anything but 404 (§1.9).
	if r := v.call(v.t, http.MethodGet, "/kapis/terminal.kubesphere.io/v1alpha2/namespaces/walk-project/pods/"+pod+"/exec?container=web&shell=sh", nil); r.code != http.StatusBadRequest {
		v.t.Errorf("a terminal without a WebSocket: %d %s", r.code, r.body)
	}
	v.watches("/apis/apps/v1/watch/namespaces/walk-project/deployments")
	// The shell of the person, and what to run kubectl with elsewhere.
	v.gets("tools", call{path: resources2 + "/users/admin/kubectl", fields: []string{"namespace", "pod", "container"}})
	if r := v.call(v.t, http.MethodGet, resources2+"/users/admin/kubeconfig", nil); r.code != http.StatusOK || !strings.Contains(string(r.body), "kind: Config") {
		v.t.Errorf("the kubeconfig: %d %.300s", r.code, r.body)
	}
}

// follows reads the first line of a log that goes on.
func (v *visitor) follows(path string) {
	v.t.Helper()
	q, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.url+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+v.token)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(answer.Body).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		if !strings.HasPrefix(text, "20") {
			v.t.Errorf("a log begins with %q", text)
		}
	case <-time.After(wait.Timeout):
		v.t.Error("a log that goes on shows nothing")
	}
}

// people is §1.8.
func (v *visitor) people() {
	for _, path := range []string{"/globalroles", "/workspaces/walk/workspaceroles", "/clusterroles", "/namespaces/walk-project/roles"} {
		v.gets("roles", call{path: iamPath + path + "?annotation=kubesphere.io/creator&limit=-1&sortBy=createTime", where: "items.0.metadata.name"},
			call{path: iamPath + path + "?label=iam.kubesphere.io/role-template=true&limit=-1", where: `items.0.metadata.annotations.iam\.kubesphere\.io/role-template-rules`})
	}
	if v.exists(iamPath+"/users/walker") || v.exists(iamPath+"/users?email=walker@example.com") {
		v.t.Error("a user who is new exists")
	}
	walker := newUser("walker", "platform-regular")
	walker["metadata"].(fields)["annotations"].(fields)["iam.kubesphere.io/uninitialized"] = "true"
	walker["metadata"].(fields)["annotations"].(fields)["kubesphere.io/creator"] = "admin"
	v.must(v.t, http.StatusOK, http.MethodPost, iamPath+"/users", walker)
	if !v.exists(iamPath+"/users?email=walker@example.com") || v.exists(iamPath+"/users?email=walker@example") {
		v.t.Error("the filter by address is not exact")
	}
	v.gets("users", call{path: iamPath + "/users?sortBy=createTime&limit=10&page=1", where: `items.#(metadata.name=="walker").status.state`},
		call{path: iamPath + "/users/admin/loginrecords?limit=10", fields: []string{"items.0.spec.success"}},
		call{path: tenant3 + "/workspacetemplates/walk", fields: []string{"spec.template.spec.manager"}},
		call{path: iamPath + "/workspaces/walk/workspacemembers/admin/workspaceroles", fields: []string{"@this"}},
		call{path: tenant2 + "/workspaces/walk/clusters", fields: []string{"items"}},
	)
	v.must(v.t, http.StatusOK, http.MethodPost, iamPath+"/workspaces/walk/workspacemembers", []fields{{"username": "walker", "roleRef": "walk-viewer"}})
	v.firstPassword("walker")

	member, claims := consoleLogin(v.t, "walker", "a-password-of-the-walker")
	if claims.Get("extra.uninitialized").Exists() {
		v.t.Error("the console would ask for a new password for ever")
	}
	wait.For(v.t, "the time of the last login", func() error {
		if !gjson.GetBytes(member.call(v.t, http.MethodGet, iamPath+"/users/walker", nil).body, "status.lastLoginTime").Exists() {
			return fmt.Errorf("no time of the last login")
		}
		return nil
	})
	member.everyPage()
	member.gets("the workspace of a member", call{path: tenant3 + "/workspacetemplates?limit=10", where: `items.#(metadata.name=="walk")`},
		call{path: iamPath + "/workspaces/walk/workspacemembers/walker/workspaceroles", where: "0.metadata.name"})
	if r := member.call(v.t, http.MethodGet, viewer+"/nodes", nil); r.code != http.StatusForbidden {
		v.t.Errorf("a member sees nodes: %d", r.code)
	}
	v.must(v.t, http.StatusOK, http.MethodDelete, tenant3+"/workspacetemplates/walk", fields{"propagationPolicy": "Background"})
}

// firstPassword is the page for somebody whose password was chosen by another: it
// patches the object in Kubernetes, as the user.
func (v *visitor) firstPassword(name string) {
	v.t.Helper()
	user, claims := consoleLogin(v.t, name, passwordOf(name))
	if claims.Get("extra.uninitialized.0").String() != "true" {
		v.t.Errorf("the console does not ask for a new password: %s", claims)
	}
	patch := `[{"op":"replace","path":"/spec/password","value":"a-password-of-the-walker"},{"op":"remove","path":"/metadata/annotations/iam.kubesphere.io~1uninitialized"}]`
	r := user.do(v.t, http.MethodPatch, "/apis/iam.kubesphere.io/v1alpha2/users/"+name, strings.NewReader(patch), bearer(user.token), header("Content-Type", "application/json-patch+json"))
	if r.code != http.StatusOK || strings.Contains(string(r.body), "a-password-of-the-walker") {
		v.t.Errorf("the first password: %d %s", r.code, r.body)
	}
}
