package jsonpatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestApply(t *testing.T) {
	for _, test := range []struct {
		name, document, patch string
		want                  string // "" when it cannot be applied
		err                   error
	}{
		{"add a key", `{"a":1}`, `[{"op":"add","path":"/b","value":{"c":[]}}]`, `{"a":1,"b":{"c":[]}}`, nil},
		{"add replaces", `{"a":1}`, `[{"op":"add","path":"/a","value":2}]`, `{"a":2}`, nil},
		{"add to an array", `{"a":[1,3]}`, `[{"op":"add","path":"/a/1","value":2},{"op":"add","path":"/a/-","value":4}]`, `{"a":[1,2,3,4]}`, nil},
		{"add to nothing", `{}`, `[{"op":"add","path":"/a/b","value":1}]`, "", nil},
		{"add null", `{}`, `[{"op":"add","path":"/a","value":null}]`, `{"a":null}`, nil},
		{"add without a value", `{}`, `[{"op":"add","path":"/a"}]`, "", ErrMalformed},
		{"escaped", `{"m":{"a/b":1,"c~d":2}}`, `[{"op":"replace","path":"/m/a~1b","value":3},{"op":"remove","path":"/m/c~0d"}]`, `{"m":{"a/b":3}}`, nil},
		{"replace what is not there", `{}`, `[{"op":"replace","path":"/a","value":1}]`, "", nil},
		{"remove", `{"a":[1,2,3]}`, `[{"op":"remove","path":"/a/0"},{"op":"remove","path":"/a/-1"}]`, `{"a":[2]}`, nil},
		{"remove what is not there", `{}`, `[{"op":"remove","path":"/a"}]`, "", nil},
		{"index beyond the end", `{"a":[1]}`, `[{"op":"add","path":"/a/2","value":1}]`, "", nil},
		{"index with a zero", `{"a":[1,2]}`, `[{"op":"remove","path":"/a/01"}]`, "", nil},
		{"move", `{"a":{"b":1},"c":[]}`, `[{"op":"move","from":"/a/b","path":"/c/0"}]`, `{"a":{},"c":[1]}`, nil},
		{"move into itself", `{"a":{"b":1}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, "", nil},
		{"copy", `{"a":{"b":1}}`, `[{"op":"copy","from":"/a","path":"/c"},{"op":"add","path":"/c/d","value":2}]`, `{"a":{"b":1},"c":{"b":1,"d":2}}`, nil},
		{"test", `{"a":{"b":[1.0,"x",null]}}`, `[{"op":"test","path":"/a","value":{"b":[1,"x",null]}}]`, `{"a":{"b":[1.0,"x",null]}}`, nil},
		{"test that fails", `{"a":1}`, `[{"op":"test","path":"/a","value":2}]`, "", nil},
		{"test for nothing", `{}`, `[{"op":"test","path":"/a","value":null}]`, `{}`, nil},
		{"large numbers", `{"a":12345678901234567890}`, `[]`, `{"a":12345678901234567890}`, nil},
		{"html", `{"a":"<b>"}`, `[]`, `{"a":"<b>"}`, nil},
		{"an object", `{}`, `{"a":1}`, "", ErrMalformed},
		{"null", `{}`, `null`, "", ErrMalformed},
		{"two values", `{}`, `[] []`, "", ErrMalformed},
		{"no path", `{}`, `[{"op":"add","value":1}]`, "", ErrMalformed},
		{"no pointer", `{}`, `[{"op":"add","path":"a","value":1}]`, "", ErrMalformed},
		{"no operation", `{}`, `[{"op":"grow","path":"/a"}]`, "", ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Apply([]byte(test.document), []byte(test.patch))
			if test.want == "" {
				if err == nil || test.err != nil && !errors.Is(err, test.err) {
					t.Errorf("got %s, %v, want %v", got, err, test.err)
				}
				return
			}
			if err != nil || string(got) != test.want {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	for _, test := range []struct{ document, patch, want string }{ // RFC 7396, appendix A
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":1}`, `[1]`, ""},
		{`{"a":1}`, `null`, ""},
		{`{"a":1}`, `{`, ""},
	} {
		got, err := Merge([]byte(test.document), []byte(test.patch))
		if test.want == "" {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %s, %v", test.patch, got, err)
			}
		} else if err != nil || string(got) != test.want {
			t.Errorf("%s onto %s: %s, %v, want %s", test.patch, test.document, got, err, test.want)
		}
	}
}

// bombs are patches that used to cost far more than their size.
func bombs() map[string][2]string {
	long := strings.Repeat("a", 1000)
	copies := func(operation string, times int) string {
		return `[{"op":"add","path":"/x","value":["` + long + `"]}` + strings.Repeat(","+operation, times) + "]"
	}
	var moves strings.Builder
	moves.WriteString(`[{"op":"add","path":"/n0","value":"` + strings.Repeat("a", 1<<20) + `"}`)
	for n := range 4000 {
		fmt.Fprintf(&moves, `,{"op":"add","path":"/n%d","value":{}},{"op":"move","from":"/n%d","path":"/n%d/c"}`, n+1, n, n+1)
	}
	moves.WriteString("]")
	deep := strings.Repeat(`{"a":`, 9000)
	return map[string][2]string{
		"an array copied into itself":  {`{}`, copies(`{"op":"copy","from":"/x","path":"/x/-"}`, 18)},
		"an object copied into itself": {`{"x":{"a":"` + long + `"}}`, "[" + strings.TrimPrefix(strings.Repeat(`,{"op":"copy","from":"/x","path":"/x/b"},{"op":"copy","from":"/x","path":"/x/c"}`, 18), ",") + "]"},
		"many copies":                  {`{}`, copies(`{"op":"copy","from":"/x/0","path":"/x/-"}`, 9000)},
		"copies of empty values":       {`{"x":[[],[],[],[]]}`, "[" + strings.TrimPrefix(strings.Repeat(`,{"op":"copy","from":"/x","path":"/x/-"}`, 30), ",") + "]"},
		"too many operations":          {`{}`, "[" + strings.TrimPrefix(strings.Repeat(`,{"op":"test","path":"/a","value":null}`, MaxOperations+1), ",") + "]"},
		"a deep value":                 {`{}`, `[{"op":"add","path":"/x","value":` + deep + `1` + strings.Repeat("}", 9000) + `}]`},
		"a long pointer":               {`{}`, `[{"op":"remove","path":"` + strings.Repeat("/a", 100000) + `"}]`},
		"many values":                  {`{}`, `[{"op":"add","path":"/x","value":[` + strings.Repeat("{},", 1<<20) + `{}]}]`},
		"brackets":                     {`{}`, strings.Repeat("[", 3<<20)},
		"nesting by moves":             {`{}`, moves.String()},
		"insertions at the front":      {`{"x":[` + strings.Repeat("1,", 700000) + `1]}`, "[" + strings.TrimPrefix(strings.Repeat(`,{"op":"add","path":"/x/0","value":1}`, 9000), ",") + "]"},
	}
}

func TestBombs(t *testing.T) {
	for name, bomb := range bombs() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			got, err := Apply([]byte(bomb[0]), []byte(bomb[1]))
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if err == nil && len(got) > len(bomb[0])+len(bomb[1]) || err != nil && !errors.Is(err, ErrTooLarge) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			size := len(bomb[0]) + len(bomb[1])
			allowed := uint64(10<<20 + 100*size)
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > allowed || took > 5*time.Second {
				t.Errorf("%d bytes cost %s and %d bytes of memory", size, took, allocated)
			}
			t.Logf("%d bytes: %s, %d KiB", size, took, (after.TotalAlloc-before.TotalAlloc)>>10)
		})
	}
	for name, bomb := range map[string][2]string{ // each is beyond a limit, however fast it is
		"tests of a long number":      {`{}`, `[{"op":"add","path":"/x","value":` + strings.Repeat("1", 690000) + `}` + strings.Repeat(`,{"op":"test","path":"/x","value":1}`, 2500) + "]"},
		"a long number with exponent": {`{}`, `[{"op":"add","path":"/x","value":-1.` + strings.Repeat("1", maxNumberBytes) + `e+5}]`},
		"tests of many numbers":       {`{"x":` + strings.Repeat("1", maxNumberBytes-1) + `}`, "[" + strings.TrimPrefix(strings.Repeat(`,{"op":"test","path":"/x","value":`+strings.Repeat("1", maxNumberBytes-1)+`}`, 5000), ",") + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Apply([]byte(bomb[0]), []byte(bomb[1])); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("a merge patch with a long number", func(t *testing.T) {
		if _, err := Merge([]byte(`{}`), []byte(`{"a":`+strings.Repeat("1", 690000)+`}`)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a long number of the document", func(t *testing.T) {
		number := strings.Repeat("1", 690000)
		if _, err := Apply([]byte(`{"x":`+number+`}`), []byte(`[{"op":"test","path":"/x","value":1}]`)); err == nil || errors.Is(err, ErrTooLarge) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a deep merge patch", func(t *testing.T) {
		patch := strings.Repeat(`{"a":`, 9000) + `"` + strings.Repeat("a", 2<<20) + `"` + strings.Repeat("}", 9000)
		if _, err := Merge([]byte(`{}`), []byte(patch)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v", err)
		}
	})
}

// FuzzApply: no patch makes more than its limits allow, and what it makes is JSON.
func FuzzApply(f *testing.F) {
	for _, bomb := range bombs() {
		if len(bomb[1]) < 4096 {
			f.Add([]byte(bomb[0]), []byte(bomb[1]))
		}
	}
	f.Add([]byte(`{"a":[1,{"b":2}]}`), []byte(`[{"op":"move","from":"/a/1","path":"/c"},{"op":"copy","from":"/c","path":"/a/-"},{"op":"test","path":"/c/b","value":2}]`))
	f.Fuzz(func(t *testing.T, document, patch []byte) {
		if !json.Valid(document) || bytes.IndexByte(document, '{') != 0 {
			return
		}
		for _, apply := range []func(_, _ []byte) ([]byte, error){Apply, Merge} {
			if got, err := apply(document, patch); err == nil && !json.Valid(got) {
				t.Errorf("%s onto %s: %s", patch, document, got)
			}
		}
	})
}
