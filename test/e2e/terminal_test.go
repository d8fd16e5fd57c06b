//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const terminalPath = "/kapis/terminal.kubesphere.io/v1alpha2"

// screen is a terminal as the console has it.
type screen struct {
	t      *testing.T
	conn   *websocket.Conn
	shown  string
	toasts string
	closed error
}

// dial opens a terminal, or returns how that was refused.
func (i *instance) dial(t *testing.T, path string, options ...option) (*screen, *http.Response) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, apply := range options {
		apply(request)
	}
	conn, response, err := websocket.Dial(t.Context(), strings.Replace(i.url, "http", "ws", 1)+path, &websocket.DialOptions{HTTPHeader: request.Header})
	if err != nil {
		if response == nil {
			t.Fatal(err)
		}
		return nil, response
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &screen{t: t, conn: conn}, response
}

// terminal opens a terminal that has to be there.
func (i *instance) terminal(t *testing.T, path, token string) *screen {
	t.Helper()
	s, response := i.dial(t, path, bearer(token))
	if s == nil {
		body, _ := io.ReadAll(response.Body)
		t.Fatalf("%s: %d %s", path, response.StatusCode, body)
	}
	return s
}

func (s *screen) send(frame string) {
	s.t.Helper()
	if err := s.conn.Write(s.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		s.t.Fatal(err)
	}
}

// typed sends keys as the console does.
func (s *screen) typed(keys string) {
	s.t.Helper()
	encoded, err := json.Marshal(map[string]string{"Op": "stdin", "Data": keys})
	if err != nil {
		s.t.Fatal(err)
	}
	s.send(string(encoded))
}

// read takes in frames until it is enough, the terminal closes, or it takes too
// long.
func (s *screen) read(enough func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), wait.Timeout)
	defer cancel()
	for !enough() && s.closed == nil {
		_, message, err := s.conn.Read(ctx)
		if err != nil {
			s.closed = err
			return
		}
		var frame struct{ Op, Data string }
		if err := json.Unmarshal(message, &frame); err != nil {
			s.t.Fatalf("frame %q: %v", message, err)
		}
		switch frame.Op {
		case "stdout":
			s.shown += frame.Data
		case "toast":
			s.toasts += frame.Data
		default:
			s.t.Fatalf("frame %s", message)
		}
	}
}

// shows fails the test unless a text appears.
func (s *screen) shows(text string) {
	s.t.Helper()
	s.read(func() bool { return strings.Contains(s.shown, text) })
	if !strings.Contains(s.shown, text) {
		s.t.Fatalf("%q does not appear but %q, toasts %q, %v", text, s.shown, s.toasts, s.closed)
	}
}

// ends fails the test unless the terminal is closed with a code, by the server and
// not by the end of the connection. The time is what it takes on an idle machine;
// the limit is that of wait.For.
func (s *screen) ends(_ time.Duration, code websocket.StatusCode, toast string) {
	s.t.Helper()
	s.read(func() bool { return false })
	var closed websocket.CloseError
	if !errors.As(s.closed, &closed) || closed.Code != code || !strings.Contains(s.toasts, toast) {
		s.t.Fatalf("ends with %v, toasts %q, want code %d and %q", s.closed, s.toasts, code, toast)
	}
}

// runningPod makes a pod with two containers and waits until it runs.
func runningPod(t *testing.T, namespace, name string) {
	t.Helper()
	c := kubernetes(t, "")
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "main", Image: "busybox:1", Env: []corev1.EnvVar{{Name: "WHERE", Value: "in-main"}}},
			{Name: "side", Image: "busybox:1", Env: []corev1.EnvVar{{Name: "WHERE", Value: "in-side"}}},
		}},
	}
	create(t, c, pod)
	wait.For(t, "the pod to run", func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if pod.Status.Phase != corev1.PodRunning {
			return errors.New("the pod does not run")
		}
		return nil
	})
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	workspace(t, "shells")
	runningPod(t, "shells-project", "web")
	at := terminalPath + "/namespaces/shells-project/pods/web/exec"
	operator, viewer, other := user(t, "shells-operator"), user(t, "shells-viewer"), user(t, "shells-other")
	inNamespace(t, "shells-operator", "shells-project", "operator")
	inNamespace(t, "shells-viewer", "shells-project", "viewer")
	answers(t, "GET", at, operator, 400)

	t.Run("probe", func(t *testing.T) {
		// 404 would make the console try an old address.
		r := shared.get(t, at+"?container=none&shell=sh", bearer(operator))
		if status := decode[metav1.Status](t, r); r.code != 400 || status.Kind != "Status" || !strings.Contains(status.Message, "WebSocket") {
			t.Errorf("got %d %s", r.code, r.body)
		}
	})
	t.Run("shell", func(t *testing.T) {
		s := shared.terminal(t, at+"?container=main&shell=sh", operator)
		s.send(`{"Op":"resize","Cols":101,"Rows":37}`)
		s.typed("echo $WHERE ü\r")
		s.shows("in-main ü\r\n")
		s.typed("stty size\r")
		s.shows("37 101")
		s.send(`{"Op":"resize","Cols":80,"Rows":24}`)
		// Sizes have a stream of their own.
		wait.For(t, "the terminal to have the new size", func() error {
			s.shown = ""
			s.typed("stty size; echo that-is-'all'\r")
			s.shows("that-is-all\r\n")
			if !strings.Contains(s.shown, "24 80") {
				return errors.New(s.shown)
			}
			return nil
		})
		s.typed("\x04")
		s.ends(5*time.Second, websocket.StatusNormalClosure, "")
	})
	t.Run("another container, shells tried", func(t *testing.T) {
		s := shared.terminal(t, at+"?container=side", operator)
		s.typed("echo $WHERE\r")
		s.shows("in-side")
		s.typed("exit 7\r")
		s.ends(5*time.Second, websocket.StatusNormalClosure, "")
	})
	t.Run("no container named", func(t *testing.T) {
		s := shared.terminal(t, at, operator)
		s.typed("echo $WHERE\r")
		s.shows("in-main")
	})
	t.Run("not a frame", func(t *testing.T) {
		s := shared.terminal(t, at, operator)
		s.send("ls\n")
		s.ends(5*time.Second, websocket.StatusPolicyViolation, "no frame")
	})
	t.Run("much output", func(t *testing.T) {
		s := shared.terminal(t, at, operator)
		s.typed("seq 20000; echo the-end\r")
		s.shows("\n20000\r\nthe-end")
	})
	for _, test := range []struct {
		name, path string
		options    []option
		code       int
	}{
		{"unknown container", at + "?container=none", []option{bearer(operator)}, 404},
		{"unknown pod", terminalPath + "/namespaces/shells-project/pods/none/exec", []option{bearer(operator)}, 404},
		{"a command is no shell", at + "?shell=reboot", []option{bearer(operator)}, 400},
		{"may only look", at, []option{bearer(viewer)}, 403},
		{"has nothing to do with it", at, []option{bearer(other)}, 403},
		{"nobody", at, nil, 401},
		{"elsewhere", terminalPath + "/namespaces/kube-system/pods/web/exec", []option{bearer(operator)}, 403},
		{"a node", terminalPath + "/nodes/node-1/exec", []option{bearer(operator)}, 403},
		{"another site with a password", at, []option{func(r *http.Request) { r.SetBasicAuth("shells-operator", "secret-shells-operator") }, header("Origin", "https://evil.example")}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			if s, response := shared.dial(t, test.path, test.options...); s != nil || response.StatusCode != test.code {
				t.Errorf("got %d", response.StatusCode)
			}
		})
	}
}

// A terminal on a node is root in a pod that goes with it.
func TestNodeTerminal(t *testing.T) {
	t.Parallel()
	admin := shared.login(t).AccessToken
	c := kubernetes(t, "")
	pods := func() int {
		t.Helper()
		found := &corev1.PodList{}
		if err := c.List(t.Context(), found, client.InNamespace("kubesphere-system"), client.MatchingLabels{"app.kubernetes.io/name": "node-shell"}); err != nil {
			t.Fatal(err)
		}
		for n := range found.Items {
			if spec := found.Items[n].Spec; spec.NodeName != "node-1" || !*spec.Containers[0].SecurityContext.Privileged || *spec.AutomountServiceAccountToken {
				t.Errorf("the pod is %+v", spec)
			}
		}
		return len(found.Items)
	}
	s := shared.terminal(t, terminalPath+"/nodes/node-1/exec", admin)
	s.typed("whoami\r")
	s.shows("root")
	if n := pods(); n != 1 {
		t.Errorf("%d pods", n)
	}
	s.typed("exit\r")
	s.ends(5*time.Second, websocket.StatusNormalClosure, "")
	wait.Until(t, "the pod of the node's terminal to go", func() bool { return pods() == 0 })
	if s, response := shared.dial(t, terminalPath+"/nodes/none/exec", bearer(admin)); s != nil || response.StatusCode != 404 {
		t.Errorf("a node that is not there: %d", response.StatusCode)
	}
}

// What ends a terminal is told, and does so within seconds.
func TestTerminalEnds(t *testing.T) {
	t.Parallel()
	workspace(t, "ended")
	runningPod(t, "ended-project", "web")
	at := terminalPath + "/namespaces/ended-project/pods/web/exec"
	open := func(t *testing.T, i *instance, name string) (*screen, string) {
		t.Helper()
		token := user(t, name)
		inNamespace(t, name, "ended-project", "operator")
		wait.For(t, "the right to open a terminal", func() error { return expect(i.get(t, at, bearer(token)), 400) })
		s := i.terminal(t, at, token)
		s.typed("echo ready-$WHERE\r")
		s.shows("ready-in-main")
		return s, token
	}
	t.Run("logged out", func(t *testing.T) {
		s, token := open(t, shared, "ended-session")
		if r := shared.get(t, "/oauth/logout", bearer(token)); r.code >= 400 {
			t.Fatalf("logout: %d %s", r.code, r.body)
		}
		s.ends(6*time.Second, websocket.StatusPolicyViolation, "may not have it any more")
	})
	t.Run("personal access token revoked", func(t *testing.T) {
		owner := person{shared, "ended-token", user(t, "ended-token")}
		inNamespace(t, owner.name, "ended-project", "operator")
		answers(t, "GET", at, owner.token, 400)
		made := decode[struct {
			Metadata struct{ Name string }
			Token    string
		}](t, owner.must(t, 201, "POST", users+"/ended-token/tokens", fields{"scopes": []string{"terminal.kubesphere.io/pods/exec:create"}, "expiresInSeconds": 3600}))
		s := shared.terminal(t, at, made.Token)
		s.typed("echo re'ad'y\r")
		s.shows("ready\r\n")
		owner.must(t, 200, "DELETE", users+"/ended-token/tokens/"+made.Metadata.Name, nil)
		s.ends(6*time.Second, websocket.StatusPolicyViolation, "may not have it any more")
	})
	t.Run("right taken away", func(t *testing.T) {
		s, _ := open(t, shared, "ended-right")
		c := kubernetes(t, "")
		if err := c.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "ended-project", Name: "ended-right-operator"}}); err != nil {
			t.Fatal(err)
		}
		s.ends(6*time.Second, websocket.StatusPolicyViolation, "may not have it any more")
	})
	t.Run("idle, too many, too long, stopped", func(t *testing.T) {
		i := run(t, func(c *config.Config) {
			// Two terminals are opened and a third is refused meanwhile.
			c.Terminal.Timeout, c.Terminal.MaxPerUser = 10, 2
		})
		if err := i.waitReady(wait.Timeout); err != nil {
			t.Fatal(err)
		}
		first, token := open(t, i, "ended-idle")
		second := i.terminal(t, at, token)
		if s, response := i.dial(t, at, bearer(token)); s != nil || response.StatusCode != 429 || response.Header.Get("Retry-After") == "" {
			t.Errorf("one too many: %d", response.StatusCode)
		}
		admin := i.login(t).AccessToken
		if r := i.get(t, "/metrics", bearer(admin)); !regexp.MustCompile(`(?m)^ks_apiserver_terminals 2$`).Match(r.body) {
			t.Errorf("the gauge is not 2: %d", r.code)
		}
		second.typed("exit\r")
		second.ends(5*time.Second, websocket.StatusNormalClosure, "")
		first.ends(8*time.Second, websocket.StatusGoingAway, "nothing was typed")
		// Who goes without a word.
		_ = i.terminal(t, at, token).conn.CloseNow()
		wait.Until(t, "terminals to no longer count", func() bool {
			return strings.Contains(string(i.get(t, "/metrics", bearer(admin)).body), "ks_apiserver_terminals 0\n")
		})
	})
	t.Run("lifetime", func(t *testing.T) {
		i := run(t, func(c *config.Config) { c.Terminal.MaxLifetime.Duration = 8 * time.Second })
		if err := i.waitReady(wait.Timeout); err != nil {
			t.Fatal(err)
		}
		s, _ := open(t, i, "ended-late")
		s.ends(8*time.Second, websocket.StatusGoingAway, "was open for 8s")
	})
	t.Run("server stops", func(t *testing.T) {
		i, err := start(func(*config.Config) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := i.waitReady(wait.Timeout); err != nil {
			t.Fatal(err)
		}
		s, _ := open(t, i, "ended-stop")
		go func() { _ = i.stop() }()
		s.ends(6*time.Second, websocket.StatusServiceRestart, "the server stops")
	})
}
