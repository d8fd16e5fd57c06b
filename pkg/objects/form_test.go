package objects

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// formItem is an object of a type with the columns seen and secret.
func formItem(t *testing.T, kind *Type, name, seen, secret string) *Item {
	t.Helper()
	return mustItem(t, kind, fmt.Sprintf(`{"metadata":{"name":%q,"uid":"uid-%[1]s","labels":{"seen":%q,"secret":%[3]q},"annotations":{"secret":%[3]q,"kubesphere.io/alias-name":%[3]q},
		"ownerReferences":[{"kind":"K","uid":"u"}]},"spec":{"seen":%[2]q,"secret":%[3]q}}`, name, seen, secret))
}

// parametersOf reads parameters as they are in a URL.
func parametersOf(t *testing.T, raw string) *request.Parameters {
	t.Helper()
	values, err := url.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	parameters, err := request.ParseParameters(values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return parameters
}

// TestForm: lists of reduced objects still told what they did not show, through filters,
// selectors, searches and orders.
func TestForm(t *testing.T) {
	kind := NewCatalog().cluster(NewCatalog().Type("users").GroupVersion(), "things", "Thing", pathColumn("seen", "spec.seen"), pathColumn("secret", "spec.secret"))
	form := NewForm("reduced", []string{"seen"}, "metadata.annotations", "metadata.labels.secret", "metadata.ownerReferences", "spec.secret")
	store := newStore(kind)
	for _, item := range []*Item{formItem(t, kind, "a", "2", "y"), formItem(t, kind, "b", "1", "z"), formItem(t, kind, "c", "1", "x")} {
		store.put(item)
	}
	const none, every = "", "a b c"
	for _, test := range []struct {
		name, parameters string
		full, reduced    string // the names
	}{
		{"nothing", "", every, every},
		{"part of the name", "name=a", "a", "a"},
		{"names", "names=a,c", "a c", "a c"},
		{"UID", "uid=uid-b", "b", "b"},
		{"a column", "seen=1", "b c", "b c"},
		{"a hidden column", "secret=x", "c", none},
		{"a hidden column without a value", "secret=", none, every},
		{"a field", "fieldSelector=spec.seen%3D2", "a", "a"},
		{"a hidden field", "fieldSelector=spec.secret%3Dx", "c", none},
		{"a hidden field, negated", "fieldSelector=spec.secret!%3Dx", "a b", every},
		{"a hidden field, absent", "fieldSelector=spec.secret%3D", none, every},
		{"a hidden field with escapes", `fieldSelector=spec.s\ecret%3Dx`, "c", none},
		{"what a hidden field is in", "fieldSelector=" + `spec%3D{"seen":"1"\,"secret":"x"}`, "c", none},
		{"what is left of it", "fieldSelector=" + `spec%3D{"seen":"2"}`, none, "a"},
		{"a field and a hidden one", "fieldSelector=spec.seen%3D1,spec.secret%3Dx", "c", none},
		{"a hidden annotation", "annotation=secret%3Dx", "c", none},
		{"a hidden annotation, absent", "annotation=!secret", none, every},
		{"a hidden alias", "alias=x", "c", none},
		{"a hidden owner", "ownerReference=u", every, none},
		{"a hidden kind of owner", "ownerKind=K", every, none},
		{"a label", "labelSelector=seen%3D1", "b c", "b c"},
		{"a hidden label", "labelSelector=secret%3Dx", "c", none},
		{"a hidden label, absent", "label=!secret", none, every},
		{"a word of a hidden label", "q=secret", every, none},
		{"a word", "q=seen%3D1", "b c", "b c"},
		{"the order of a column", "sortBy=seen&ascending=true", "b c a", "b c a"},
		{"the order of a hidden column", "sortBy=secret&ascending=true", "c a b", every},
		{"the order of a column and a hidden one", "sortBy=seen,secret", "c b a", "b c a"},
		{"a page of what a hidden column orders", "sortBy=-secret&limit=1", "b", "c"},
		{"the order of a hidden column in part", "sortBy=secret&ascending=true&name=a", "a", "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			parameters := parametersOf(t, test.parameters)
			if !parameters.Has(query.SortBy) {
				parameters = parametersOf(t, test.parameters+"&sortBy=name&ascending=true")
			}
			q, ignored, err := query.Parse(parameters, kind.Filters)
			if err != nil || len(ignored) > 0 {
				t.Fatalf("%v, ignored %q", err, ignored)
			}
			for _, only := range []*Only{nil, NewOnly([]string{"a", "b", "c"}), NewExcept([]string{"d"})} {
				// Twice, one after the other: what is remembered of one is not the answer to the other.
				for _, as := range []struct {
					form *Form
					want string
				}{{nil, test.full}, {form, test.reduced}, {nil, test.full}, {form, test.reduced}} {
					selection := Selection{Query: &q, Only: only, Form: as.form}
					page, err := store.Snapshot().Select(t.Context(), selection)
					if err != nil {
						t.Fatal(err)
					}
					var names []string
					for n := range page.Items {
						names = append(names, page.Item(n).Name())
						if text := page.Item(n).JSON(); as.form != nil && (strings.Contains(text, "secret") || strings.Contains(text, "ownerReferences")) {
							t.Errorf("shown as %s", text)
						}
					}
					if got := strings.Join(names, " "); got != as.want || q.Limit == query.Unlimited && page.Total != len(names) {
						t.Errorf("form %v: got %q of %d, want %q", as.form != nil, got, page.Total, as.want)
					}
					match, err := kind.Matcher(selection)
					if err != nil {
						t.Fatal(err)
					}
					watched := 0
					store.Snapshot().All(func(item *Item) bool {
						if match.Matches(item) {
							watched++
						}
						return true
					})
					if watched != page.Total {
						t.Errorf("form %v: a watch has %d, the list %d", as.form != nil, watched, page.Total)
					}
				}
			}
		})
	}
	t.Run("counts of a hidden column", func(t *testing.T) {
		total, counts, err := store.Snapshot().counts(t.Context(), Selection{Query: &query.Query{Page: 1, Limit: query.Unlimited, SortBy: orderName}, Form: form}, "secret")
		if err != nil || total != 3 || len(counts) != 1 || counts[""] != 3 {
			t.Errorf("got %v of %d, %v", counts, total, err)
		}
	})
	t.Run("texts", func(t *testing.T) {
		q := query.Query{Page: 1, Limit: query.Unlimited, SortBy: orderName, Ascending: true}
		projection, err := query.ParseProjection("spec")
		if err != nil {
			t.Fatal(err)
		}
		q.Projection = projection
		page, err := store.Snapshot().Select(t.Context(), Selection{Query: &q, Form: form})
		if err != nil {
			t.Fatal(err)
		}
		if text, err := page.Texts(&q).Text(0); err != nil || text != `{"spec":{"seen":"2"}}` {
			t.Errorf("%s, %v", text, err)
		}
		listed := Listed{Page: page}
		if text := listed.Item(0).JSON(); strings.Contains(text, "secret") {
			t.Errorf("shown as %s", text)
		}
	})
	t.Run("searches take turns", func(t *testing.T) {
		selector := fields.OneTermEqualSelector("spec.seen", "1")
		reduced, err := kind.reduce(Selection{Query: &query.Query{Fields: selector, Filters: []query.Filter{{Key: "alias", Value: "x"}, {Key: "name", Value: "a"}}}, Form: form})
		if err != nil || reduced.terms != 2+reducingTerms {
			t.Errorf("%d terms, %v", reduced.terms, err)
		}
	})
}
