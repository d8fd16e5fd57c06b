package upgrade

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	iamPath    = "/kapis/iam.kubesphere.io/v1alpha2"
	tenantPath = "/kapis/tenant.kubesphere.io/v1alpha2"
	viewerPath = "/kapis/resources.kubesphere.io/v1alpha3"
)

type object = map[string]any

// session is what a person has from one replica.
type session struct {
	name string
	tokens
	personalToken string
	kubeconfig    string
}

// newSession logs in at a replica, makes a personal access token there and
// fetches a kubeconfig.
func newSession(t *testing.T, s *server, name string) *session {
	t.Helper()
	result := &session{name: name, tokens: s.login(t, name, passwordOf(name))}
	var created struct{ Token string }
	answer := s.expect(t, http.StatusCreated, result.AccessToken, http.MethodPost, iamPath+"/users/"+name+"/tokens", object{"description": "upgrade", "scopes": []string{"all"}})
	if err := json.Unmarshal(answer, &created); err != nil || created.Token == "" {
		t.Fatalf("personal access token: %v", err)
	}
	result.personalToken = created.Token
	result.kubeconfig = string(s.expect(t, http.StatusOK, result.AccessToken, http.MethodGet, "/kapis/resources.kubesphere.io/v1alpha2/users/"+name+"/kubeconfig", nil))
	return result
}

func passwordOf(name string) string { return "Passw0rd-" + name }

// check uses everything a session has at a replica, whichever issued it, and
// refreshes its tokens there.
func (p *session) check(t *testing.T, s *server) {
	t.Helper()
	for _, token := range []string{p.AccessToken, p.personalToken} {
		s.expect(t, http.StatusOK, token, http.MethodGet, viewerPath+"/namespaces/upgrade-p/configmaps", nil)
		s.expect(t, http.StatusOK, token, http.MethodGet, "/api/v1/namespaces/upgrade-p/configmaps", nil)
		s.expect(t, http.StatusForbidden, token, http.MethodGet, "/api/v1/namespaces/kube-system/secrets", nil)
	}
	if output, err := s.kubectl(t, p.kubeconfig, "-n", "upgrade-p", "get", "configmaps"); err != nil {
		t.Errorf("kubectl of %s at %s: %v: %s", p.name, s.url, err, output)
	}
	next, code := s.grant(t, "grant_type", "refresh_token", "refresh_token", p.RefreshToken)
	if code != http.StatusOK {
		t.Fatalf("refreshing the session of %s at %s: %d", p.name, s.url, code)
	}
	p.tokens = next
}

// setUp makes a workspace with a project, its manager and an operator.
func setUp(t *testing.T, s *server) {
	t.Helper()
	admin := s.login(t, "admin", adminPassword).AccessToken
	for name, role := range map[string]string{"upgrade-boss": "platform-self-provisioner", "upgrade-jane": "platform-regular"} {
		s.expect(t, http.StatusOK, admin, http.MethodPost, iamPath+"/users", object{
			"apiVersion": "iam.kubesphere.io/v1alpha2", "kind": "User",
			"metadata": object{"name": name, "annotations": object{"iam.kubesphere.io/globalrole": role, "iam.kubesphere.io/uninitialized": "false"}},
			"spec":     object{"email": name + "@example.com", "password": passwordOf(name)},
		})
	}
	boss := s.login(t, "upgrade-boss", passwordOf("upgrade-boss")).AccessToken
	s.expect(t, http.StatusOK, boss, http.MethodPost, tenantPath+"/workspaces", object{
		"apiVersion": "tenant.kubesphere.io/v1alpha2", "kind": "WorkspaceTemplate", "metadata": object{"name": "upgrade-ws"},
		"spec": object{"template": object{"spec": object{"manager": "upgrade-boss"}}},
	})
	s.expect(t, http.StatusOK, boss, http.MethodPost, tenantPath+"/workspaces/upgrade-ws/namespaces", object{
		"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "upgrade-p"},
	})
	s.expect(t, http.StatusOK, boss, http.MethodPost, iamPath+"/workspaces/upgrade-ws/workspacemembers", []object{{"username": "upgrade-jane", "roleRef": "upgrade-ws-regular"}})
	s.expect(t, http.StatusOK, boss, http.MethodPost, iamPath+"/namespaces/upgrade-p/members", []object{{"username": "upgrade-jane", "roleRef": "operator"}})
}

// makeRole makes a role of the project from a template.
func makeRole(t *testing.T, s *server, token, name string) {
	t.Helper()
	s.expect(t, http.StatusOK, token, http.MethodPost, iamPath+"/namespaces/upgrade-p/roles", object{
		"metadata": object{"name": name, "annotations": object{"iam.kubesphere.io/aggregation-roles": `["role-template-manage-secrets"]`}},
	})
}

// waitForListedVerbs waits until the roles of the project list their verbs: the ones
// copied into it, and the one made of a template.
func waitForListedVerbs(t *testing.T, s *server, token string) {
	t.Helper()
	waitFor(t, "the roles of the project to list their verbs", func() error {
		answer := s.expect(t, http.StatusOK, token, http.MethodGet, "/apis/rbac.authorization.k8s.io/v1/namespaces/upgrade-p/roles", nil)
		var roles struct {
			Items []struct {
				Metadata struct{ Name string }
				Rules    []struct{ Verbs []string }
			}
		}
		if err := json.Unmarshal(answer, &roles); err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, role := range roles.Items {
			seen[role.Metadata.Name] = true
			for _, rule := range role.Rules {
				if slices.Contains(rule.Verbs, "*") {
					return fmt.Errorf("%s has the verbs %v", role.Metadata.Name, rule.Verbs)
				}
			}
		}
		if !seen["admin"] || !seen["operator"] || !seen["upgrade-secrets"] {
			return fmt.Errorf("the roles are %v", seen)
		}
		return nil
	})
}

// watchConfigMaps returns the names a watch of the project's ConfigMaps tells of,
// until it ends.
func watchConfigMaps(t *testing.T, s *server, token string) <-chan string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v1/namespaces/upgrade-p/configmaps?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("watch: %d", response.StatusCode)
	}
	names := make(chan string, 100)
	go func() {
		defer close(names)
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var event struct {
				Object struct{ Metadata struct{ Name string } }
			}
			if json.Unmarshal(lines.Bytes(), &event) == nil {
				names <- event.Object.Metadata.Name
			}
		}
	}()
	return names
}

// Sessions, personal access tokens, kubeconfigs and watches survive a rolling
// update to this tree and the rollback from it.
func TestRollingUpdateAndRollback(t *testing.T) {
	old, current := os.Getenv("KS_APISERVER_FROM"), "../../bin/ks-apiserver"
	if old == "" {
		t.Fatal("KS_APISERVER_FROM is not set: run make test-upgrade")
	}
	administrator := os.Getenv("KUBECONFIG")
	before := startServer(t, old, administrator)
	setUp(t, before)
	makeRole(t, before, before.login(t, "upgrade-boss", passwordOf("upgrade-boss")).AccessToken, "upgrade-secrets")
	earlier := newSession(t, before, "upgrade-jane")
	earlier.check(t, before)

	// The new manifests are applied, and a replica of the old version starts once more.
	account := applyAccount(t)
	beside := startServer(t, old, account)
	earlier.check(t, beside)
	beside.stop()

	// Both versions serve, the new one with what the manifests permit and no more.
	after := startServer(t, current, account)
	earlier.check(t, after)
	earlier.check(t, before)
	later := newSession(t, after, "upgrade-jane")
	later.check(t, before)
	later.check(t, after)

	// A write at each is seen by a watch at the other.
	watches := map[*server]<-chan string{before: watchConfigMaps(t, before, earlier.AccessToken), after: watchConfigMaps(t, after, later.AccessToken)}
	for n, at := range []*server{before, after} {
		name := fmt.Sprintf("written-%d", n)
		at.expect(t, http.StatusCreated, earlier.AccessToken, http.MethodPost, "/api/v1/namespaces/upgrade-p/configmaps", object{"metadata": object{"name": name}})
		for seenBy, names := range watches {
			timeout := time.After(time.Minute)
			for found := false; !found; {
				select {
				case got, open := <-names:
					if !open {
						t.Fatalf("the watch at %s ended before it told of %s", seenBy.url, name)
					}
					found = got == name
				case <-timeout:
					t.Fatalf("no event for %s at %s within a minute", name, seenBy.url)
				}
			}
		}
	}

	// The update is complete, and what only the old version needs is gone.
	before.stop()
	if output, err := exec.CommandContext(t.Context(), "../../bin/kubectl", "delete", "clusterrolebinding", "kubesphere-authorized").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	earlier.check(t, after)
	later.check(t, after)
	boss := newSession(t, after, "upgrade-boss")
	boss.check(t, after)
	waitForListedVerbs(t, after, boss.AccessToken)
	makeRole(t, after, boss.AccessToken, "upgrade-secrets-later")
	after.expect(t, http.StatusOK, boss.AccessToken, http.MethodPost, tenantPath+"/workspaces/upgrade-ws/namespaces", object{
		"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "upgrade-later"},
	})

	// And rolled back.
	again := startServer(t, old, administrator)
	for _, p := range []*session{earlier, later, boss} {
		p.check(t, again)
	}
	after.stop()
	makeRole(t, again, boss.AccessToken, "upgrade-secrets-again")
	for _, p := range []*session{earlier, later, boss} {
		p.check(t, again)
	}
	again.expect(t, http.StatusOK, boss.AccessToken, http.MethodGet, viewerPath+"/namespaces/upgrade-later/configmaps", nil)
	if answer := again.expect(t, http.StatusOK, boss.AccessToken, http.MethodGet, tenantPath+"/workspaces/upgrade-ws/namespaces", nil); !strings.Contains(string(answer), "upgrade-later") {
		t.Errorf("projects of the workspace after the rollback: %s", answer)
	}
}
