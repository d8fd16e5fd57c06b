package resources

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// reader may see the secrets of one namespace.
type reader string

func (r reader) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetVerb() == "list" || a.GetUser().GetName() == "reader" && a.GetVerb() == "get" && a.GetResource() == "secrets" && a.GetAPIGroup() == "" && a.GetNamespace() == string(r) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// sees says what callers see: "member" namespace n and workspace w, others all.
type sees struct{}

func (sees) VisibleNamespaces(_ context.Context, who user.Info, actions ...authz.Action) (authz.Visible, error) {
	if who == nil || who.GetName() != "member" {
		return authz.Visible{All: true}, nil
	}
	if actions[len(actions)-1].Group == "resources.kubesphere.io" { // the right is one in the group of the type
		return authz.Visible{Names: sets.New[string]()}, nil
	}
	return authz.Visible{Names: sets.New("n", "missing")}, nil
}

func (sees) VisibleWorkspaces(_ context.Context, who user.Info) (authz.Visible, error) {
	return authz.Visible{All: who == nil || who.GetName() != "member", Names: sets.New("w")}, nil
}

// newDoor serves the operations over a cluster with the given objects, by the
// plural name of their type.
func newDoor(t testing.TB, lists map[string][]string) http.Handler {
	t.Helper()
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list, found := lists[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
		w.Header().Set("Content-Type", "application/json")
		switch {
		case !found:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`))
		case r.URL.Query().Get("sendInitialEvents") == "true":
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`))
		case r.URL.Query().Get("watch") == "true":
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			_, _ = w.Write([]byte(`{"metadata":{"resourceVersion":"1"},"items":[` + strings.Join(list, ",") + `]}`))
		}
	}))
	cache, err := objects.NewCache(objects.Options{Config: &rest.Config{Host: cluster.URL}, SyncTimeout: wait.Timeout})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		cache.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
		cluster.CloseClientConnections()
		cluster.Close()
	})
	h := &Handler{
		Agrees: agrees,
		Cache:  cache, Types: &objects.Resolver{Catalog: objects.NewCatalog(), Now: time.Now}, Authorizer: reader("n"), Rights: sees{}, Now: time.Now,
	}
	container, err := route.NewContainer(h.Group(), h.LegacyGroup())
	if err != nil {
		t.Fatal(err)
	}
	return container
}

func ask(door http.Handler, who, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, prefix+target, nil)
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	r = r.WithContext(kuberequest.WithUser(r.Context(), &user.DefaultInfo{Name: who}))
	w := httptest.NewRecorder()
	door.ServeHTTP(w, r)
	return w
}

func configMap(n int, size int) string {
	return fmt.Sprintf(`{"metadata":{"name":"c%04d","namespace":"n","uid":"u%d","resourceVersion":"%d"},"data":{"a":%q}}`, n, n, n+1, strings.Repeat("é<&\n", size/4))
}

func TestAnswers(t *testing.T) {
	door := newDoor(t, map[string][]string{
		"namespaces": {},
		"configmaps": {configMap(0, 8), configMap(1, 8)},
		"services":   {`{"metadata":{"name":"s","namespace":"n"}}`},
	})
	first, second := `{"kind":"ConfigMap","apiVersion":"v1",`+configMap(0, 8)[1:], `{"kind":"ConfigMap","apiVersion":"v1",`+configMap(1, 8)[1:]
	for _, test := range []struct {
		name, target string
		code         int
		body         string // "" for a Status
	}{
		{"nothing", "/namespaces", 200, `{"items":[],"totalItems":0}` + "\n"},
		{"all", "/configmaps?sortBy=name&ascending=true", 200, `{"items":[` + first + "," + second + `],"totalItems":2}` + "\n"},
		{"a page", "/configmaps?sortBy=name&limit=1", 200, `{"items":[` + second + `],"totalItems":2}` + "\n"},
		{"a page after the last", "/configmaps?limit=1&page=3", 200, `{"items":[],"totalItems":2}` + "\n"},
		{"the total only", "/configmaps?limit=0", 200, `{"items":[],"totalItems":2}` + "\n"},
		{"of a namespace", "/namespaces/n/configmaps?name=c0001", 200, `{"items":[` + second + `],"totalItems":1}` + "\n"},
		{"of a namespace without any", "/namespaces/m/configmaps", 200, `{"items":[],"totalItems":0}` + "\n"},
		{"an object", "/namespaces/n/configmaps/c0000", 200, first + "\n"},
		{"an indented object", "/namespaces/n/services/s?pretty=true", 200, "{\n  \"kind\": \"Service\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {\n    \"name\": \"s\",\n    \"namespace\": \"n\"\n  }\n}\n"},
		// It was indented all the same.
		{"an object that is not to be indented", "/namespaces/n/services/s?pretty=false", 200, `{"kind":"Service","apiVersion":"v1","metadata":{"name":"s","namespace":"n"}}` + "\n"},
		{"an object that may or may not be indented", "/namespaces/n/services/s?pretty=maybe", 400, ""},
		{"an object that is not there", "/namespaces/n/configmaps/nobody", 404, ""},
		{"an object of another namespace", "/namespaces/m/configmaps/c0000", 404, ""},
		{"a type that is not there", "/dragons", 404, ""},
		{"a type the cluster does not have", "/globalroles", 404, ""},
		{"a type without namespaces in one", "/namespaces/n/namespaces", 404, ""},
		{"a query nobody understands", "/configmaps?limit=ten", 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(door, "admin", test.target)
			if w.Code != test.code || test.body != "" && w.Body.String() != test.body {
				t.Fatalf("got %d %s, want %d %s", w.Code, w.Body, test.code, test.body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			if got := w.Header().Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) {
				t.Errorf("Content-Length %s of %d", got, w.Body.Len())
			}
			if test.body == "" && !strings.Contains(w.Body.String(), `"kind":"Status"`) {
				t.Errorf("no Status: %s", w.Body)
			}
		})
	}
}

// TestLargeList: what is written in parts is what would be written whole,
// plain, indented and compressed.
func TestLargeList(t *testing.T) {
	var list []string
	for n := range 400 { // several chunks, and objects larger than one
		list = append(list, configMap(n, map[bool]int{true: 100_000, false: 2_000}[n%100 == 7]))
	}
	door := newDoor(t, map[string][]string{"configmaps": list})
	var want bytes.Buffer
	want.WriteString(`{"items":[`)
	for n, object := range list {
		if n > 0 {
			want.WriteByte(',')
		}
		want.WriteString(`{"kind":"ConfigMap","apiVersion":"v1",` + object[1:])
	}
	want.WriteString(`],"totalItems":400}` + "\n")
	if want.Len() < 10*chunk {
		t.Fatalf("%d bytes are no large list", want.Len())
	}
	server := httptest.NewServer(door)
	defer server.Close()
	const target = "/configmaps?sortBy=name&ascending=true"
	for round := range 3 { // buffers are used again
		response, err := (&http.Client{Transport: &http.Transport{DisableCompression: true}}).Get(server.URL + prefix + target)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !bytes.Equal(got, want.Bytes()) || response.ContentLength != int64(want.Len()) || len(response.TransferEncoding) > 0 {
			t.Fatalf("round %d: %d bytes of %d, Content-Length %d, %v", round, len(got), want.Len(), response.ContentLength, err)
		}
		compressed := ask(door, "admin", target, "Accept-Encoding", "br, gzip;q=0.5")
		if compressed.Header().Get("Content-Encoding") != "gzip" || compressed.Header().Get("Content-Length") != "" || !slices.Contains(compressed.Header().Values("Vary"), "Accept-Encoding") {
			t.Fatalf("header %v", compressed.Header())
		}
		unpacked, err := gzip.NewReader(compressed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(unpacked); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("round %d: %d bytes of %d unpacked, %v", round, len(got), want.Len(), err)
		}
	}
	for _, header := range []string{"", "identity", "gzip;q=0", "gzip; q=0.0", "deflate"} {
		if w := ask(door, "admin", target, "Accept-Encoding", header); w.Header().Get("Content-Encoding") != "" || !bytes.Equal(w.Body.Bytes(), want.Bytes()) {
			t.Errorf("Accept-Encoding %q: %d bytes in %q", header, w.Body.Len(), w.Header().Get("Content-Encoding"))
		}
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(want.Bytes()), "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	if w := ask(door, "admin", target+"&pretty"); !bytes.Equal(w.Body.Bytes(), indented.Bytes()) || w.Header().Get("Content-Length") != strconv.Itoa(indented.Len()) {
		t.Errorf("%d indented bytes, want %d", w.Body.Len(), indented.Len())
	}
}

// TestClientGoesAway: nobody is told when there is nobody any more.
func TestClientGoesAway(t *testing.T) {
	door := newDoor(t, map[string][]string{"configmaps": {configMap(0, 3*chunk), configMap(1, 3*chunk)}})
	r := httptest.NewRequest(http.MethodGet, prefix+"/configmaps", nil)
	w := &broken{header: http.Header{}}
	door.ServeHTTP(w, r.WithContext(kuberequest.WithUser(r.Context(), &user.DefaultInfo{Name: "a"})))
	if w.writes != 1 || w.code > 200 {
		t.Errorf("%d writes, status %d", w.writes, w.code)
	}
}

type broken struct {
	header       http.Header
	writes, code int
}

func (b *broken) Header() http.Header  { return b.header }
func (b *broken) WriteHeader(code int) { b.code = code }
func (b *broken) Write([]byte) (int, error) {
	b.writes++
	return 0, io.ErrClosedPipe
}

func TestSecrets(t *testing.T) {
	const secret = `{"metadata":{"name":"a","namespace":"n"},"data":{"password":"c2VjcmV0"}}`
	const shown, masked = `"data":{"password":"c2VjcmV0"}`, `"data":{"password":""}`
	door := newDoor(t, map[string][]string{"secrets": {secret}})
	for _, test := range []struct{ name, who, target, want string }{
		{"object, permitted", "reader", "/namespaces/n/secrets/a", shown},
		{"object, not permitted", "guest", "/namespaces/n/secrets/a", masked},
		{"list, permitted", "reader", "/namespaces/n/secrets", shown},
		{"list, not permitted", "guest", "/namespaces/n/secrets", masked},
		{"list of all namespaces, permitted in one", "reader", "/secrets", masked},
		{"by another name of the type", "guest", "/namespaces/n/secrets.", masked},
		{"indented", "guest", "/namespaces/n/secrets?pretty", `"password": ""`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(door, test.who, test.target)
			if w.Code != 200 || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("not told apart by a filter", func(t *testing.T) {
		for _, value := range []string{"c2VjcmV0", "x"} {
			if w := ask(door, "guest", "/secrets?limit=0&fieldSelector=data.password="+value); !strings.Contains(w.Body.String(), `"totalItems":0`) {
				t.Errorf("%s: %s", value, w.Body)
			}
		}
	})
	t.Run("nobody's state is another's", func(t *testing.T) {
		tag := ask(door, "reader", "/namespaces/n/secrets").Header().Get("ETag")
		if w := ask(door, "guest", "/namespaces/n/secrets", "If-None-Match", tag); w.Code != 200 || tag == "" {
			t.Errorf("tag %s answers %d", tag, w.Code)
		}
		if w := ask(door, "reader", "/namespaces/n/secrets", "If-None-Match", `"x", `+tag); w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("the same state answers %d", w.Code)
		}
		// What a client has from elsewhere must not hide that it asks for nonsense.
		for _, wrong := range []string{"label=a==b==c", "annotation=((", "labelSelector=a in b", "limit=x"} {
			if w := ask(door, "reader", "/namespaces/n/secrets?"+strings.ReplaceAll(wrong, " ", "%20"), "If-None-Match", tag); w.Code != 400 {
				t.Errorf("%s answers %d", wrong, w.Code)
			}
		}
	})
	t.Run("nobody", func(t *testing.T) {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest(http.MethodGet, prefix+"/secrets", nil))
		if !strings.Contains(w.Body.String(), masked) {
			t.Errorf("got %s", w.Body)
		}
	})
}

// TestWarnings: what a client sent comes back in a header, and stays in it.
func TestWarnings(t *testing.T) {
	door := newDoor(t, map[string][]string{"configmaps": {}})
	server := httptest.NewServer(door)
	defer server.Close()
	for _, test := range []struct {
		name, query string
		want        []string
	}{
		{"nothing to say", "name=a", nil},
		{"unknown parameters, in order", "reverse=true&_=1", []string{`299 - "the parameter '_' has no effect on configmaps"`, `299 - "the parameter 'reverse' has no effect on configmaps"`}},
		{"unknown order", "sortBy=colour", []string{`299 - "configmaps cannot be sorted by 'colour', they are sorted by creation time"`}},
		{"a line break", "a%0d%0aSet-Cookie:%20b=c=1", []string{`299 - "the parameter 'a'r'nSet-Cookie: b' has no effect on configmaps"`}},
		{"a quote and a backslash", `%22%5c=1`, []string{`299 - "the parameter '''''' has no effect on configmaps"`}},
		{"no UTF-8", "%ff%00=1", []string{`299 - "the parameter ''xff'x00' has no effect on configmaps"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, err := http.Get(server.URL + prefix + "/configmaps?" + test.query)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			got := response.Header.Values("Warning")
			if !slices.Equal(got, test.want) || response.Header.Get("Set-Cookie") != "" {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// agrees is a Kubernetes that permits everything.
func agrees(context.Context, user.Info, authorizationv1.ResourceAttributes) bool { return true }
