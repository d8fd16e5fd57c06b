package objects

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/fields"
	"pgregory.net/rapid"
)

// TestFieldReader: several paths are read together as gjson reads each.
func TestFieldReader(t *testing.T) {
	const object = `{"a":"x","b":{"c":1,"d.e":"dotted","f/g":"slash","":"empty","1":"one"},"list":[{"a":"first"},["n",{"a":true}],"last"],` +
		`"n":null,"é\n":"odd","m":{"m":{"m":{"m":{"m":{"m":{"m":{"m":{"m":"deep"}}}}}}}},"esc":"a\"b\u00e9","o":{},"e":[]}`
	paths := []string{
		"a", "b", "b.c", `b.d\.e`, "b.f/g", "b.", "b.1", "list", "list.0.a", "list.1.1.a", "list.01.0", "list.1.0", "list.2", "list.3", "list.x", "n", "n.x",
		"m.m.m.m.m.m.m.m.m", "m.m.m.m.m.m.m.m", "m.m", "esc", "o", "o.a", "e", "e.0", "missing", "missing.a", ".a", "..a", "..0.a", `b.d\e`, `a\`, "", "list.99999999999999999999",
	}
	check := func(t interface{ Errorf(string, ...any) }, object string, paths []string) {
		for n, value := range newFieldReader(paths).read(object) {
			if want := gjson.Get(object, paths[n]).String(); value != want {
				t.Errorf("%q of %q with %q: %q, want %q", paths[n], object, paths, value, want)
			}
		}
	}
	check(t, object, paths)
	check(t, `[1,{"a":2}]`, []string{"0", "1.a", "a"})
	check(t, `"text"`, []string{"a", "0"})
	rapid.Check(t, func(t *rapid.T) {
		check(t, object, rapid.SliceOfN(rapid.SampledFrom(paths), 1, 16).Draw(t, "paths"))
	})
}

// largeConfigMap is one of a megabyte in many keys.
func largeConfigMap(t testing.TB, kind *Type, version int) *Item {
	t.Helper()
	var data strings.Builder
	for n := range 10_000 {
		if n > 0 {
			data.WriteByte(',')
		}
		fmt.Fprintf(&data, `"k%05d":%q`, n, strings.Repeat("x", 90))
	}
	return mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":"n","name":"a","uid":"u","resourceVersion":"%d","labels":{"a":"b","c":"d"}},"data":{%s}}`, version, data.String()))
}

// TestFieldsAreReadTogether: sixteen fields of a large object take a few times as long as
// one, not sixteen times.
func TestFieldsAreReadTogether(t *testing.T) {
	large := largeConfigMap(t, NewCatalog().Type("configmaps"), 1)
	took := func(terms int) time.Duration {
		var selectors []fields.Selector
		for n := range terms {
			selectors = append(selectors, fields.OneTermNotEqualSelector(fmt.Sprintf("data.k%05d", 9_999-n), "y"))
		}
		test := fieldsTest(fields.AndSelectors(selectors...).Requirements(), nil)
		least := time.Hour
		for range 5 {
			began := time.Now()
			if !test(large) {
				t.Fatal("it does not match")
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	if one, all := took(1), took(16); all > 5*one {
		t.Errorf("sixteen fields take %v, one takes %v", all, one)
	}
}
