//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// crowd are clients that go on whatever happens, and what they were told.
type crowd struct {
	server  *instance
	tokens  []string // of users none of whom reads as much as one user may
	clients http.Client

	mu      sync.Mutex
	answers map[string]map[string]int // by who asks and what they were told
	written []string                  // what was acknowledged
	slowest time.Duration
	wrong   []string
}

// ask makes a request of one of the users.
func (c *crowd) ask(ctx context.Context, user int, method, path, body string) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.server.url+path, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Authorization", "Bearer "+c.tokens[user])
	request.Header.Set("Content-Type", "application/json")
	response, err := c.clients.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response, string(text), err
}

// note counts an answer; problem says what is wrong with it, if anything is.
func (c *crowd) note(who, what, problem string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers[who] == nil {
		c.answers[who] = make(map[string]int)
	}
	c.answers[who][what]++
	c.slowest = max(c.slowest, took)
	if problem != "" && len(c.wrong) < 20 {
		c.wrong = append(c.wrong, who+": "+problem)
	}
}

// told is how often somebody was told something.
func (c *crowd) told(who, what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[who][what]
}

// counts is how often everybody was told everything.
func (c *crowd) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]int)
	for who, told := range c.answers {
		for what, number := range told {
			all[who+what] = number
		}
	}
	return all
}

// refused says what is wrong with the refusal of a request Kubernetes had to
// answer: it is 503, and says when to come back.
func refused(response *http.Response, text string) string {
	if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != "" && strings.Contains(text, `"kind":"Status"`) {
		return ""
	}
	return fmt.Sprintf("%d %v %.300s", response.StatusCode, response.Header, text)
}

func (c *crowd) readMemory(ctx context.Context, user int) {
	began := time.Now()
	response, text, err := c.ask(ctx, user, http.MethodGet, viewer+"/namespaces/default/configmaps?limit=10", "")
	switch {
	case err != nil:
		if ctx.Err() == nil {
			c.note("memory", "nothing", err.Error(), 0)
		}
	case response.StatusCode != http.StatusOK:
		c.note("memory", "refused", fmt.Sprintf("%d %.300s", response.StatusCode, text), time.Since(began))
	case response.Header.Get("Warning") != "":
		c.note("memory", "warned", "", time.Since(began))
	default:
		c.note("memory", "served", "", time.Since(began))
	}
}

func (c *crowd) readKubernetes(ctx context.Context, user int) {
	began := time.Now()
	response, text, err := c.ask(ctx, user, http.MethodGet, "/api/v1/namespaces/default/configmaps?limit=1", "")
	switch {
	case err != nil:
		if ctx.Err() == nil {
			c.note("reader", "nothing", err.Error(), 0)
		}
	case response.StatusCode == http.StatusOK:
		c.note("reader", "served", "", time.Since(began))
	default:
		c.note("reader", "refused", refused(response, text), time.Since(began))
	}
}

func (c *crowd) write(ctx context.Context, user int, name string) {
	began := time.Now()
	response, text, err := c.ask(ctx, user, http.MethodPost, "/api/v1/namespaces/default/configmaps", fmt.Sprintf(`{"metadata":{"name":%q}}`, name))
	switch {
	case err != nil:
		if ctx.Err() == nil {
			c.note("writer", "nothing", err.Error(), 0)
		}
	case response.StatusCode == http.StatusCreated:
		c.note("writer", "served", "", time.Since(began))
		c.mu.Lock()
		c.written = append(c.written, name)
		c.mu.Unlock()
	default:
		c.note("writer", "refused", refused(response, text), time.Since(began))
	}
}

func (c *crowd) watch(ctx context.Context, user int) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.url+"/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0", nil)
	if err != nil {
		return
	}
	request.Header.Set("Authorization", "Bearer "+c.tokens[user])
	response, err := c.clients.Do(request)
	if err != nil {
		return
	}
	defer func() { _ = response.Body.Close() }()
	c.note("watcher", fmt.Sprint(response.StatusCode), "", 0)
	_, _ = io.Copy(io.Discard, response.Body)
}

// descriptors is how many files and connections this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(open)
}

// settled is the number of goroutines when it does not change any more: the
// reconcilers take a while to start.
func settled() int {
	number := runtime.NumGoroutine()
	for same := 0; same < 30; same++ {
		time.Sleep(100 * time.Millisecond)
		if now := runtime.NumGoroutine(); now > number+5 || now < number-5 {
			number, same = now, 0
		}
	}
	return number
}

// TestKubernetesRestartsUnderLoad: while kube-apiserver is killed, or stops, and
// comes back, what is in memory is read with a warning, everything else is told
// at once when to come back, nothing acknowledged is lost, all of it recovers by
// itself, and nothing is left behind.
func TestKubernetesRestartsUnderLoad(t *testing.T) { // looks at the whole process, so that no test is beside it
	k := newCluster(t)
	k.start(t)
	account, err := asAccount(k.kubeconfig) // its own file: that of the cluster goes when it starts again
	if err != nil {
		t.Fatal(err)
	}
	server := run(t, func(c *config.Config) { c.Kubernetes.KubeConfig = asAdministrator(account) })
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	c := &crowd{server: server, answers: make(map[string]map[string]int)}
	const users = 8
	admin := server.as(t, "admin", adminPassword)
	for n := range users {
		name := fmt.Sprintf("crowd-%d", n)
		admin.must(t, 200, "POST", iamPath+"/users", newUser(name, "platform-admin"))
		c.tokens = append(c.tokens, server.as(t, name, passwordOf(name)).token)
	}
	c.clients.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	c.readMemory(t.Context(), 0)
	c.write(t.Context(), 0, "first")
	if c.told("memory", "served") != 1 || c.told("writer", "served") != 1 {
		t.Fatalf("before: %v %v", c.answers, c.wrong)
	}
	goroutines, files := settled(), descriptors(t)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	each := func(number int, pause time.Duration, do func(n, turn int)) {
		for n := range number {
			running.Go(func() {
				for turn := 0; ctx.Err() == nil; turn++ {
					do(n, turn)
					time.Sleep(pause)
				}
			})
		}
	}
	each(16, 20*time.Millisecond, func(n, _ int) { c.readMemory(ctx, n%users) })
	each(16, 20*time.Millisecond, func(n, _ int) { c.readKubernetes(ctx, n%users) })
	each(4, 50*time.Millisecond, func(n, turn int) { c.write(ctx, n%users, fmt.Sprintf("w-%d-%d", n, turn)) })
	each(users, 100*time.Millisecond, func(n, _ int) { c.watch(ctx, n) })
	// more waits until somebody has been told something more often than before.
	more := func(before map[string]int, who, what string) {
		t.Helper()
		wait.For(t, "each "+who+" to be "+what, func() error {
			if n := c.told(who, what) - before[who+what]; n <= 5 {
				return fmt.Errorf("%d were", n)
			}
			return nil
		})
	}
	for _, end := range []struct {
		name string
		do   func()
	}{{"killed", k.kill}, {"stopped", k.stop}} {
		more(c.counts(), "writer", "served")
		before := c.counts()
		end.do()
		more(before, "writer", "refused")
		more(before, "reader", "refused")
		more(before, "memory", "warned")
		before = c.counts()
		k.start(t)
		more(before, "writer", "served")
		more(before, "reader", "served")
		more(before, "watcher", "200")
		more(before, "memory", "served")
		if err := server.waitReady(wait.Timeout); err != nil {
			t.Errorf("after it was %s: %v", end.name, err)
		}
	}
	stop()
	running.Wait()
	c.clients.CloseIdleConnections()
	t.Logf("%v; the slowest answer took %s", c.answers, c.slowest.Round(time.Millisecond))
	for _, problem := range c.wrong {
		t.Error(problem)
	}
	if c.slowest > wait.Timeout/2 { // nothing waits until Kubernetes is back
		t.Errorf("somebody waited %s", c.slowest)
	}
	var kept corev1.ConfigMapList
	if err := kubernetes(t, k.kubeconfig).List(t.Context(), &kept, client.InNamespace("default")); err != nil {
		t.Fatal(err)
	}
	there := make(map[string]bool)
	for n := range kept.Items {
		there[kept.Items[n].Name] = true
	}
	for _, name := range c.written {
		if !there[name] {
			t.Errorf("%s was acknowledged and is lost", name)
		}
	}
	// Connections that are kept for the next request go after half a minute.
	wait.For(t, "goroutines and files to go", func() error {
		if g, f := runtime.NumGoroutine(), descriptors(t); g > goroutines+15 || f > files+10 {
			return fmt.Errorf("%d goroutines, %d before; %d files, %d before", g, goroutines, f, files)
		}
		return nil
	})
}

// TestServerLosesRights: when Kubernetes does not let this server in any more,
// clients are not told that they may not, and /readyz says why.
func TestServerLosesRights(t *testing.T) {
	t.Parallel()
	k := newCluster(t)
	k.start(t)
	server := run(t, func(c *config.Config) { c.Kubernetes.KubeConfig = k.kubeconfig })
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	admin := server.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", iamPath+"/globalroles", fields{
		"metadata": fields{"name": "pod-reader"},
		"rules":    []fields{{"apiGroups": []string{"", "apps"}, "resources": []string{"pods", "nodes", "deployments"}, "verbs": []string{"get", "list", "watch"}}},
	})
	admin.must(t, 200, "POST", iamPath+"/users", newUser("pod-reader", "pod-reader"))
	token := server.as(t, "pod-reader", passwordOf("pod-reader")).token
	const pods = "/api/v1/namespaces/default/pods"
	if err := expect(server.get(t, pods, bearer(token)), 200); err != nil {
		t.Fatal(err)
	}
	c, binding := kubernetes(t, k.kubeconfig), &rbacv1.ClusterRoleBinding{}
	if err := c.Get(t.Context(), clientKey("ks-apiserver-impersonation"), binding); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "requests to be refused", func() bool { return server.get(t, pods, bearer(token)).code != 200 })
	for _, path := range []string{pods, "/api/v1/nodes", "/apis/apps/v1/deployments?watch=true"} {
		if r := server.get(t, path, bearer(token)); r.code != 503 || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, r.code, r.body)
		}
	}
	if r := server.get(t, "/readyz"); r.code != 503 || !strings.Contains(string(r.body), "[-]kubernetes-rights failed: this server may not act for others: ") {
		t.Errorf("readyz: %d %s", r.code, r.body)
	}
	binding.ObjectMeta = metav1.ObjectMeta{Name: binding.Name, Labels: binding.Labels}
	if err := c.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Error(err)
	}
	if err := expect(server.get(t, pods, bearer(token)), 200); err != nil {
		t.Error(err)
	}

	// Manifests of an earlier version do not let the server do what it does itself.
	role := &rbacv1.ClusterRole{}
	if err := c.Get(t.Context(), clientKey("ks-apiserver"), role); err != nil {
		t.Fatal(err)
	}
	role.Rules = slices.DeleteFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.Verbs, "escalate") })
	if err := c.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the server to say what it may not do", func() error {
		if r := server.get(t, "/readyz"); r.code != 503 || !strings.Contains(string(r.body), "[-]kubernetes-rights failed: the account of this server may not escalate clusterroles") {
			return fmt.Errorf("%d %s", r.code, r.body)
		}
		return nil
	})
}

// What lasts ends with the session it was begun in.
func TestWatchEndsWithSession(t *testing.T) {
	t.Parallel()
	_ = user(t, "watches-on")
	allow(t, kubernetes(t, ""), "watches-on")
	token := decode[tokens](t, shared.token(t, passwordForm("watches-on", "secret-watches-on"))).AccessToken
	answers(t, "GET", "/api/v1/nodes", token, 200)
	response := stream(t, "/api/v1/nodes?watch=true&resourceVersion=0", bearer(token))
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, response.Body)
		close(ended)
	}()
	if err := expect(shared.get(t, "/oauth/logout", bearer(token)), 200); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(wait.Timeout):
		t.Error("it goes on")
	}
}
