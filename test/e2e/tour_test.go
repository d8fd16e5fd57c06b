//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// shell is somebody's kubectl: with a kubeconfig, and a namespace to work in.
type shell struct {
	kubeconfig, cache, namespace string
	environment                  []string
}

// through is a kubectl whose kubeconfig points at the shared server.
func through(t *testing.T, token, namespace string) *shell {
	t.Helper()
	return shared.through(t, token, namespace)
}

// through is a kubectl whose kubeconfig points at the server.
func (i *instance) through(t *testing.T, token, namespace string) *shell {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "kubeconfig"), fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: ks, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: me, user: {token: %q}}]
contexts: [{name: ks, context: {cluster: ks, user: me, namespace: %s}}]
current-context: ks
`, i.secure, i.certificate, token, namespace))
	return &shell{kubeconfig: filepath.Join(dir, "kubeconfig"), cache: filepath.Join(dir, "cache"), namespace: namespace}
}

// directly is the kubectl of the administrator of the shared cluster.
func directly(t *testing.T, namespace string) *shell {
	t.Helper()
	return shared.directly(t, namespace)
}

// directly is the kubectl of the administrator of the cluster.
func (i *instance) directly(t *testing.T, namespace string) *shell {
	t.Helper()
	return &shell{kubeconfig: i.kubeconfig, cache: filepath.Join(t.TempDir(), "cache"), namespace: namespace}
}

func (s *shell) command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "../../bin/kubectl", append([]string{"--cache-dir", s.cache, "--namespace", s.namespace}, args...)...)
	command.Env = append(append(os.Environ(), "KUBECONFIG="+s.kubeconfig), s.environment...)
	return command
}

// run returns what a command prints, and how it ended.
func (s *shell) run(ctx context.Context, stdin string, args ...string) (string, int) {
	ctx, cancel := context.WithTimeout(ctx, 2*wait.Timeout)
	defer cancel()
	command := s.command(ctx, args...)
	command.Stdin = strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err.Error(), -1
	}
	return string(output), command.ProcessState.ExitCode()
}

// What is different each time and nothing but that.
var varying = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`(?m)^Waiting for .*\n`), ""}, // as often as it has to
	{regexp.MustCompile(`tour-(direct|admin|project)`), "NAMESPACE"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}`), "TIME"},
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}`), "TIME"},
	{regexp.MustCompile(`([a-z])-[0-9a-z]{8,10}-[0-9a-z]{5}\b`), "$1-POD"},
	{regexp.MustCompile(`([a-z])-[0-9a-f]{8,10}\b`), "$1-SET"},
	{regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+(:\d+)?`), "ADDRESS"},
	{regexp.MustCompile(`("?resourceVersion"?:\s*)"\d+"`), "$1VERSION"},
	{regexp.MustCompile(`\b(\d+[dhms])+\b|<(unknown|invalid)>`), "AGE"},
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "TOKEN"},
	{regexp.MustCompile(`/(tmp|var)/\S+`), "FILE"},
	{regexp.MustCompile(`containerd://[0-9a-f]{64}`), "CONTAINER"},
	{regexp.MustCompile(`node-[12]`), "NODE"},
	{regexp.MustCompile(`zone-[a-z]\b`), "ZONE"}, // that of the node
	{regexp.MustCompile(`kube-api-access-\w{5}`), "VOLUME"},
	{regexp.MustCompile(`-{3,}`), "---"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

func constant(output string) string {
	for _, v := range varying {
		output = v.pattern.ReplaceAllString(output, v.by)
	}
	return strings.TrimSpace(output)
}

// lacking are the lines of a text another does not have.
func lacking(text, other string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if !slices.Contains(slices.Collect(strings.Lines(other)), line) {
			fmt.Fprintf(&lines, "\t%.400s\n", strings.TrimSpace(line))
		}
	}
	return lines.String()
}

const (
	settings = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: %s}
`
	web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "%s"}]}
`
	bench = `
apiVersion: v1
kind: Pod
metadata: {name: bench, labels: {app: bench}}
spec: {containers: [{name: main, image: "busybox:1"}]}
`
	limits = `
apiVersion: v1
kind: ResourceQuota
metadata: {name: limits}
spec: {hard: {services: "0"}}
`
)

// stop is one command of the tour. Its outcome is what it is without the
// server, unless it says a part of what somebody is told.
type stop struct {
	args, stdin, env string
	admin, member    string
}

// denied is being told that one may not.
const denied = "forbidden"

// tour is what people do with kubectl, in an order that makes sense.
func tour() []stop {
	return []stop{
		// /version is that of the platform, with Kubernetes' in it: consoles read it.
		{args: "version", admin: "Server Version: v", member: "Server Version: v"},
		{args: "api-versions"},
		{args: "api-resources"},
		{args: "api-resources --namespaced=false -o name"},
		{args: "explain pod"},
		{args: "explain deployment.spec.strategy --recursive"},
		{args: "explain workspaces.spec"},
		{args: "explain pod --output=plaintext-openapiv2"},
		{args: "get --raw /openapi/v3/apis/apps/v1"},
		{args: "get nodes", member: denied},
		{args: "get nodes -o name", member: denied},
		{args: "describe node node-0 --show-events=false", member: denied},
		{args: "get namespaces -o name", member: "namespace/NAMESPACE"},
		{args: "get namespaces", member: "NAMESPACE Active AGE"},
		{args: "get namespace {ns} -o jsonpath={.status.phase}"},
		{args: "get namespace kube-system -o name", member: denied},
		{args: "get clusterroles -o name", member: denied},
		{args: "get crd -o name", member: denied},
		{args: "get pods --all-namespaces -o name", member: denied},
		{args: "apply -f -", stdin: fmt.Sprintf(settings, "red")},
		{args: "apply -f - --dry-run=server", stdin: fmt.Sprintf(settings, "blue")},
		{args: "diff -f -", stdin: fmt.Sprintf(settings, "green")},
		{args: "apply --server-side -f - --field-manager=tour", stdin: fmt.Sprintf(web, 1, "nginx:1")},
		{args: "rollout status deployment/web --timeout=100s"},
		{args: "wait --for=condition=Available deployment/web --timeout=100s"},
		{args: "get deployments,replicasets"},
		{args: "get pods -l app=web -o wide"},
		{args: "scale deployment/web --replicas=2"},
		{args: "set image deployment/web main=nginx:2"},
		{args: "rollout status deployment/web --timeout=100s"},
		{args: "rollout history deployment/web"},
		{args: "rollout undo deployment/web"},
		{args: "describe configmap settings"},
		{args: "expose deployment web --port=80 --name=web"},
		{args: "get service web -o jsonpath={.spec.ports[0].port}"},
		{args: "label configmap settings tier=front"},
		{args: "annotate configmap settings note=1"},
		{args: `patch configmap settings -p {"data":{"a":"1"}}`},
		{args: `patch configmap settings --type=merge -p {"data":{"b":"2"}}`},
		{args: `patch configmap settings --type=json -p [{"op":"remove","path":"/data/a"}]`},
		{args: "edit configmap settings", env: "KUBE_EDITOR=sed -i s/red/yellow/"},
		{args: "get configmap settings -o yaml"},
		{args: "replace -f -", stdin: fmt.Sprintf(settings, "black")},
		{args: "create secret generic secret --from-literal=a=b"},
		{args: "get secret secret -o jsonpath={.data.a}"},
		{args: "create serviceaccount robot"},
		{args: "create token robot", member: denied},
		{args: "create role reader --verb=get --resource=pods", member: denied},
		{args: "create rolebinding reader --role=reader --serviceaccount={ns}:robot", member: denied},
		{args: "apply -f -", stdin: bench},
		{args: "wait --for=condition=Ready pod/bench --timeout=100s"},
		{args: "describe pod bench --show-events=false"},
		{args: "get pod bench -o custom-columns=NAME:.metadata.name,PHASE:.status.phase"},
		{args: "logs bench --limit-bytes=40"},
		{args: "logs none"},
		{args: "exec bench -- echo over a WebSocket"},
		{args: "exec bench -- echo over SPDY", env: "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false"},
		{args: "exec -i bench -- cat", stdin: "what goes in\n"},
		{args: "exec -it bench -- sh -c exit\u00a03", stdin: ""},
		{args: "exec bench -c none -- true"},
		{args: "attach -i bench", stdin: "what it is told\n"},
		{args: "run once --image=busybox --restart=Never"},
		{args: "create job once --image=busybox"},
		{args: "create cronjob often --image=busybox --schedule=@yearly"},
		{args: "autoscale deployment/web --min=1 --max=2"},
		{args: "wait --for=condition=Complete job/once --timeout=100s"},
		{args: "get jobs,cronjobs,services"},
		{args: "get hpa -o name"},
		{args: "get events --field-selector=involvedObject.name=none"},
		{args: "top pods"},
		{args: "top nodes"},
		{args: "auth can-i create pods"},
		{args: "auth can-i create nodes", member: "no"},
		{args: "auth can-i --list --no-headers", admin: "*.* [] [] [*]", member: "*.apps [] [] [get list watch create update patch delete deletecollection]"},
		{args: "auth whoami", admin: "Username admin", member: "tour-member"},
		{args: "label node node-0 {ns}=1", member: denied},
		{args: "label node node-0 {ns}-", member: denied},
		{args: "drain node-0 --dry-run=server --ignore-daemonsets", member: denied},
		{args: "create namespace tour-created-{ns}", member: denied},
		{args: "delete namespace tour-created-{ns} --wait=false", member: denied},
		// Errors of Kubernetes are nobody else's.
		{args: "get pod none"},
		{args: "get nonsense"},
		{args: "create configmap settings"},
		{args: "apply -f -", stdin: "apiVersion: v1\nkind: Pod\nmetadata: {name: UPPER}\nspec: {containers: [{name: a, image: b}]}\n"},
		{args: "apply -f -", stdin: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\nunknown: 1\n"},
		{args: "apply -f -", stdin: limits, member: denied},
		{args: "create service clusterip more --tcp=80", member: "service/more created"}, // without the quota
		{args: "get configmaps --watch --request-timeout=1s -o name"},
		{args: "delete pod once --now"},
		{args: "delete deployment,service,configmap web settings --ignore-not-found"},
		{args: "cp bench:/etc/hostname {dir}/hostname"},
		{args: "cp {dir}/hostname bench:/tmp/copied"},
		{args: "exec bench -- cat /tmp/copied"},
	}
}

// TestTour: everything kubectl does through the server has the outcome it has
// without, for an administrator; a member of one project gets what is granted
// there, and nothing else.
func TestTour(t *testing.T) {
	t.Parallel()
	i := ownCluster(t, "--nodes", "3") // many commands show everything there is
	i.workspace(t, "tour")
	member := i.user(t, "tour-member")
	i.inNamespace(t, "tour-member", "tour-project", "operator")
	c := kubernetes(t, i.kubeconfig)
	for _, name := range []string{"tour-direct", "tour-admin"} {
		create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	direct := i.directly(t, "tour-direct")
	administrator, visitor := i.through(t, i.login(t).AccessToken, "tour-admin"), i.through(t, member, "tour-project")
	i.answers(t, "GET", "/api/v1/namespaces/tour-project/pods", member, 200)
	if got, _ := visitor.run(t.Context(), "", "get", "namespaces", "-o", "name"); got != "namespace/tour-project\n" {
		t.Errorf("the member sees %s", got)
	}
	stops := tour()
	if len(stops) < 40 {
		t.Errorf("only %d commands", len(stops))
	}
	for _, stop := range stops {
		t.Run(stop.args, func(t *testing.T) {
			take := func(s *shell) (string, int) {
				var args []string
				for _, arg := range strings.Fields(strings.NewReplacer("{ns}", s.namespace, "{dir}", filepath.Dir(s.cache)).Replace(stop.args)) {
					args = append(args, strings.ReplaceAll(arg, "\u00a0", " "))
				}
				s.environment = nil
				if stop.env != "" {
					s.environment = []string{stop.env}
				}
				return s.run(t.Context(), stop.stdin, args...)
			}
			wanted, code := take(direct)
			wanted = constant(wanted)
			for _, caller := range []struct {
				*shell
				part string
			}{{administrator, stop.admin}, {visitor, stop.member}} {
				got, ended := take(caller.shell)
				got = constant(got)
				switch {
				case caller.part == "" && (got != wanted || ended != code):
					t.Errorf("in %s, through the server: exit code %d\n%swithout: exit code %d\n%s", caller.namespace, ended, lacking(got, wanted), code, lacking(wanted, got))
				case !strings.Contains(strings.ToLower(got), strings.ToLower(caller.part)), caller.part == denied && ended == 0:
					t.Errorf("in %s, through the server: exit code %d\n%.600s\nwant %q", caller.namespace, ended, got, caller.part)
				}
			}
		})
	}
}
