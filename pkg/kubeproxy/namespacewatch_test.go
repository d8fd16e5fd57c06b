package kubeproxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// watchOf is a filtered watch of namespaces with the events of Kubernetes.
func watchOf(t *testing.T, recheck time.Duration, query, accept string, visible func() (authz.Visible, error)) (io.WriteCloser, *json.Decoder) {
	t.Helper()
	writer, body := bodyOf(t, recheck, query, accept, visible)
	return writer, json.NewDecoder(body)
}

// bodyOf is the body of such a watch.
func bodyOf(t *testing.T, recheck time.Duration, query, accept string, visible func() (authz.Visible, error)) (io.WriteCloser, io.Reader) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/api/v1/namespaces?watch=true"+query, nil)
	r.Header.Set("Accept", accept)
	info, err := request.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	r = r.WithContext(request.WithInfo(r.Context(), info))
	p := &Proxy{recheck: recheck}
	reader, writer := io.Pipe()
	body, err := p.filteredWatch(&http.Response{Request: r, Body: reader}, visible)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = body.Close() })
	return writer, body
}

// namespaceShown is a namespace as a client gets it, or the table of one.
type namespaceShown struct {
	Metadata struct{ Name string }
	Rows     []struct{ Object namespaceShown }
}

// namespaceText is an event about a namespace.
func namespaceText(kind, name, more string) string {
	return fmt.Sprintf(`{"type":%q,"object":{"kind":"Namespace","metadata":{"name":%q,"resourceVersion":"5"%s}}}`+"\n", kind, name, more)
}

func rowText(kind, name string) string {
	return fmt.Sprintf(`{"type":%q,"object":{"kind":"Table","metadata":{"resourceVersion":"5"},"rows":[{"cells":[%q],"object":{"metadata":{"name":%q}}}]}}`+"\n", kind, name, name)
}

// TestNamespaceWatch: the caller sees the own namespaces, and the end of each that was
// told of: kubectl delete waited for it forever.
func TestNamespaceWatch(t *testing.T) {
	const terminating = `,"deletionTimestamp":"2026-01-01T00:00:00Z"`
	bookmark := `{"type":"BOOKMARK","object":{"kind":"Namespace","metadata":{"resourceVersion":"9"}}}` + "\n"
	for _, test := range []struct {
		name, query string
		// roles is how many times the caller is found to have a role in namespace a.
		roles  int
		events []string
		want   string
	}{
		{"those of others are left out", "", 99, []string{namespaceText("ADDED", "b", ""), namespaceText("ADDED", "a", ""), bookmark, namespaceText("MODIFIED", "b", ""), namespaceText("DELETED", "b", "")}, "ADDED a,BOOKMARK "},
		{"rows of tables", "", 99, []string{rowText("ADDED", "a"), rowText("MODIFIED", "b"), rowText("MODIFIED", "a")}, "ADDED a,MODIFIED a"},
		{"the role goes before the project", "", 2, []string{namespaceText("ADDED", "a", ""), namespaceText("MODIFIED", "a", terminating), namespaceText("MODIFIED", "a", terminating), namespaceText("DELETED", "a", terminating), bookmark}, "ADDED a,MODIFIED a,MODIFIED a,DELETED a,BOOKMARK "},
		{"a member is removed", "", 1, []string{namespaceText("ADDED", "a", ""), namespaceText("MODIFIED", "a", ""), namespaceText("MODIFIED", "a", ""), namespaceText("DELETED", "a", "")}, "ADDED a,DELETED a"},
		{"who resumes knows what was there", "&resourceVersion=4", 1, []string{namespaceText("MODIFIED", "b", ""), namespaceText("DELETED", "a", "")}, "DELETED a"},
		{"who begins to see one is told that it is there", "", 99, []string{namespaceText("MODIFIED", "a", "")}, "ADDED a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			writer, decoder := watchOf(t, time.Hour, test.query, "application/json", func() (authz.Visible, error) {
				if calls++; calls > test.roles {
					return authz.Visible{Names: sets.New("c")}, nil
				}
				return authz.Visible{Names: sets.New("a")}, nil
			})
			go func() {
				for _, event := range test.events {
					_, _ = io.WriteString(writer, event)
				}
				_ = writer.Close()
			}()
			var got []string
			for {
				var event struct {
					Type   string
					Object namespaceShown
				}
				if err := decoder.Decode(&event); err != nil {
					break
				}
				name := event.Object.Metadata.Name
				if len(event.Object.Rows) > 0 {
					name = event.Object.Rows[0].Object.Metadata.Name
				}
				got = append(got, event.Type+" "+name)
			}
			if strings.Join(got, ",") != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestNamespaceWatchEvents: events are told apart however their lines break, and pass as they
// are; what is none ends the watch.
func TestNamespaceWatchEvents(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"an object as it is", `{"type":"ADDED","object":{"metadata":{"name":"a","x":"<&é"}}}` + "\n", `{"type":"ADDED","object":{"metadata":{"name":"a","x":"<&é"}}}` + "\n"},
		{"an event in several lines", "{\n\"type\":\"ADDED\",\n\"object\":{\"metadata\":{\"name\":\"a\"}}\n}\n", `{"type":"ADDED","object":{"metadata":{"name":"a"}}}` + "\n"},
		{"the last one without a line break", `{"type":"ADDED","object":{"metadata":{"name":"a"}}}`, `{"type":"ADDED","object":{"metadata":{"name":"a"}}}` + "\n"},
		{"blank lines", "\n\r\n" + namespaceText("DELETED", "a", "") + "\n", namespaceText("DELETED", "a", "")},
		{"an error", `{"type":"ERROR","object":{"kind":"Status","code":410}}` + "\n", `{"type":"ERROR","object":{"kind":"Status","code":410}}` + "\n"},
		{"an empty table", `{"type":"ADDED","object":{"kind":"Table","rows":[{},{}]}}` + "\n", ""},
		{"a deletion that is null", namespaceText("ADDED", "a", `,"deletionTimestamp":null`), namespaceText("ADDED", "a", `,"deletionTimestamp":null`)},
		{"no event", "null\n" + `"text"` + "\n", ""},
		{"no JSON", "what\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			writer, body := bodyOf(t, time.Hour, "", "application/json", func() (authz.Visible, error) {
				return authz.Visible{Names: sets.New("a")}, nil
			})
			go func() {
				_, _ = io.WriteString(writer, test.text)
				_ = writer.Close()
			}()
			if got, _ := io.ReadAll(body); string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestNamespaceWatchesTakeTurns: the watches of a user wait for one another when they go
// through much, and lose nothing.
func TestNamespaceWatchesTakeTurns(t *testing.T) {
	const events, size = 5, 1 << 20
	share := objects.WatchShare("") // the tests have no user
	defer share.Close()
	release, err := share.Wait(t.Context(), 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(200*time.Millisecond, release)
	var reading sync.WaitGroup
	for range 20 {
		writer, decoder := watchOf(t, time.Hour, "", "application/json", func() (authz.Visible, error) {
			return authz.Visible{Names: sets.New("a")}, nil
		})
		go func() {
			for n := range events {
				_, _ = io.WriteString(writer, namespaceText("MODIFIED", "a", fmt.Sprintf(`,"annotations":{"n":"%d","x":%q}`, n, strings.Repeat("x", size))))
			}
		}()
		reading.Go(func() {
			for n := range events {
				var event struct {
					Object struct {
						Metadata struct{ Annotations map[string]string }
					}
				}
				if err := decoder.Decode(&event); err != nil || event.Object.Metadata.Annotations["n"] != fmt.Sprint(n) {
					t.Errorf("event %d: %s, %v", n, event.Object.Metadata.Annotations["n"], err)
					return
				}
			}
		})
	}
	reading.Wait()
}

// TestNamespaceWatchWithoutEvents: a member who is removed is told so though nothing
// happens to the namespace, in the form that was asked for.
func TestNamespaceWatchWithoutEvents(t *testing.T) {
	for accept, want := range map[string]string{
		"application/json": `"kind":"Namespace"`, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json": `"cells":["a"`,
		"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io": `"kind":"PartialObjectMetadata"`,
	} {
		var removed atomic.Bool
		writer, decoder := watchOf(t, time.Millisecond, "", accept, func() (authz.Visible, error) {
			if removed.Load() {
				return authz.Visible{}, nil
			}
			return authz.Visible{Names: sets.New("a")}, nil
		})
		go func() { _, _ = io.WriteString(writer, namespaceText("ADDED", "a", "")) }()
		var types []string
		var last json.RawMessage
		for range 2 {
			var event struct {
				Type   string
				Object json.RawMessage
			}
			if err := decoder.Decode(&event); err != nil {
				t.Fatal(err)
			}
			types, last = append(types, event.Type), event.Object
			removed.Store(true)
		}
		if !slices.Equal(types, []string{"ADDED", "DELETED"}) || !strings.Contains(string(last), want) || !strings.Contains(string(last), `"name":"a"`) || !strings.Contains(string(last), `"resourceVersion":"5"`) {
			t.Errorf("%s: %v %s", accept, types, last)
		}
	}
}
