package resources

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// watched serves the changes of ConfigMaps to the user in the header X-User.
func watched(t *testing.T) (server *httptest.Server, change func(version, size int)) {
	t.Helper()
	object := func(version, size int) string {
		return fmt.Sprintf(`{"metadata":{"namespace":"n","name":"a","uid":"u","resourceVersion":"%d"},"data":{"version":"%d","a":%q}}`, version, version, strings.Repeat("x", size))
	}
	cache, events := objectstest.NewCache(t, map[string][]string{"configmaps": {object(1, 10)}})
	h := &Handler{
		Agrees: agrees, Cache: cache, Types: &objects.Resolver{Catalog: objects.NewCatalog(), Now: time.Now},
		Authorizer: &authz.RBAC{All: true}, Rights: sees{}, Now: time.Now,
	}
	container, err := route.NewContainer(h.Group())
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := request.Parse(r)
		if err != nil {
			t.Error(err)
			return
		}
		who := r.Header.Get("X-User")
		ctx := turns.WithHolder(kuberequest.WithUser(request.WithInfo(r.Context(), info), &user.DefaultInfo{Name: who}), who)
		container.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(server.Close)
	return server, func(version, size int) {
		events["configmaps"] <- `{"type":"MODIFIED","object":` + object(version, size) + `}`
	}
}

// follow reads the versions a watch tells of until it ends. It returns when the watch has
// told of the present state.
func follow(t *testing.T, ctx context.Context, server *httptest.Server, who, accept string, parameters url.Values) <-chan string {
	t.Helper()
	parameters.Set("watch", "true")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+prefix+"/namespaces/n/configmaps?"+parameters.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-User", who)
	r.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(r) //nolint:bodyclose // by the one who reads it
	if err != nil {
		t.Fatal(err)
	}
	versions := make(chan string, 1000)
	go func() {
		defer close(versions)
		defer func() { _ = response.Body.Close() }()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			text := strings.TrimPrefix(lines.Text(), "data: ")
			if !strings.HasPrefix(text, "{") {
				continue
			}
			var event struct {
				Metadata struct{ ResourceVersion string }
				Object   struct {
					Metadata struct{ ResourceVersion string }
				}
			}
			if err := json.Unmarshal([]byte(text), &event); err != nil {
				t.Errorf("%v in %.100s", err, text)
				return
			}
			versions <- event.Metadata.ResourceVersion + event.Object.Metadata.ResourceVersion
		}
	}()
	return versions
}

// TestWatchesTakeTurns: a user whose watches go through much does it in turn, which no watch
// of others waits for, and no event is lost.
func TestWatchesTakeTurns(t *testing.T) {
	const changes, size = 20, 100 << 10 // of which the history keeps all
	server, change := watched(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	much := func() url.Values {
		terms := []string{"data.version!=x"}
		for n := range 15 {
			terms = append(terms, fmt.Sprintf("data.b%d!=x", n))
		}
		return url.Values{"fieldSelector": {strings.Join(terms, ",")}}
	}
	with := func(parameters url.Values, key, value string) url.Values {
		parameters.Set(key, value)
		return parameters
	}
	const table = "application/json;as=Table;v=v1;g=meta.k8s.io"
	streams := map[string]<-chan string{}
	for n := range 5 {
		for name, stream := range map[string]struct {
			accept     string
			parameters url.Values
		}{
			"objects":            {"application/json", much()},
			"fields of objects":  {"application/json", with(much(), "fields", "metadata.resourceVersion,data.a")},
			"server-sent events": {eventStream, much()},
			"rows of tables":     {table, much()},
			"rows with objects":  {table, with(url.Values{}, "includeObject", "Object")},
		} {
			streams[fmt.Sprint(name, " ", n)] = follow(t, ctx, server, "mallory", stream.accept, stream.parameters)
		}
	}
	jane := follow(t, ctx, server, "jane", "application/json", url.Values{"fieldSelector": {"metadata.name=a"}})
	for name, versions := range streams {
		if version := next(t, versions); version != "1" {
			t.Fatalf("%s: begins with %s", name, version)
		}
	}
	next(t, jane)

	// Somebody else's requests have the turn of this user.
	share := objects.WatchShare("mallory")
	defer share.Close()
	release, err := share.Take(t.Context(), 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	change(2, size)
	if version := next(t, jane); version != "2" {
		t.Errorf("another user is told of %s", version)
	}
	change(3, size)
	change(4, size)
	for want := 3; want <= 4; want++ {
		if version := next(t, jane); version != fmt.Sprint(want) {
			t.Errorf("another user is told of %s", version)
		}
	}
	time.Sleep(3 * time.Second) // longer than a watch waits for a turn at once
	waiting := 0
	for _, versions := range streams {
		if len(versions) < 3 {
			waiting++
		}
	}
	if waiting == 0 {
		t.Error("nothing waits for the turn of its user")
	}
	release()
	for version := 5; version <= 1+changes; version++ {
		change(version, size)
	}
	var reading sync.WaitGroup
	for name, versions := range streams {
		reading.Go(func() {
			for want := 2; want <= 1+changes; want++ {
				if version := next(t, versions); version != fmt.Sprint(want) {
					t.Errorf("%s: version %s, want %d", name, version, want)
					return
				}
			}
		})
	}
	reading.Wait()
}

func next(t *testing.T, versions <-chan string) string {
	select {
	case version := <-versions:
		return version
	case <-time.After(wait.Timeout):
		t.Error("no event")
		return ""
	}
}
