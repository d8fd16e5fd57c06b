//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// kubectl runs the real kubectl through the server.
func kubectl(t *testing.T, token, stdin string, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "../../bin/kubectl", append([]string{"--server", shared.secure, "--certificate-authority", shared.certificate, "--token", token, "--cache-dir", t.TempDir()}, args...)...)
	// A kubeconfig of the cluster itself would give rights the token does not.
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(t.TempDir(), "none"))
	command.Stdin = strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	return string(output), err
}

const toolbox = `
apiVersion: v1
kind: Pod
metadata: {name: toolbox, namespace: default, labels: {app: toolbox}}
spec: {containers: [{name: main, image: "busybox:1"}]}
`

// An administrator works with kubectl through the server as directly.
func TestKubectl(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	for _, step := range []struct {
		args  string
		stdin string
		want  string
	}{
		{"get nodes", "", "node-0"},
		{"api-resources --api-group=iam.kubesphere.io", "", "globalroles"},
		{"explain deployment.spec.replicas", "", "KIND:       Deployment"},
		{"auth whoami", "", "admin"},
		{"auth can-i delete nodes", "", "yes"},
		{"get users", "", "admin@kubesphere.io"},
		{"create namespace proxied", "", "namespace/proxied created"},
		{"apply --server-side -f -", toolbox, "pod/toolbox serverside-applied"},
		{"wait --for=condition=Ready pod/toolbox --timeout=60s", "", "condition met"},
		{"get pods -l app=toolbox -o name", "", "pod/toolbox"},
		{"get pod toolbox --show-managed-fields -o jsonpath={.metadata.managedFields[0].manager}", "", "kubectl"},
		{"logs toolbox --tail=2", "", "\n"},
		{"exec toolbox -- echo over-websocket", "", "over-websocket"},
		{"label pod toolbox tier=tools", "", "labeled"},
		{"patch pod toolbox --type=json -p [{\"op\":\"remove\",\"path\":\"/metadata/labels/tier\"}]", "", "patched"},
		{"get --raw /api/v1/namespaces/default/pods/toolbox", "", `"kind":"Pod"`},
		{"delete pod toolbox --now", "", "deleted"},
		{"delete namespace proxied", "", "deleted"},
	} {
		output, err := kubectl(t, token, step.stdin, strings.Fields(step.args)...)
		if err != nil || !strings.Contains(output, step.want) {
			t.Errorf("kubectl %s: %v\n%.600s\nwant %q", step.args, err, output, step.want)
		}
	}
}

func TestKubectlWithoutRights(t *testing.T) {
	t.Parallel()
	token := user(t, "no-kubectl")
	for _, args := range []string{"get pods", "get secrets -A", "delete node node-0", "create namespace x", "get --raw /metrics"} {
		output, err := kubectl(t, token, "", strings.Fields(args)...)
		if err == nil || !strings.Contains(strings.ToLower(output), "forbidden") {
			t.Errorf("kubectl %s: %v\n%.300s", args, err, output)
		}
	}
	if output, err := kubectl(t, token, "", "api-resources"); err != nil || !strings.Contains(output, "deployments") {
		t.Errorf("discovery: %v\n%.300s", err, output)
	}
}

// What is authorised is what is forwarded.
func TestProxyPathTricks(t *testing.T) {
	t.Parallel()
	token := user(t, "path-tricks")
	for _, path := range []string{
		"/api/v1/namespaces/default/pods/..%2f..%2f..%2fsecrets", "/api/v1/../v1/secrets", "/api//v1/secrets", "/api/v1/namespaces/%2e%2e/secrets",
		"/api/v1/secrets/", "/api/v1/secrets?x=/healthz", "/apis/../api/v1/secrets", "/api/v1/secrets;x", "/version/../api/v1/secrets", "/api/v1/watch/secrets",
	} {
		if r := shared.get(t, path, bearer(token), header("X-HTTP-Method-Override", "HEAD"), header("X-Original-Url", "/version")); r.code != 403 && r.code != 400 {
			t.Errorf("%s: %d %.200s", path, r.code, r.body)
		}
	}
	if r := shared.get(t, "/api/v1/nodes"); r.code != 401 {
		t.Errorf("without a token: %d", r.code)
	}
	// Kubernetes' own errors pass unchanged.
	admin := shared.login(t).AccessToken
	got := shared.get(t, "/api/v1/namespaces/default/pods/none", bearer(admin))
	if status := decode[metav1.Status](t, got); got.code != 404 || status.Message != `pods "none" not found` || status.Details.Kind != "pods" {
		t.Errorf("got %d %s", got.code, got.body)
	}
}

// What is behind nodes, pods and services takes the right to their subresource
// proxy, with the verb of the method, and paths below arrive untouched.
func TestProxiedSubresources(t *testing.T) {
	t.Parallel()
	c, admin := kubernetes(t, ""), shared.login(t).AccessToken
	workspace(t, "behind")
	member := user(t, "behind")
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader", Namespace: "behind-project"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services", "pods"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"services/proxy"}, Verbs: []string{"get", "create"}},
	}})
	inNamespace(t, "behind", "behind-project", "reader")
	const project = "/api/v1/namespaces/behind-project"
	answers(t, "GET", project+"/services", member, 200)
	const reached = 0 // Kubernetes, which finds nobody there
	for _, test := range []struct {
		who, method, path string
		code              int
	}{
		{admin, "GET", "/api/v1/nodes/node-0/proxy/healthz", reached},
		{admin, "GET", "/api/v1/nodes/node-0/proxy/containerLogs/none//none/%2e%2e/x", 400},
		{member, "GET", "/api/v1/nodes/node-0/proxy/healthz", 403},
		{member, "GET", project + "/services/none/proxy/a//b", reached},
		{member, "GET", project + "/services/http:none:80/proxy/", reached},
		{member, "POST", project + "/services/none/proxy/a", reached},
		{member, "DELETE", project + "/services/none/proxy/a", 403},
		{member, "GET", project + "/pods/none/proxy/a", 403},
		{member, "GET", "/api/v1/namespaces/default/services/none/proxy/a", 403},
		{member, "GET", project + "/services/none/proxy/../../../../secrets", 400},
		{member, "GET", project + "/services/none/proxy/%2e%2e/x", 400},
	} {
		r := shared.do(t, test.method, test.path, nil, bearer(test.who))
		said := decode[metav1.Status](t, r).Message
		switch {
		case test.code != reached:
			if err := expect(r, test.code); err != nil {
				t.Errorf("%s %s: %v", test.method, test.path, err)
			}
		case !slices.ContainsFunc([]string{"address not allowed", "no endpoints available", "not found"}, func(part string) bool { return strings.Contains(said, part) }):
			t.Errorf("%s %s: %d %s", test.method, test.path, r.code, r.body)
		}
	}
}

// The method is the one of the request, whatever else says another.
func TestMethodTricks(t *testing.T) {
	t.Parallel()
	c, admin := kubernetes(t, ""), shared.login(t).AccessToken
	m := configMap(t, c, "stays", nil)
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		if err := expect(shared.get(t, "/api/v1/namespaces/default/configmaps/stays?_method=DELETE", bearer(admin), header(name, "DELETE")), 200); err != nil {
			t.Error(err)
		}
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil || m.DeletionTimestamp != nil {
		t.Errorf("a GET deleted it: %v", err)
	}
	twice := func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + admin, "Bearer " + admin} }
	if err := expect(shared.get(t, "/api/v1/nodes", twice), 400); err != nil {
		t.Error(err)
	}
}

// A watch delivers changes as they happen, and ends with the client.
func TestWatchThroughProxy(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shared.url+"/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	seen := make(chan string)
	go func() {
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if strings.Contains(lines.Text(), `"watched-by-proxy"`) {
				seen <- lines.Text()
				return
			}
		}
	}()
	configMap(t, kubernetes(t, ""), "watched-by-proxy", nil)
	select {
	case event := <-seen:
		if !strings.HasPrefix(event, `{"type":"ADDED"`) {
			t.Errorf("got %.100s", event)
		}
	case <-time.After(wait.Timeout):
		t.Error("the change did not arrive")
	}
}

// Documents are those of Kubernetes and ours together, for who is logged in.
func TestDocumentsMerged(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{"administrator": shared.login(t).AccessToken, "member": user(t, "documents")} {
		var document struct {
			Paths, Definitions map[string]any
		}
		r := shared.get(t, "/openapi/v2", bearer(token))
		if err := json.Unmarshal(r.body, &document); err != nil || r.code != 200 {
			t.Fatalf("%s: %d %v", name, r.code, err)
		}
		for _, path := range []string{"/api/v1/namespaces/{namespace}/pods", "/apis/iam.kubesphere.io/v1alpha2/users", "/kapis/iam.kubesphere.io/v1alpha2/users", "/oauth/token"} {
			if document.Paths[path] == nil {
				t.Errorf("%s: there is no %s among %d paths", name, path, len(document.Paths))
			}
		}
		if document.Definitions["io.k8s.api.core.v1.Pod"] == nil {
			t.Errorf("%s: there is no definition of a pod", name)
		}
		var index struct {
			Paths map[string]struct{ ServerRelativeURL string }
		}
		r = shared.get(t, "/openapi/v3", bearer(token))
		if err := json.Unmarshal(r.body, &index); err != nil || r.code != 200 {
			t.Fatalf("%s: %d %v", name, r.code, err)
		}
		for path, part := range map[string]string{"apis/apps/v1": "io.k8s.api.apps.v1.Deployment", "apis/iam.kubesphere.io/v1alpha2": "GlobalRole", "kapis": "/kapis/iam.kubesphere.io"} {
			if r := shared.get(t, index.Paths[path].ServerRelativeURL, bearer(token)); r.code != 200 || !strings.Contains(string(r.body), part) {
				t.Errorf("%s: %s at %q: %d", name, path, index.Paths[path].ServerRelativeURL, r.code)
			}
		}
	}
}
