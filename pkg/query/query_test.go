package query

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
)

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
			values, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			q, ignored, err := Parse(values, known)
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
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if q, _, err := Parse(values, known); !apierrors.IsBadRequest(err) {
			t.Errorf("%s: got %+v, %v, want 400", query, q, err)
		}
	}
}

func TestFieldSelector(t *testing.T) {
	for _, text := range []string{
		"metadata.name=a", "spec.nodeName!=node-1", "type=kubernetes.io/tls,metadata.namespace=n", `metadata.labels.app\.kubernetes\.io/name=a`,
		"spec.containers.0.image=registry.example.com/a:1@sha256:0f", "a=*|#{}()",
	} {
		if q, _, err := Parse(url.Values{FieldSelector: {text}}, known); err != nil || q.Fields.Empty() {
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
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Skip()
		}
		q, _, err := Parse(values, known)
		if err != nil && !apierrors.IsBadRequest(err) {
			t.Fatalf("%q: %v is not a bad request", raw, err)
		}
		if err == nil && q.Offset() < 0 {
			t.Fatalf("%q: negative offset", raw)
		}
		q.Labels.Matches(labels.Set{"a": "b"})
	})
}
