//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// kubectlPod is the answer that says where kubectl runs.
type kubectlPod struct{ Namespace, Pod, Container string }

// TestKubectlTerminal: the pod has the rights of its user and no other, and
// nobody else gets in (ks PR#6253).
func TestKubectlTerminal(t *testing.T) {
	t.Parallel()
	workspace(t, "ktl")
	member, other := user(t, "ktl-member"), user(t, "ktl-other")
	inNamespace(t, "ktl-member", "ktl-project", "viewer")
	mine := kubeconfigs + "/ktl-member/kubectl"
	c := kubernetes(t, "")

	where := decode[kubectlPod](t, person{shared, "ktl-member", member}.must(t, 200, "GET", mine, nil))
	if where.Namespace != "kubesphere-terminals" || !strings.HasPrefix(where.Pod, "kubectl-") || where.Container == "" {
		t.Fatalf("got %+v", where)
	}
	pod := &corev1.Pod{}
	key := client.ObjectKey{Namespace: where.Namespace, Name: where.Pod}
	if err := c.Get(t.Context(), key, pod); err != nil {
		t.Fatal(err)
	}
	if spec := pod.Spec; *spec.AutomountServiceAccountToken || !*spec.SecurityContext.RunAsNonRoot || len(pod.OwnerReferences) != 1 || pod.OwnerReferences[0].Name != "ktl-member" {
		t.Errorf("the pod is %+v", pod)
	}
	exec := terminalPath + "/namespaces/" + where.Namespace + "/pods/" + where.Pod + "/exec"

	// What the console of 3.x does, and the one of 4.1.
	for _, path := range []string{exec + "?container=" + where.Container + "&shell=bash", terminalPath + "/users/ktl-member/kubectl"} {
		s := shared.terminal(t, path, member)
		s.typed("cat $KUBECONFIG\r")
		s.shows("current-context: ktl-member@kubesphere\r\n")
		s.shows("token: ")
		s.shows("\r\n/ # ")
		content := s.shown[strings.Index(s.shown, "apiVersion:"):]
		content = strings.ReplaceAll(content[:strings.LastIndex(content, "\r\n")], "\r\n", "\n")
		file := filepath.Join(t.TempDir(), "config")
		writeFile(t, file, content)
		checkKubeconfig(t, file)
		s.typed("exit\r")
		s.ends(5*time.Second, websocket.StatusNormalClosure, "")
	}
	// It is reused, and no token is in an object.
	again := decode[kubectlPod](t, person{shared, "ktl-member", member}.must(t, 200, "GET", mine, nil))
	reused := &corev1.Pod{}
	if err := c.Get(t.Context(), key, reused); err != nil || again != where || reused.UID != pod.UID {
		t.Errorf("another pod: %+v %v", again, err)
	}
	secrets := &corev1.SecretList{}
	if err := c.List(t.Context(), secrets, client.InNamespace(where.Namespace)); err != nil || len(secrets.Items) != 0 {
		t.Errorf("%d secrets, %v", len(secrets.Items), err)
	}
	admin := shared.login(t).AccessToken
	for _, test := range []struct {
		name, token, path string
		code              int
	}{
		{"the pod of another", other, exec, 403},
		{"another's kubectl", other, terminalPath + "/users/ktl-member/kubectl", 403},
		{"another's pod", other, mine, 403},
		{"not even an administrator", admin, terminalPath + "/users/ktl-member/kubectl", 403},
		{"nor the pod", admin, mine, 403},
		{"the own pod in Kubernetes", member, "/api/v1/namespaces/" + where.Namespace + "/pods/" + where.Pod + "/exec?command=sh", 403},
		{"another pod there", member, terminalPath + "/namespaces/" + where.Namespace + "/pods/other/exec", 403},
		{"pods there", member, "/api/v1/namespaces/" + where.Namespace + "/pods", 403},
		{"nobody", "", mine, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := []option{header("Connection", "Upgrade"), header("Upgrade", "websocket"), header("Sec-WebSocket-Version", "13"), header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")}
			if test.token != "" {
				options = append(options, bearer(test.token))
			}
			if r := shared.get(t, test.path, options...); r.code != test.code {
				t.Errorf("%d %.200s", r.code, r.body)
			}
		})
	}
	t.Run("a personal access token is not enough", func(t *testing.T) {
		made := decode[struct{ Token string }](t, person{shared, "ktl-member", member}.must(t, 201, "POST", users+"/ktl-member/tokens", fields{"description": "all", "scopes": []string{"all"}, "expiresInSeconds": 3600}))
		for _, path := range []string{mine, exec, terminalPath + "/users/ktl-member/kubectl"} {
			if s, response := shared.dial(t, path, bearer(made.Token)); s != nil || response.StatusCode != 403 {
				t.Errorf("%s: %d", path, response.StatusCode)
			}
		}
	})
	t.Run("files of the own pod", func(t *testing.T) {
		path := terminalPath + "/namespaces/" + where.Namespace + "/pods/" + where.Pod + "/file?path=/home/kubectl/.kube/config"
		if r := shared.get(t, path, bearer(member)); r.code != 200 || !strings.Contains(string(r.body), "ktl-member@kubesphere") {
			t.Errorf("the own: %d %.200s", r.code, r.body)
		}
		if r := shared.get(t, path, bearer(other)); r.code != 403 {
			t.Errorf("another's: %d", r.code)
		}
	})
	t.Run("goes with the user", func(t *testing.T) {
		person{shared, "admin", admin}.must(t, 200, "DELETE", users+"/ktl-member", nil)
		// The garbage collector looks for new types every half minute.
		wait.ForUpTo(t, 3*time.Minute, "the pod to go with its user", func() error {
			if err := c.Get(t.Context(), key, pod); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the pod is %s: %w", pod.Status.Phase, err)
			}
			return nil
		})
	})
}

const kubeconfigs = "/kapis/resources.kubesphere.io/v1alpha2/users"

// checkKubeconfig runs the real kubectl as a pod would.
func checkKubeconfig(t *testing.T, file string) {
	t.Helper()
	if config, err := clientcmd.LoadFromFile(file); err != nil || config.Clusters["kubesphere"].Server != shared.secure {
		t.Fatalf("kubeconfig: %v", err)
	}
	for args, want := range map[string]string{
		"auth whoami":               "ktl-member",
		"get pods -n ktl-project":   "No resources found",
		"get nodes":                 "forbidden",
		"get secrets -A":            "forbidden",
		"delete ns ktl-project":     "forbidden",
		"get pods -n kube-system":   "forbidden",
		"create ns ktl-by-a-member": "forbidden",
	} {
		command := exec.CommandContext(t.Context(), "../../bin/kubectl", append([]string{"--cache-dir", t.TempDir()}, strings.Fields(args)...)...)
		command.Env = append(os.Environ(), "KUBECONFIG="+file)
		output, _ := command.CombinedOutput()
		if !strings.Contains(string(output), want) {
			t.Errorf("kubectl %s: %s", args, output)
		}
	}
}

// A pod nobody uses is removed, and one whose terminal is open is not.
func TestKubectlPodIdle(t *testing.T) {
	t.Parallel()
	i := run(t, func(c *config.Config) {
		c.Terminal.Kubectl.Server, c.Terminal.Kubectl.CertificateAuthority = shared.secure, shared.certificate
		c.Terminal.Kubectl.IdleTimeout.Duration = 8 * time.Second
		c.Terminal.Kubectl.Namespace = "kubectl-idle"
		// Tokens are renewed before they expire.
		c.Authentication.OAuthOptions.AccessTokenMaxAge.Duration = 6 * time.Second
		c.Authentication.MaximumClockSkew.Duration = time.Second
	})
	if err := i.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	token := user(t, "idle-kubectl")
	wait.For(t, "the token to be accepted by this replica", func() error { return expect(i.get(t, "/version", bearer(token)), 200) })
	s := i.terminal(t, terminalPath+"/users/idle-kubectl/kubectl", token)
	lookUp := func() string {
		t.Helper()
		s.shown = ""
		s.typed("cat $KUBECONFIG; echo that-is-'all'\r")
		s.shows("that-is-all\r\n")
		_, after, _ := strings.Cut(s.shown, "token: ")
		found, _, _ := strings.Cut(after, "\r\n")
		if found == "" {
			t.Fatalf("no token in %q", s.shown)
		}
		return found
	}
	first := lookUp()
	c := kubernetes(t, "")
	pods := func() int {
		found := &corev1.PodList{}
		if err := c.List(t.Context(), found, client.InNamespace("kubectl-idle")); err != nil {
			t.Fatal(err)
		}
		return len(found.Items)
	}
	// Longer than the pod may be idle, and than the first token is valid.
	for open := time.Now(); time.Since(open) < 10*time.Second; time.Sleep(time.Second) {
		if pods() != 1 {
			t.Fatal("the pod is gone while its terminal is open")
		}
	}
	renewed := lookUp()
	if r := i.get(t, "/kapis/iam.kubesphere.io/v1alpha2/users/idle-kubectl", bearer(first)); r.code != 401 {
		t.Errorf("the first token after ten seconds: %d", r.code)
	}
	if r := i.get(t, "/kapis/iam.kubesphere.io/v1alpha2/users/idle-kubectl", bearer(renewed)); r.code != 200 {
		t.Errorf("the renewed token: %d %s", r.code, r.body)
	}
	s.typed("exit\r")
	s.ends(5*time.Second, websocket.StatusNormalClosure, "")
	wait.Until(t, "the idle pod to be removed", func() bool { return pods() == 0 })
}
