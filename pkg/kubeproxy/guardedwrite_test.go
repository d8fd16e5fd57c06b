package kubeproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

const rolePath = "/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles/r"

// racing answers as Kubernetes while another client writes the role between any two
// requests, for a number of times.
func racing(times int64) http.HandlerFunc {
	var version, races atomic.Int64
	version.Store(1)
	role := func() string {
		return fmt.Sprintf(`{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"r","namespace":"a","resourceVersion":"%d"}}`, version.Load())
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body)
		writes := r.Method != http.MethodGet && !strings.Contains(r.URL.RawQuery, "dryRun")
		if writes && races.Add(1) <= times {
			version.Add(1)
		}
		bound := fmt.Sprintf(`"resourceVersion":"%d"`, version.Load())
		switch {
		case writes && r.Method == http.MethodPut && strings.Contains(string(body), "resourceVersion") && !strings.Contains(string(body), bound):
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"kind":"Status","status":"Failure","reason":"Conflict","code":409}`)
		case writes && r.Method == http.MethodPatch && strings.Contains(string(body), "/metadata/resourceVersion") && !strings.Contains(string(body), fmt.Sprintf(`"value":"%d"`, version.Load())):
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"kind":"Status","status":"Failure","code":422,"message":"the server rejected our request due to an error in our request"}`)
		default:
			_, _ = io.WriteString(w, role())
		}
	}
}

// TestGuardedWriteRetries: a write whose client names no version does not fail since
// another client was faster.
func TestGuardedWriteRetries(t *testing.T) {
	for _, test := range []struct {
		name, method, media, body string
		code                      int
	}{
		{"an update without a version", http.MethodPut, "application/json", `{"kind":"Role","metadata":{"name":"r"}}`, 200},
		{"an update of a version", http.MethodPut, "application/json", `{"kind":"Role","metadata":{"name":"r","resourceVersion":"1"}}`, 409},
		{"a JSON patch", http.MethodPatch, "application/json-patch+json", `[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFront(t, racing(3))
			r, err := http.NewRequest(test.method, f.URL+rolePath, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", test.media)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			text, _ := io.ReadAll(response.Body)
			var answer struct{ Kind string }
			if err := json.Unmarshal(text, &answer); response.StatusCode != test.code || err != nil || (answer.Kind == "Role") != (test.code == 200) {
				t.Errorf("%d %s, want %d", response.StatusCode, text, test.code)
			}
		})
	}
}

// withoutCreate permits everything but to create.
type withoutCreate struct{}

func (withoutCreate) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetVerb() == "create" {
		return authorizer.DecisionNoOpinion, "", nil
	}
	return authorizer.DecisionAllow, "", nil
}

// TestWithoutCreation: who may patch or update creates nothing by it.
func TestWithoutCreation(t *testing.T) {
	for _, test := range []struct {
		name, method, media, body string
		exists                    bool
		code                      int
		sent                      string
	}{
		{"apply creates", http.MethodPatch, "application/apply-patch+yaml", "kind: ConfigMap\nmetadata: {name: c}\n", false, 403, ""},
		{"apply changes what is there", http.MethodPatch, "application/apply-patch+yaml", "kind: ConfigMap\nmetadata: {name: c}\n", true, 200, `"uid":"u1"`},
		{"an update creates", http.MethodPut, "application/json", `{"kind":"ConfigMap","metadata":{"name":"c"}}`, false, 403, ""},
		{"an update changes what is there", http.MethodPut, "application/json", `{"kind":"ConfigMap","metadata":{"name":"c"}}`, true, 200, `"uid":"u1"`},
		{"other patches create nothing", http.MethodPatch, "application/merge-patch+json", `{}`, true, 200, `{}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var sent atomic.Value
			f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != http.MethodGet && r.URL.RawQuery == "" {
					sent.Store(string(body))
				}
				w.Header().Set("Content-Type", "application/json")
				if r.Method == http.MethodGet && !test.exists {
					w.WriteHeader(http.StatusNotFound)
					_, _ = io.WriteString(w, `{"kind":"Status","status":"Failure","reason":"NotFound","code":404}`)
					return
				}
				_, _ = io.WriteString(w, `{"kind":"ConfigMap","metadata":{"name":"c","uid":"u1"}}`)
			})
			f.proxy.options.Authorizer = withoutCreate{}
			r, err := http.NewRequest(test.method, f.URL+"/api/v1/namespaces/a/configmaps/c", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", test.media)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			got, _ := sent.Load().(string)
			if response.StatusCode != test.code || !strings.Contains(got, test.sent) || test.sent == "" && got != "" {
				t.Errorf("%d, sent %q", response.StatusCode, got)
			}
		})
	}
}

// TestListsNamespaces: which requests show the own namespaces.
func TestListsNamespaces(t *testing.T) {
	for target, want := range map[string]bool{
		"/api/v1/namespaces": true, "/api/v1/namespaces?watch=1": true, "/api/v1/namespaces?fieldSelector=metadata.name%3Da": true,
		"/api/v1/namespaces?fieldSelector=metadata.name%3Da&watch=true": true, "/api/v1/watch/namespaces": true, "/api/v1/watch/namespaces/a": true,
		"/api/v1/namespaces/a": false, "/api/v1/namespaces/a/pods": false, "/apis/g/v1/namespaces": false, "/api/v1/watch/namespaces/a/pods": false,
	} {
		r, err := http.NewRequest(http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		info, err := request.Parse(r)
		if err != nil || listsNamespaces(info) != want {
			t.Errorf("%s: %v", target, err)
		}
	}
}
