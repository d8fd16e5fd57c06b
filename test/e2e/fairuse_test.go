//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestFairLogins: neither failures nor floods of one client keep others at the same
// address from logging in.
func TestFairLogins(t *testing.T) {
	t.Parallel()
	i := run(t, func(c *config.Config) { c.Authentication.AuthenticateRateLimiterMaxTries = 5 })
	if err := i.waitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	newPerson(t, "fair-owner", "platform-regular")
	newPerson(t, "fair-basic", "platform-regular")
	login := func(name, password, secret string) int {
		return i.do(t, "POST", "/oauth/token", strings.NewReader(strings.Join([]string{"grant_type=password", "username=" + name, "password=" + password,
			"client_id=kubesphere", "client_secret=" + secret}, "&")), header("Content-Type", "application/x-www-form-urlencoded")).code
	}
	wait.For(t, "the owner to log in", func() error {
		if code := login("fair-owner", passwordOf("fair-owner"), "kubesphere"); code != 200 {
			return fmt.Errorf("%d", code)
		}
		return nil
	})
	t.Run("wrong passwords of another at the address of the owner", func(t *testing.T) {
		for range 7 {
			login("fair-owner", "wrong", "kubesphere")
		}
		started := time.Now()
		if code := login("fair-owner", passwordOf("fair-owner"), "kubesphere"); code != 200 || time.Since(started) > 30*time.Second {
			t.Errorf("the owner: %d after %s", code, time.Since(started))
		}
	})
	t.Run("wrong secrets of a client", func(t *testing.T) {
		var all sync.WaitGroup
		var refused atomic.Int32
		for n := range 40 {
			all.Go(func() {
				if login("fair-owner", passwordOf("fair-owner"), fmt.Sprint("wrong-", n)) == http.StatusTooManyRequests {
					refused.Add(1)
				}
			})
		}
		all.Wait()
		if refused.Load() == 0 {
			t.Error("no wrong secret is delayed")
		}
		if code := login("fair-owner", passwordOf("fair-owner"), "kubesphere"); code != 200 {
			t.Errorf("the correct secret: %d", code)
		}
	})
	t.Run("the right password with each request", func(t *testing.T) {
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("fair-basic:"+passwordOf("fair-basic")))
		stop := make(chan struct{})
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for range 30 {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					code := i.do(t, "GET", iamPath+"/users/fair-basic", nil, header("Authorization", basic)).code
					mu.Lock()
					codes[code]++
					mu.Unlock()
				}
			})
		}
		for range 10 {
			if code := login("fair-owner", passwordOf("fair-owner"), "kubesphere"); code != 200 {
				t.Errorf("another user: %d", code)
			}
		}
		close(stop)
		all.Wait()
		if codes[200] == 0 || codes[429] > codes[200] {
			t.Errorf("answers %v", codes)
		}
	})
}

// TestNamespacesOfUsers: the lists of namespaces of users who see few have the form,
// the fields and the selection they are asked for.
func TestNamespacesOfUsers(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	none := newPerson(t, "fair-none", "platform-regular")
	one := newPerson(t, "fair-one", "platform-regular")
	newSpace(t, "fair-w", one)
	for _, name := range []string{"fair-ns-b", "fair-ns-a"} {
		admin.must(t, 200, "POST", tenantPath+"/workspaces/fair-w/namespaces", newNamespace(name))
		admin.must(t, 200, "POST", iamPath+"/namespaces/"+name+"/members", []fields{{"username": "fair-one", "roleRef": "viewer"}})
	}
	const table = "application/json;as=Table;v=v1;g=meta.k8s.io"
	for _, test := range []struct {
		name   string
		who    person
		query  string
		accept string
		want   []string // in their order
		not    []string
	}{
		{"no namespace", none, "", "application/json", []string{`"kind":"NamespaceList"`, `"resourceVersion":"`, `"items":[]`}, nil},
		{"no namespace, as a table", none, "", table, []string{`"columnDefinitions":[`, `"kind":"Table"`, `"rows":[]`}, nil},
		{"two", one, "", "application/json", []string{`"name":"fair-ns-a"`, `"name":"fair-ns-b"`}, []string{`"name":"default"`}},
		{"two, as a table", one, "", table, []string{`"kind":"Table"`, `"fair-ns-a"`, `"fair-ns-b"`}, []string{`"default"`}},
		{"metadata only", one, "", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", []string{`"PartialObjectMetadata`, `"name":"fair-ns-a"`, `"name":"fair-ns-b"`}, nil},
		{"by a field", one, "?fieldSelector=metadata.name%3Dfair-ns-b", "application/json", []string{`"name":"fair-ns-b"`}, []string{`"name":"fair-ns-a"`}},
		{"by the field of another", one, "?fieldSelector=metadata.name%3Ddefault", "application/json", []string{`"items":[]`}, nil},
		{"by a label", one, "?labelSelector=a%3Db", "application/json", []string{`"items":[]`}, nil},
		{"from the cache", one, "?resourceVersion=0", "application/json", []string{`"name":"fair-ns-a"`, `"name":"fair-ns-b"`}, nil},
		{"a page is the whole list", one, "?limit=1", "application/json", []string{`"name":"fair-ns-a"`, `"name":"fair-ns-b"`}, []string{`"name":"default"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wait.For(t, "the namespaces", func() error {
				r := shared.do(t, "GET", "/api/v1/namespaces"+test.query, nil, bearer(test.who.token), header("Accept", test.accept))
				text := string(r.body)
				if r.code != 200 {
					return fmt.Errorf("%d %s", r.code, r.body)
				}
				for _, want := range test.want {
					at := strings.Index(text, want)
					if at < 0 {
						return fmt.Errorf("no %s in %.2000s", want, r.body)
					}
				}
				for _, not := range test.not {
					if strings.Contains(text, not) {
						return fmt.Errorf("%s in %.2000s", not, r.body)
					}
				}
				return nil
			})
		})
	}
	if r := shared.do(t, "GET", "/api/v1/namespaces?limit=1&continue=a", nil, bearer(one.token)); r.code != 410 {
		t.Errorf("a page of the list of all namespaces: %d %s", r.code, r.body)
	}
	if r := shared.do(t, "GET", "/api/v1/namespaces?labelSelector=%3D%3D", nil, bearer(none.token)); r.code != 400 {
		t.Errorf("a malformed selector: %d %s", r.code, r.body)
	}
}

// TestDryRunsOfTypedWrites: a dry run of a write that does not support it, and a
// deletion with preconditions, are refused and change nothing.
func TestDryRunsOfTypedWrites(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	owner := newPerson(t, "fair-dry", "platform-regular")
	newSpace(t, "fair-dry-w", owner)
	space := tenantPath + "/workspaces/fair-dry-w"
	for _, test := range []struct{ method, path, body string }{
		{"DELETE", space + "?dryRun=All", ""},
		{"DELETE", space, `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`},
		{"DELETE", space, `{"preconditions":{"uid":"another"}}`},
		{"DELETE", iamPath + "/users/fair-dry?dryRun=All", ""},
		{"DELETE", iamPath + "/workspaces/fair-dry-w/workspacemembers/fair-dry?dryRun=All", ""},
		{"POST", tenantPath + "/workspaces?dryRun=All", `{"metadata":{"name":"fair-dry-v"}}`},
		{"POST", iamPath + "/users?dryRun=All", `{"metadata":{"name":"fair-dry-u"},"spec":{"email":"fair-dry-u@example.com"}}`},
		{"POST", space + "/namespaces?dryRun=All", `{"metadata":{"name":"fair-dry-n"}}`},
		{"POST", iamPath + "/workspaces/fair-dry-w/workspacemembers?dryRun=All", `[]`},
	} {
		if r := shared.send(t, test.method, test.path, admin.token, test.body, header("Content-Type", "application/json")); r.code != 400 {
			t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, r.code, r.body)
		}
	}
	answers(t, "GET", space, admin.token, 200)
	answers(t, "GET", iamPath+"/users/fair-dry", admin.token, 200)
	for _, path := range []string{tenantPath + "/workspaces/fair-dry-v", iamPath + "/users/fair-dry-u", "/api/v1/namespaces/fair-dry-n"} {
		answers(t, "GET", path, admin.token, 404)
	}
}

// TestListsInBodies: lists in bodies are bounded, and no entry is there twice.
func TestListsInBodies(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	owner := newPerson(t, "fair-list", "platform-regular")
	newSpace(t, "fair-list-w", owner)
	of := iamPath + "/workspaces/fair-list-w"
	list := func(count int, entry func(n int) fields) []fields {
		all := make([]fields, count)
		for n := range all {
			all[n] = entry(n)
		}
		return all
	}
	member := func(n int) fields {
		return fields{"username": fmt.Sprint("u-", n), "roleRef": "fair-list-w-viewer"}
	}
	binding := func(n int) fields {
		return fields{"metadata": fields{"name": fmt.Sprint("b-", n)}, "roleRef": fields{"kind": "WorkspaceRole", "name": "fair-list-w-viewer"}, "subjects": []fields{{"kind": "User", "name": "fair-list"}}}
	}
	group := func(n int) fields { return fields{"userName": fmt.Sprint("u-", n), "groupName": "g"} }
	for path, entry := range map[string]func(int) fields{"/workspacemembers": member, "/workspacerolebindings": binding, "/groupbindings": group} {
		r := admin.call(t, "POST", of+path, list(201, entry))
		if r.code != http.StatusRequestEntityTooLarge || !strings.Contains(string(r.body), "at most 200 entries") {
			t.Errorf("too many for %s: %d %.300s", path, r.code, r.body)
		}
		r = admin.call(t, "POST", of+path, list(2, func(int) fields { return entry(0) }))
		if r.code != http.StatusUnprocessableEntity {
			t.Errorf("duplicates for %s: %d %.300s", path, r.code, r.body)
		}
	}
}
