package objects_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/sjson"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// pageOf is a page of namespaces with an annotation of a size.
func pageOf(t *testing.T, count, size int) objects.Page {
	t.Helper()
	var all []string
	for n := range count {
		all = append(all, fmt.Sprintf(`{"metadata":{"name":"n%03d","annotations":{"a":%q}},"spec":{"b":[]}}`, n, strings.Repeat("x", size)))
	}
	page, err := objects.NewSnapshot(objects.NewCatalog().Type("namespaces"), nil, all...).List(t.Context(), "", &query.Query{Limit: query.Unlimited, SortBy: "name", Ascending: true})
	if err != nil || len(page.Items) != count {
		t.Fatal(len(page.Items), err)
	}
	return page
}

func marked(item *objects.Item) (string, error) {
	return sjson.Set(item.Shown(false), "metadata.annotations.marked", "true")
}

func projection(t *testing.T, fields string) *query.Projection {
	t.Helper()
	chosen, err := query.ParseProjection(fields)
	if err != nil {
		t.Fatal(err)
	}
	return chosen
}

// TestTexts: a list is what it is when all of it is put together first, and has a
// length when it is short or stored.
func TestTexts(t *testing.T) {
	for _, test := range []struct {
		name        string
		count, size int
		length      bool // whether one that is made has a length
	}{
		{"nothing", 0, 0, true}, {"one", 1, 10, true}, {"a large one", 1, 1 << 20, true}, {"a page", 10, 100, true}, {"a long list", 100, 10 << 10, false},
	} {
		page := pageOf(t, test.count, test.size)
		page.Total += 7
		for _, fields := range []string{"", "metadata", "metadata.name", "spec.b,none"} {
			for _, pretty := range []bool{false, true} {
				q := &query.Query{Projection: projection(t, fields)}
				for made, list := range map[bool]route.List{false: page.Texts(q), true: page.TextsOf(q, marked)} {
					var texts []string
					for _, item := range page.Items {
						shown := item.Shown(false)
						if made {
							shown, _ = marked(item)
						}
						texts = append(texts, q.Projection.Of(shown))
					}
					want := `{"items":[` + strings.Join(texts, ",") + `],"totalItems":` + strconv.Itoa(page.Total) + "}"
					if pretty {
						var indented bytes.Buffer
						_ = json.Indent(&indented, []byte(want), "", "  ")
						want = indented.String()
					}
					want += "\n"
					name := fmt.Sprintf("%s, fields %q, pretty %v, made %v", test.name, fields, pretty, made)
					w := httptest.NewRecorder()
					if err := route.WriteList(w, nil, list, pretty); err != nil || w.Body.String() != want {
						t.Errorf("%s: %v, %d bytes, want %d", name, err, w.Body.Len(), len(want))
					}
					length := w.Header().Get("Content-Length")
					short := len(want) < 64<<10 || !pretty && test.length
					if stored := !made && fields == ""; length != "" && length != strconv.Itoa(len(want)) || (stored || short) && length == "" {
						t.Errorf("%s: Content-Length %q of %d bytes", name, length, len(want))
					}
					if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Type") != "application/json" {
						t.Errorf("%s: header %v", name, w.Header())
					}
				}
			}
		}
	}
}

// TestTextsInMemory: of a list for a client that does not read one object is in memory
// beside those of the cache.
func TestTextsInMemory(t *testing.T) {
	page := pageOf(t, 200, 1<<20)
	chosen := projection(t, "metadata")
	for _, test := range []struct {
		name string
		list route.List
	}{
		{"whole", page.Texts(&query.Query{})},
		{"with fields", page.Texts(&query.Query{Projection: chosen})},
		{"made", page.TextsOf(&query.Query{}, marked)},
		{"made with fields", page.TextsOf(&query.Query{Projection: chosen}, marked)},
	} {
		for _, pretty := range []bool{false, true} {
			grown := objectstest.Unread(t, func(w http.ResponseWriter) error { return route.WriteList(w, nil, test.list, pretty) })
			if grown > 4<<20 {
				t.Errorf("%s, pretty %v: %d bytes", test.name, pretty, grown)
			}
		}
	}
}

// TestOneText: a text is not in memory any more when the next one is sent.
func TestOneText(t *testing.T) {
	const size = 8 << 20
	text := func(int) (string, error) { return `"` + strings.Repeat("x", size) + `"`, nil }
	grown := objectstest.Unread(t, func(w http.ResponseWriter) error {
		return route.WriteList(w, nil, route.List{Count: 8, Text: text}, false)
	})
	if grown > size+size/2 {
		t.Errorf("%d bytes for texts of %d", grown, size)
	}
}

// TestTextsFail: a text that cannot be made is an error as long as nothing is sent,
// and ends an answer that has begun.
func TestTextsFail(t *testing.T) {
	page, failure := pageOf(t, 10, 1<<20), errors.New("it cannot be made")
	failing := func(at int) route.List {
		return page.TextsOf(&query.Query{}, func(item *objects.Item) (string, error) {
			if item == page.Items[at] {
				return "", failure
			}
			return item.Shown(false), nil
		})
	}
	w := httptest.NewRecorder()
	if err := route.WriteList(w, nil, failing(0), false); !errors.Is(err, failure) || w.Body.Len() > 0 {
		t.Errorf("at once: %v after %d bytes", err, w.Body.Len())
	}
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // the sentinel of net/http
			t.Error("half a list ends as if it were whole")
		}
	}()
	_ = route.WriteList(httptest.NewRecorder(), nil, failing(5), false)
}
