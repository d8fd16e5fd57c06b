//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestPatchBombs: a JSON patch that copies a value into itself costs next to
// nothing, whoever applies it.
func TestPatchBombs(t *testing.T) { // looks at the whole process, so that no test is beside it
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", users, newUser("costs-bomber", "platform-regular"))
	admin.must(t, 200, "POST", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces", newWorkspace("costs-bombs", "admin"))
	t.Cleanup(func() {
		c := kubernetes(t, "")
		_ = c.Delete(context.Background(), &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "costs-bomber"}})
		_ = c.Delete(context.Background(), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "costs-bombs"}})
	})
	admin.must(t, 200, "POST", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/costs-bombs/namespaces", newNamespace("costs-bombs-p"))
	admin.must(t, 200, "POST", "/kapis/iam.kubesphere.io/v1alpha2/workspaces/costs-bombs/groups", fields{"metadata": fields{"name": "costs-bombs-g"}})
	reg := shared.as(t, "costs-bomber", passwordOf("costs-bomber"))
	bomb := func(parent string) string {
		path := parent + "/x"
		return `[{"op":"add","path":"` + path + `","value":["` + strings.Repeat("a", 1000) + `"]}` +
			strings.Repeat(`,{"op":"copy","from":"`+path+`","path":"`+path+`/-"}`, 20) + "]"
	}
	for name, test := range map[string]struct {
		who          person
		path, parent string
	}{
		"the own account":  {reg, "/apis/iam.kubesphere.io/v1alpha2/users/costs-bomber", "/spec"},
		"a group":          {admin, "/kapis/iam.kubesphere.io/v1alpha2/workspaces/costs-bombs/groups/costs-bombs-g", "/metadata"},
		"a project":        {admin, "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/costs-bombs/namespaces/costs-bombs-p", "/metadata"},
		"a workspace":      {admin, "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/costs-bombs", "/spec"},
		"a global role":    {admin, "/kapis/iam.kubesphere.io/v1alpha2/globalroles/platform-regular", "/metadata"},
		"a workspace role": {admin, "/kapis/iam.kubesphere.io/v1alpha2/workspaces/costs-bombs/workspaceroles/costs-bombs-viewer", "/metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			r := shared.do(t, "PATCH", test.path, strings.NewReader(bomb(test.parent)), bearer(test.who.token), header("Content-Type", "application/json-patch+json"))
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if r.code != http.StatusRequestEntityTooLarge {
				t.Errorf("%d %.300s", r.code, r.body)
			}
			// Of the whole process with its tests, on a busy machine.
			if grown := int64(after.HeapSys) - int64(before.HeapSys); took > 5*time.Second || grown > 256<<20 {
				t.Errorf("it took %s and %d bytes", took, grown)
			}
		})
	}
	t.Run("deeply nested bodies", func(t *testing.T) {
		r := shared.do(t, "POST", "/kapis/apps/v1/namespaces/costs-bombs-p/deployments", bytes.NewReader(bytes.Repeat([]byte("["), 2<<20)), bearer(admin.token), header("Content-Type", "application/json"))
		if r.code != http.StatusBadRequest {
			t.Errorf("%d %.300s", r.code, r.body)
		}
	})
}

// TestSlowClientsHoldNoPlace: clients that send or read slowly leave the server to
// others.
func TestSlowClientsHoldNoPlace(t *testing.T) {
	t.Parallel()
	i := run(t, func(c *config.Config) {
		c.Server.MaxRequestsInFlight, c.Server.MaxRequestsInFlightPerUser, c.Server.MaxUnauthenticatedInFlight = 20, 10, 10
		c.Server.ShutdownTimeout.Duration = time.Second
	})
	if err := i.waitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	token := i.login(t).AccessToken
	address := strings.TrimPrefix(i.url, "http://")
	open := func(text string) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		open("POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ng")
		open("POST /kapis/iam.kubesphere.io/v1alpha2/users HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	}
	for range 30 {
		if r := i.get(t, viewer+"/pods?limit=10", bearer(token)); r.code != 200 {
			t.Fatalf("the page: %d %s", r.code, r.body)
		}
		if r := i.get(t, "/readyz"); r.code != 200 {
			t.Fatalf("health: %d %s", r.code, r.body)
		}
	}
	if r := i.token(t, passwordForm("admin", adminPassword)); r.code != 200 {
		t.Errorf("a login: %d %s", r.code, r.body)
	}
}

// TestSharesOfUsers: sessions, access tokens and watches of a user are bounded.
func TestSharesOfUsers(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", users, newUser("costs-many", "platform-regular"))
	t.Cleanup(func() {
		_ = kubernetes(t, "").Delete(context.Background(), &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "costs-many"}})
	})
	i := run(t, func(c *config.Config) {
		c.Authentication.OAuthOptions.MaxSessionsPerUser, c.Authentication.MaxTokensPerUser = 5, 3
		c.Server.MaxLongRunningPerUser = 2
	})
	if err := i.waitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	many := i.as(t, "costs-many", passwordOf("costs-many"))
	kubeconfig := "/kapis/resources.kubesphere.io/v1alpha2/users/costs-many/kubeconfig"
	for range 30 {
		if r := i.get(t, kubeconfig, bearer(many.token)); r.code == http.StatusUnauthorized {
			many = i.as(t, "costs-many", passwordOf("costs-many")) // its session was the oldest
		} else if r.code != 200 {
			t.Fatalf("kubeconfig: %d %s", r.code, r.body)
		}
	}
	wait.For(t, "the sessions of the user to be at most their number", func() error {
		sessions := &iamv1alpha2.SessionList{}
		if err := kubernetes(t, "").List(t.Context(), sessions, client.MatchingLabels{iamv1alpha2.LabelUserReference: "costs-many"}); err != nil {
			return err
		}
		if len(sessions.Items) > 6 {
			return fmt.Errorf("%d sessions", len(sessions.Items))
		}
		return nil
	})
	many = i.as(t, "costs-many", passwordOf("costs-many"))
	created := 0
	for range 8 {
		r := many.call(t, "POST", users+"/costs-many/tokens", fields{"scopes": []string{"read"}})
		switch r.code {
		case http.StatusCreated:
			created++
		case http.StatusForbidden:
			if !strings.Contains(string(r.body), "exceeded quota") {
				t.Errorf("%s", r.body)
			}
		default:
			t.Fatalf("%d %s", r.code, r.body)
		}
	}
	if created != 3 {
		t.Errorf("%d access tokens", created)
	}
	watcher := newPerson(t, "costs-watcher", "platform-admin") // a regular user may watch nothing
	for n, code := range []int{200, 200, 429} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, i.url+viewer+"/namespaces?watch=true", nil)
		request.Header.Set("Authorization", "Bearer "+watcher.token)
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != code || code == 429 && response.Header.Get("Retry-After") == "" {
			t.Errorf("watch %d: %d %v", n, response.StatusCode, response.Header)
		}
	}
}

// TestSharedAddressOfLogins: a visitor who guesses passwords does not keep the
// others behind the same address out.
func TestSharedAddressOfLogins(t *testing.T) {
	t.Parallel()
	i := run(t, func(c *config.Config) { c.Authentication.AuthenticateRateLimiterMaxTries = 5 })
	if err := i.waitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	guess := func(n int) { i.token(t, passwordForm(fmt.Sprintf("costs-guess-%d", n), "wrong")) }
	for n := range 52 {
		guess(n)
	}
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	running.Go(func() {
		for n := 100; ctx.Err() == nil; n++ {
			guess(n)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
	for n := range 10 {
		if r := i.token(t, passwordForm("admin", adminPassword)); r.code != 200 {
			t.Errorf("login %d of another user: %d %s", n, r.code, r.body)
		}
	}
	stop()
	running.Wait()
}

// TestKubernetesPaging: lists in a form of Kubernetes keep the contract of ListMeta,
// so that a pager of client-go gets all of them.
func TestKubernetesPaging(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	c := kubernetes(t, "")
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "costs-pages"}}
	create(t, c, namespace)
	const many = 19
	for n := range many {
		create(t, c, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("costs-%02d", n), Namespace: "costs-pages"}})
		deployment := newDeployment(fmt.Sprintf("costs-%02d", n))
		deployment["spec"].(fields)["replicas"] = 0
		text, _ := json.Marshal(deployment)
		if r := shared.do(t, "POST", "/apis/apps/v1/namespaces/costs-pages/deployments", bytes.NewReader(text), bearer(admin.token), header("Content-Type", "application/json")); r.code != 201 {
			t.Fatalf("%d %s", r.code, r.body)
		}
	}
	const path = "/kapis/apps/v1/namespaces/costs-pages/deployments"
	type page struct {
		Metadata struct {
			Continue           *string
			RemainingItemCount *int64
			ResourceVersion    string
		}
		Items, Rows []json.RawMessage
	}
	get := func(t *testing.T, query, accept string) page {
		t.Helper()
		r := shared.get(t, path+query, bearer(admin.token), header("Accept", accept))
		if r.code != 200 {
			t.Fatalf("%s: %d %s", query, r.code, r.body)
		}
		return decode[page](t, r)
	}
	wait.For(t, "all deployments to be listed", func() error {
		if got := len(get(t, "", "application/json").Items); got != many {
			return fmt.Errorf("%d deployments", got)
		}
		return nil
	})
	const table, metadata = "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
	for _, accept := range []string{"application/json", table, metadata} {
		t.Run(accept, func(t *testing.T) {
			first := get(t, "?limit=5", accept)
			if first.Metadata.Continue == nil || first.Metadata.RemainingItemCount == nil || *first.Metadata.RemainingItemCount != many-5 || len(first.Items)+len(first.Rows) != 5 {
				t.Fatalf("the first page: %+v", first.Metadata)
			}
			for _, query := range []string{"", "?limit=0", "?limit=19", "?limit=100", "?limit=-1"} {
				whole := get(t, query, accept)
				if whole.Metadata.Continue != nil || whole.Metadata.RemainingItemCount != nil || len(whole.Items)+len(whole.Rows) != many {
					t.Errorf("%s: %d, %+v", query, len(whole.Items)+len(whole.Rows), whole.Metadata)
				}
			}
			seen := make(map[string]bool)
			for next := first; ; next = get(t, "?limit=5&continue="+*next.Metadata.Continue, accept) {
				for _, item := range append(next.Items, next.Rows...) {
					seen[string(item)] = true
				}
				if next.Metadata.ResourceVersion != first.Metadata.ResourceVersion {
					t.Errorf("pages of versions %s and %s", first.Metadata.ResourceVersion, next.Metadata.ResourceVersion)
				}
				if next.Metadata.Continue == nil {
					break
				}
			}
			if len(seen) != many {
				t.Errorf("%d of %d on all pages", len(seen), many)
			}
		})
	}
	for query, code := range map[string]int{"?continue=nonsense": 400, "?continue=" + *get(t, "?limit=5", "application/json").Metadata.Continue + "&resourceVersion=5": 400} {
		if r := shared.get(t, path+query, bearer(admin.token)); r.code != code {
			t.Errorf("%s: %d %s", query, r.code, r.body)
		}
	}
	t.Run("a pager of client-go", func(t *testing.T) {
		base := rest.Config{Host: shared.url, BearerToken: admin.token}
		base.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r.URL.Path = strings.Replace(r.URL.Path, "/apis/", "/kapis/", 1)
				return next.RoundTrip(r)
			})
		}
		deployments, err := dynamic.NewForConfig(&base)
		if err != nil {
			t.Fatal(err)
		}
		names := make(map[string]bool)
		all := pager.New(func(ctx context.Context, o metav1.ListOptions) (kuberuntime.Object, error) {
			return deployments.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("costs-pages").List(ctx, o)
		})
		all.PageSize = 5
		if err := all.EachListItem(t.Context(), metav1.ListOptions{}, func(object kuberuntime.Object) error {
			names[object.(*unstructured.Unstructured).GetName()] = true
			return nil
		}); err != nil || len(names) != many {
			t.Errorf("%d of %d, %v", len(names), many, err)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
