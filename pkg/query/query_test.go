package query

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// parse reads a query as it stands in a URL.
func parse(raw string) (Query, []string, error) {
	parameters, err := request.ParseParameters(raw)
	if err != nil {
		return Query{}, nil, err
	}
	return Parse(parameters, known)
}

func known(key string) bool { return key == "name" || key == "status" }

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, query string
		page, limit int
		sortBy      string
		ascending   bool
		filters     []Filter
		ignored     []string
	}{
		{"nothing asks for all", "", 1, Unlimited, "creationTimestamp", false, nil, nil},
		{"a page", "page=3&limit=10", 3, 10, "creationTimestamp", false, nil, nil},
		{"total only", "limit=0", 1, 0, "creationTimestamp", false, nil, nil},
		{"ordered", "sortBy=name&ascending=true", 1, Unlimited, "name", true, nil, nil},
		{"filters in order", "status=x&name=a", 1, Unlimited, "creationTimestamp", false, []Filter{{"name", "a"}, {"status", "x"}}, nil},
		{"the last value counts", "name=a&name=b", 1, Unlimited, "creationTimestamp", false, []Filter{{"name", "b"}}, nil},
		// Upstream emptied the list for any unknown parameter (golden 136, 137).
		{"unknown parameters are reported", "_=123&reverse=true", 1, Unlimited, "creationTimestamp", false, nil, []string{"_", "reverse"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			q, ignored, err := parse(test.query)
			if err != nil {
				t.Fatal(err)
			}
			if q.Page != test.page || q.Limit != test.limit || q.SortBy != test.sortBy || q.Ascending != test.ascending {
				t.Errorf("got %+v", q)
			}
			if !slices.Equal(q.Filters, test.filters) || !slices.Equal(ignored, test.ignored) {
				t.Errorf("filters %v, ignored %v", q.Filters, ignored)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, query := range []string{
		"page=0", "page=-1", "page=x", "limit=-2", "limit=ten", "ascending=maybe", "labelSelector==", "labelSelector=a+in+(b",
		"labelSelector=a||b", "labelSelector=a%3Db%3Dc", "fieldSelector=a",
		// A few hundred bytes kept a processor busy for half a minute.
		"fieldSelector=@pretty|@ugly|kind%3Dx", "fieldSelector=a.%23(b%3D%22c%22)%3Dx", "fieldSelector=a.*%3Dx", "fieldSelector=" + strings.Repeat("a!%3Db,", 17) + "c%3Dd",
		"page=9223372036854775807&limit=10",
		"labelSelector=" + strings.Repeat("a,", 130), "labelSelector=a" + strings.Repeat("|a", 130), "sortBy=a,,b", "sortBy=-", "sortBy=a,b,c,d,e", "resourceVersion=x", "resourceVersion=-1", "resourceVersionMatch=Exact", "resourceVersionMatch=Newest&resourceVersion=1",
		// Two readers of a repeated parameter took different values for it.
		"watch=false&watch=true", "fieldSelector=metadata.name%3Da&fieldSelector=", "labelSelector=a&labelSelector=a", "limit=1&limit=2", "watch=maybe", "watch=f", "follow=no", "limit=1;watch=true", "limit=%zz",
		"watch=true&timeoutSeconds=-1", "watch=true&sendInitialEvents=true", "watch=true&resourceVersion=1&resourceVersionMatch=Exact", "fields=a..b", "fields=,", "q=" + strings.Repeat("a+", 9),
	} {
		if q, _, err := parse(query); !apierrors.IsBadRequest(err) {
			t.Errorf("%s: got %+v, %v, want 400", query, q, err)
		}
	}
}

func TestFieldSelector(t *testing.T) {
	for _, text := range []string{
		"metadata.name=a", "spec.nodeName!=node-1", "type=kubernetes.io/tls,metadata.namespace=n", `metadata.labels.app\.kubernetes\.io/name=a`,
		"spec.containers.0.image=registry.example.com/a:1@sha256:0f", "a=*|#{}()",
	} {
		if q, _, err := parse(url.Values{FieldSelector: {text}}.Encode()); err != nil || q.Fields.Empty() {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSelector(t *testing.T) {
	master := labels.Set{"node-role.kubernetes.io/master": ""}
	edge := labels.Set{"node-role.kubernetes.io/edge": "", "zone": "a"}
	for _, test := range []struct {
		text         string
		master, edge bool
	}{
		{"", true, true},
		{"zone", false, true},
		{"!zone", true, false},
		{"zone=a", false, true},
		{"zone in (a,b)", false, true},
		{"zone notin (a,b)", true, false},
		// Sent by the console 3.3 and 4.1 (reference: console.md §0).
		{",!node-role.kubernetes.io/edge", true, false},
		{"node-role.kubernetes.io/master|node-role.kubernetes.io/control-plane", true, false},
		{"zone=a|node-role.kubernetes.io/master", true, true},
		{"zone in (a,b)|zone=c,node-role.kubernetes.io/edge", false, true},
	} {
		selector, err := ParseSelector(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if selector.Matches(master) != test.master || selector.Matches(edge) != test.edge {
			t.Errorf("%q: got %v %v, want %v %v", test.text, selector.Matches(master), selector.Matches(edge), test.master, test.edge)
		}
	}
}

// FuzzParse: no input panics, and every error is a 400.
func FuzzParse(f *testing.F) {
	f.Add("labelSelector=a|b,c in (d,e)&page=1&limit=10")
	f.Add("labelSelector=,,!a&fieldSelector=a.b=c")
	f.Add("limit=-1&ascending=&name=%00")
	f.Fuzz(func(t *testing.T, raw string) {
		q, _, err := parse(raw)
		if err != nil && !apierrors.IsBadRequest(err) {
			t.Fatalf("%q: %v is not a bad request", raw, err)
		}
		if err == nil && q.Offset() < 0 {
			t.Fatalf("%q: negative offset", raw)
		}
		q.Labels.Matches(labels.Set{"a": "b"})
	})
}

func TestSortKeys(t *testing.T) {
	for _, test := range []struct {
		query, sortBy string
		ascending     bool
	}{
		{"sortBy=name", "name", false},
		{"sortBy=name&ascending=true", "name", true},
		{"sortBy=-restarts,name", "-restarts,name", true},
		{"sortBy=-restarts", "restarts", false},
		{"sortBy=restarts,+name", "restarts,name", true}, // a plus is a space
	} {
		q, _, err := parse(test.query)
		if err != nil || q.SortBy != test.sortBy || q.Ascending != test.ascending {
			t.Errorf("%s: %+v, %v", test.query, q, err)
		}
	}
	if _, ignored, _ := parse("sortBy=-a&ascending=false"); !slices.Equal(ignored, []string{"ascending"}) {
		t.Errorf("a direction that has no effect is not reported: %v", ignored)
	}
}

func TestWatch(t *testing.T) {
	for _, test := range []struct {
		query   string
		want    *Watched
		version uint64
	}{
		{"resourceVersion=7", nil, 7},
		{"watch=false", nil, 0},
		{"watch=0", nil, 0},
		{"watch=true", &Watched{}, 0},
		{"watch", &Watched{}, 0},
		// A generated Python client sends Python's spelling.
		{"watch=False", nil, 0},
		{"watch=FALSE&resourceVersion=0", nil, 0},
		{"watch=True&allowWatchBookmarks=False", &Watched{}, 0},
		{"watch=1&resourceVersion=0", &Watched{}, 0},
		{"watch=1&resourceVersion=12&timeoutSeconds=5&allowWatchBookmarks=true", &Watched{Bookmarks: true, Resumed: true, Timeout: 5 * time.Second}, 12},
		{"watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", &Watched{Initial: true}, 0},
	} {
		q, ignored, err := parse(test.query)
		if err != nil || len(ignored) > 0 || q.ResourceVersion != test.version || (q.Watch == nil) != (test.want == nil) || q.Watch != nil && *q.Watch != *test.want {
			t.Errorf("%s: %+v, %v, %v", test.query, q.Watch, ignored, err)
		}
	}
}

func TestProjection(t *testing.T) {
	const object = `{"kind":"Pod","metadata":{"name":"a","labels":{"app.kubernetes.io/name":"x","b":"c"}},"spec":{"containers":[{"name":"c","image":"i:1"},{"name":"d","image":"i:2"}],"n":null},"status":{"phase":"Running"}}`
	for _, test := range []struct{ fields, want string }{
		{"kind", `{"kind":"Pod"}`},
		{"metadata.name,status.phase", `{"metadata":{"name":"a"},"status":{"phase":"Running"}}`},
		{"status.phase, metadata.name", `{"metadata":{"name":"a"},"status":{"phase":"Running"}}`},
		{"spec.containers.image", `{"spec":{"containers":[{"image":"i:1"},{"image":"i:2"}]}}`},
		{`metadata.labels.app\.kubernetes\.io/name`, `{"metadata":{"labels":{"app.kubernetes.io/name":"x"}}}`},
		{"metadata.labels,metadata.labels.b", `{"metadata":{"labels":{"app.kubernetes.io/name":"x","b":"c"}}}`},
		{"metadata.labels.b,metadata.labels", `{"metadata":{"labels":{"app.kubernetes.io/name":"x","b":"c"}}}`},
		{"spec.n.m,kind.name", `{"spec":{}}`},
		{"nothing", `{}`},
	} {
		p, err := ParseProjection(test.fields)
		if err != nil {
			t.Errorf("%s: %v", test.fields, err)
			continue
		}
		if got := p.Of(object); got != test.want {
			t.Errorf("%s: got %s, want %s", test.fields, got, test.want)
		}
	}
}

// TestProjectionOfNestedLists: each level of lists within lists was gone through by all
// those above it, 17 s for an object of 1 MB.
func TestProjectionOfNestedLists(t *testing.T) {
	p, err := ParseProjection("a.b")
	if err != nil {
		t.Fatal(err)
	}
	chain := strings.Repeat("[", 9_000) + `{"b":1}` + strings.Repeat("]", 9_000)
	started := time.Now()
	got := p.Of(`{"a":[` + strings.Repeat(chain+",", 60) + `{"b":1}]}`)
	if took := time.Since(started); took > 3*time.Second || !json.Valid([]byte(got)) {
		t.Errorf("it took %s: %.100s", took, got)
	}
	if got := p.Of(`{"a":[[{"b":1,"c":2}]]}`); got != `{"a":[[{"b":1}]]}` {
		t.Errorf("lists within lists: %s", got)
	}
}
