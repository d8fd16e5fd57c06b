//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// running makes a pod and waits until it runs.
func running(t *testing.T, c client.Client, namespace, name string) {
	t.Helper()
	create(t, c, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox:1"}}},
	})
	wait.For(t, "the pod to run", func() error {
		pod := &corev1.Pod{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, pod); err != nil || pod.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("the pod is %s: %v", pod.Status.Phase, err)
		}
		return nil
	})
}

// eachWay runs a test as an administrator and a member, over both protocols.
func eachWay(t *testing.T, project string, test func(t *testing.T, s *shell)) {
	workspace(t, project)
	member := user(t, project+"-member")
	inNamespace(t, project+"-member", project+"-project", "operator")
	answers(t, "GET", "/api/v1/namespaces/"+project+"-project/pods", member, 200)
	running(t, kubernetes(t, ""), project+"-project", "shell")
	for name, token := range map[string]string{"administrator": shared.login(t).AccessToken, "member": member} {
		for protocol, environment := range map[string][]string{
			"WebSocket": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true", "KUBECTL_PORT_FORWARD_WEBSOCKETS=true"},
			"SPDY":      {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"},
		} {
			t.Run(name+" over "+protocol, func(t *testing.T) {
				s := through(t, token, project+"-project")
				s.environment = environment
				test(t, s)
			})
		}
	}
}

// Ports of pods are reached, several times over one connection.
func TestPortForward(t *testing.T) {
	t.Parallel()
	forwarding := regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) -> 8080`)
	eachWay(t, "forward", func(t *testing.T, s *shell) {
		ctx, cancel := context.WithTimeout(t.Context(), wait.Timeout)
		defer cancel()
		command := s.command(ctx, "port-forward", "pod/shell", ":8080")
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { cancel(); _ = command.Wait() }()
		line, err := bufio.NewReader(output).ReadString('\n')
		found := forwarding.FindStringSubmatch(line)
		if err != nil || found == nil {
			t.Fatalf("%v: %s", err, line)
		}
		transport := &http.Transport{DisableKeepAlives: true} // a stream for each
		for n := range 3 {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/%d", found[1], n), nil)
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if want := fmt.Sprintf("GET /%d on port 8080 of pod forward-project/shell\n", n); err != nil || string(body) != want {
				t.Errorf("got %q, %v, want %q", body, err, want)
			}
		}
	})
}

// What is typed arrives, what is answered comes back, and how it ended.
func TestExecAndAttach(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef\n", 20_000)
	eachWay(t, "exec", func(t *testing.T, s *shell) {
		for _, test := range []struct {
			args, stdin, want string
			code              int
		}{
			{"exec shell -- echo hello", "", "hello\n", 0},
			{"exec -i shell -- cat", large, large, 0},
			{"exec -i shell -- sh", "echo one\nexit 3\n", "one\ncommand terminated with exit code 3\n", 3},
			{"attach -q -i shell", "to the main process\n", "to the main process\n", 0},
		} {
			got, code := s.run(t.Context(), test.stdin, strings.Fields(test.args)...)
			if got != test.want || code != test.code {
				t.Errorf("kubectl %s: %d bytes, exit code %d: %.200q", test.args, len(got), code, got)
			}
		}
	})
}

// A member's terminal is in the own project only.
func TestExecElsewhere(t *testing.T) {
	t.Parallel()
	running(t, kubernetes(t, ""), "default", "not-yours")
	s := through(t, user(t, "exec-elsewhere"), "default")
	for _, args := range []string{"exec not-yours -- echo", "attach not-yours", "port-forward pod/not-yours :80", "logs not-yours"} {
		got, code := s.run(t.Context(), "", strings.Fields(args)...)
		if code == 0 || !strings.Contains(got, "forbidden") {
			t.Errorf("kubectl %s: %d %s", args, code, got)
		}
	}
}

// Each line of a log that is followed arrives as fast as without the server.
func TestLogsFollow(t *testing.T) {
	t.Parallel()
	// A line comes each second. One that is kept back until the next comes is a second late.
	const lines, allowed = 5, 500 * time.Millisecond
	running(t, kubernetes(t, ""), "default", "talks")
	type line struct {
		text string
		at   time.Time
	}
	follow := func(s *shell) <-chan line {
		command := s.command(t.Context(), "logs", "-f", "--tail=1", "talks")
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
		read := make(chan line, 100)
		go func() {
			defer close(read)
			for scanner := bufio.NewScanner(output); scanner.Scan(); {
				read <- line{scanner.Text(), time.Now()}
			}
		}()
		return read
	}
	direct, ours := follow(directly(t, "default")), follow(through(t, shared.login(t).AccessToken, "default"))
	without := make(map[string]time.Time)
	deadline := time.After(wait.Timeout)
	<-ours // what there was before
	<-direct
	var late []time.Duration
	for len(late) < lines {
		select {
		case l := <-direct:
			without[l.text] = l.at
		case l := <-ours:
			wait.For(t, "the line without the server", func() error {
				select {
				case d := <-direct:
					without[d.text] = d.at
				default:
				}
				if without[l.text].IsZero() {
					return errors.New("only this server has the line " + l.text)
				}
				return nil
			})
			late = append(late, l.at.Sub(without[l.text]))
		case <-deadline:
			t.Fatalf("only %d lines in time", len(late))
		}
	}
	slices.Sort(late)
	if median := late[lines/2]; median > allowed {
		t.Errorf("half of the lines are %s later than without the server: %v", median, late)
	}
}

// socket opens a WebSocket as the console's Node server does: with the token in
// a header, and the page's origin.
func socket(t *testing.T, path, token string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	return websocket.Dial(t.Context(), shared.url+path, &websocket.DialOptions{HTTPHeader: http.Header{
		"Authorization": {"Bearer " + token}, "Origin": {"http://console.example.com"},
	}})
}

// The console watches over WebSockets, below {apiVersion}/watch.
func TestWatchOverWebSocket(t *testing.T) {
	t.Parallel()
	workspace(t, "socket")
	member, admin := user(t, "socket-member"), shared.login(t).AccessToken
	inNamespace(t, "socket-member", "socket-project", "operator")
	const own, hidden = "/api/v1/watch/namespaces/socket-project/configmaps", "socket-hidden"
	answers(t, "GET", "/api/v1/namespaces/socket-project/configmaps", member, 200)
	c := kubernetes(t, "")
	event := func(t *testing.T, conn *websocket.Conn, wanted func(kind, name string) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), wait.Timeout)
		defer cancel()
		for {
			_, text, err := conn.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var f struct {
				Type   string
				Object object
			}
			if err := json.Unmarshal(text, &f); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if wanted(f.Type, f.Object.Metadata.Name) {
				return
			}
		}
	}
	for name, token := range map[string]string{"administrator": admin, "member": member} {
		t.Run(name, func(t *testing.T) {
			conn, _, err := socket(t, own, token)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.CloseNow() }()
			conn.SetReadLimit(1 << 20)
			create(t, c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "socket-project", Name: "seen-by-" + name}})
			event(t, conn, func(kind, n string) bool { return kind == "ADDED" && n == "seen-by-"+name })
		})
	}
	t.Run("all namespaces", func(t *testing.T) {
		conn, _, err := socket(t, "/api/v1/watch/namespaces", admin)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(1 << 20)
		event(t, conn, func(kind, n string) bool { return kind == "ADDED" && n == "kube-system" })
	})
	t.Run("custom resources", func(t *testing.T) {
		conn, _, err := socket(t, "/apis/iam.kubesphere.io/v1alpha2/watch/users", admin)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(1 << 20)
		event(t, conn, func(kind, n string) bool { return kind == "ADDED" && n == "admin" })
	})
	t.Run("the member's namespaces", func(t *testing.T) {
		for _, path := range []string{"/api/v1/watch/namespaces", "/api/v1/namespaces?watch=true"} {
			conn, _, err := socket(t, path, member)
			if err != nil {
				t.Fatal(err)
			}
			event(t, conn, func(_, n string) bool {
				if n != "socket-project" {
					t.Errorf("the member sees %s", n)
				}
				return true
			})
			create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hidden}})
			if err := c.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "socket-project"}}, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+strings.Trim(path[8:13], "/")+`":"x"}}}`))); err != nil {
				t.Fatal(err)
			}
			event(t, conn, func(kind, n string) bool {
				if n != "socket-project" {
					t.Errorf("the member sees %s", n)
				}
				return kind == "MODIFIED"
			})
			_ = conn.CloseNow()
		}
	})
	t.Run("a table, of a page", func(t *testing.T) { // which offers protocols, and has its token among them
		offered := []string{"base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(member)), "events.example.com"}
		conn, _, err := websocket.Dial(t.Context(), shared.url+own, &websocket.DialOptions{Subprotocols: offered, HTTPHeader: http.Header{
			"Accept": {"application/json;as=Table;v=v1;g=meta.k8s.io,application/json"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(1 << 20)
		if got := conn.Subprotocol(); got != "events.example.com" {
			t.Errorf("the protocol is %q", got)
		}
		_, text, err := conn.Read(t.Context())
		if err != nil || !strings.Contains(string(text), `"kind":"Table"`) {
			t.Errorf("%v: %.300s", err, text)
		}
	})
	t.Run("another protocol is not spoken", func(t *testing.T) {
		for _, path := range []string{"/api/v1/namespaces/socket-project/configmaps", "/api/v1/namespaces"} {
			if r := shared.send(t, "GET", path, member, "", header("Connection", "Upgrade"), header("Upgrade", "foo")); r.code != 200 {
				t.Errorf("%s: %d %.300s", path, r.code, r.body)
			}
		}
	})
	for _, path := range []string{"/api/v1/watch/namespaces/default/configmaps", "/api/v1/watch/secrets", "/apis/iam.kubesphere.io/v1alpha2/watch/users"} {
		if conn, response, err := socket(t, path, member); err == nil || response == nil || response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v", path, err)
			if err == nil {
				_ = conn.CloseNow()
			}
		}
	}
}
