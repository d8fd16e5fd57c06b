package strictjson

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	goyaml "go.yaml.in/yaml/v2"
)

func TestFromYAML(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb: [x]\n":                   `{"a":1,"b":["x"]}`,
		`{"a":1}`:                          `{"a":1}`,
		"metadata: {}\nmetadata: {}\n":     "",
		"metadata: {}\n\"metadata\": {}\n": "",
		`{"a":1,"a":2}`:                    "",
		"a: [":                             "",
		"a: &x {b: c}\nd: [*x, *x]\n":      `{"a":{"b":"c"},"d":[{"b":"c"},{"b":"c"}]}`,
		` {"a": "<"}`:                      ` {"a": "<"}`,
		"{\"a\": \"b\u0085c\"}":            `{"a":"b c"}`, // as Kubernetes reads it, which folds the line
	} {
		got, err := FromYAML(t.Context(), "jane", []byte(text))
		if (err != nil) != (want == "") || string(got) != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

// TestErrorsAboutYAML: each of many keys that were twice in a mapping had a line in the
// error.
func TestErrorsAboutYAML(t *testing.T) {
	if _, err := FromYAML(t.Context(), "jane", []byte(strings.Repeat("a: x\n", 10_000))); err == nil || len(err.Error()) > 2*maxErrorText {
		t.Errorf("%.100v", err)
	}
}

// TestConversionsWaitForEachOther: large texts are converted one at a time, of each user.
func TestConversionsWaitForEachOther(t *testing.T) {
	large := []byte("a: " + strings.Repeat("x", largeYAML))
	release, err := conversions.Take(t.Context(), "mallory")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FromYAML(ctx, "mallory", large); err == nil {
		t.Error("converted beside another")
	}
	if _, err := FromYAML(ctx, "mallory", []byte("a: x")); err != nil {
		t.Errorf("a small one: %v", err)
	}
	if _, err := FromYAML(ctx, "mallory", []byte(`{"a": "`+strings.Repeat("x", largeYAML)+`"}`)); err != nil {
		t.Errorf("JSON: %v", err)
	}
	release()
	if _, err := FromYAML(t.Context(), "mallory", large); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// refusedYAML are bodies of 3 MiB that took seconds and hundreds of MiB before they were
// refused.
func refusedYAML() map[string]string {
	const size = 3 << 20
	fill := func(start, unit, end string) string {
		return start + strings.Repeat(unit, (size-len(start)-len(end))/len(unit)) + end
	}
	long := "a: &a " + strings.Repeat("x", 1<<20) + "\n"
	bomb := "a: &a [" + strings.Repeat(strings.Repeat("x", 100)+",", 9) + "]\n"
	for n := byte('b'); n < 'f'; n++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", n, n, strings.Repeat(fmt.Sprintf("*%c,", n-1), 8), n-1)
	}
	var directives strings.Builder
	for n := 0; directives.Len() < size-100; n++ {
		fmt.Fprintf(&directives, "%%TAG !%d! a\n", n)
	}
	return map[string]string{
		"directives that are compared":    directives.String() + "---\na: b\n",
		"directives without a name":       fill("", "%A\n", "---\na: b\n"),
		"directives behind comments":      fill("# x\n\n", "%YAML 1.1\n# x\n", ""),
		"a long prefix of many tags":      fill("%TAG !a! "+strings.Repeat("x", 1<<20)+"\n---\n[", "!a!b "+strings.Repeat("c", 20)+",", "]"),
		"a sequence without an end":       fill("a: [", "x,", ""),
		"a sequence":                      fill("a: [", "x,", "]"),
		"mappings without values":         fill("a: {", "a,", ""),
		"empty mappings":                  fill("a: [", "{},", "]"),
		"empty pairs":                     fill("a: [", ":,", "]"),
		"block sequences":                 fill("a:\n", "- \n", ""),
		"sequences in sequences":          fill("a:\n", "- - - - -\n", ""),
		"short keys":                      fill("", "a:\n", ""),
		"explicit keys":                   fill("", "?\n", ""),
		"documents":                       fill("", "---\n", ""),
		"tags":                            fill("[", "! ,", ""),
		"lines in a scalar, then entries": fill("a: x\n  \"y\nb: [", "x,", ""),
		"behind a shorter block scalar":   fill("a: |\n    \n  b: [", "x,", ""),
		"behind line breaks of Unicode":   fill("a: |\n  x\u2028b: [", "x,", ""),
		"in UTF-16":                       "\xff\xfe" + fill("[\x00", "x\x00,\x00", ""),
		"aliases":                         fill("a: &a x\nb: [", "*a,", "]"),
		"aliases of a long text":          long + "b: [" + strings.Repeat("*a,", 4000) + "]",
		"aliases of aliases":              bomb,
	}
}

// ordinaryYAML are large bodies that are converted.
func ordinaryYAML() map[string]string {
	dashboard := strings.Repeat(`    {"title": "CPU", "targets": [{"expr": "rate(a[5m])", "legend": "- x: y"}],`+"\n", 13_000)
	var crd, keys strings.Builder
	crd.WriteString("spec:\n  properties:\n")
	for n := range 12_000 {
		fmt.Fprintf(&crd, "    field%d:\n      description: What it is, e.g. [a, b], one of \"x\" or 'y' (see the\n        documentation).\n      type: string\n", n)
	}
	keys.WriteString("data:\n")
	for n := range 80_000 {
		fmt.Fprintf(&keys, "  key%d: value%d\n", n, n)
	}
	endpoints := "subsets:\n- addresses:\n" + strings.Repeat("  - ip: 192.0.2.1\n    nodeName: n\n    targetRef:\n      kind: Pod\n      name: p\n      namespace: n\n", 10_000)
	return map[string]string{
		"a literal scalar of 1 MB":             "data:\n  dashboard.json: |\n" + dashboard + "  other: x\n",
		"a folded scalar with a header":        "data:\n  dashboard.json: >2- # text\n" + dashboard,
		"literal scalars in a sequence":        "args:\n- |\n" + dashboard + "- |+\n" + dashboard,
		"a scalar in double quotes":            "data:\n  a: \"" + strings.Repeat(`{\"a\": 1, \"b\": [2, 3]},`+"\n    ", 30_000) + "\"\n",
		"a scalar in single quotes":            "data:\n  a: '" + strings.Repeat("it''s: a, b, [c]\n    ", 50_000) + "'\n",
		"a plain scalar of 1 MB":               "data:\n  a: x\n" + strings.Repeat("    - it's [a, b], {c\n", 50_000),
		"comments":                             strings.Repeat("# a: [b, c, d]\n", 100_000) + "a: 1\n",
		"a definition of 1.5 MB":               crd.String(),
		"eighty thousand keys":                 keys.String(),
		"ten thousand addresses":               endpoints,
		"directives":                           "%YAML 1.1\n%TAG !a! tag:example.com,2000:\n---\na: b\n",
		"percent signs in scalars":             "a: |\n" + strings.Repeat("  %d\n", 10_000) + "b: \"" + strings.Repeat("\n%d", 10_000) + "\"\nc:\n" + strings.Repeat("- \"%d\"\n- x %d\n", 10_000),
		"a literal scalar with Windows' lines": "a: |\r\n" + strings.Repeat("  b: [c, d, e, f]\r\n", 60_000),
	}
}

func TestLargeYAML(t *testing.T) {
	for name, text := range refusedYAML() {
		// The parser refuses most aliases of aliases itself.
		if _, err := FromYAML(t.Context(), "jane", []byte(text)); !errors.Is(err, ErrYAMLTooLarge) && (err == nil || name != "aliases of aliases") {
			t.Errorf("%s: %.100v", name, err)
		}
	}
	for name, text := range ordinaryYAML() {
		if _, err := FromYAML(t.Context(), "jane", []byte(text)); err != nil {
			t.Errorf("%s: %.100v", name, err)
		}
	}
}

// countValues is how many values the parser made.
func countValues(value any) int {
	count := 1
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			count += countValues(item)
		}
	case map[any]any:
		for key, item := range value {
			count += countValues(key) + countValues(item)
		}
	}
	return count
}

// requireCounted requires of every text that begins another that the parser makes no more
// values of it than were counted in the other: also texts that are no YAML are parsed as far
// as they are.
func requireCounted(t *testing.T, text string) {
	t.Helper()
	counts := countYAML([]byte(text))
	if counts.tooLarge() {
		return
	}
	counted, aliases := counts.values, counts.aliases
	for end := range text {
		var value any
		if text[end] == '\n' && goyaml.Unmarshal([]byte(text[:end+1]), &value) == nil && aliases == 0 && countValues(value) > counted+2 {
			t.Errorf("%q has %d values, %d were counted in %q", text[:end+1], countValues(value), counted, text)
			return
		}
	}
}

// TestCountYAML: a scanner that takes for a scalar what the parser does not counts too
// little.
func TestCountYAML(t *testing.T) {
	words := []string{" ", " ", "  ", "\n", "\n", "\n ", "\n  ", "a", "b: ", "- ", "? ", ": ", ":", "'", "\"", "|\n", ">2\n", "|+1\n", "[", "]", "{", "}", ", ", "#", " #", "&x ", "!t ", "\t", "\\", "---", "\n---\n", "...", "%", "é", "\u2028", "\r\n", "-", "?", "''", "[a,a,a,a,a,a,a,a]\n"}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // texts for a test
	for range 20_000 {
		var text strings.Builder
		for range 2 + random.IntN(14) {
			text.WriteString(words[random.IntN(len(words))])
		}
		requireCounted(t, text.String()+"\nc: [a,a,a,a,a,a,a,a]\n")
	}
}

func FuzzCountYAML(f *testing.F) {
	for _, text := range []string{"a: b\n", "- |\n  x\n", "a: \"x\n  y\"\n", "? a\n: b\n", "a: 'b''c'\n[d, {e: f}]\n", "a: x\n  - y\n", "--- >1-\n  x\n", "!t &a b: c\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 200 {
			requireCounted(t, text)
		}
	})
}

func BenchmarkRefusedYAML(b *testing.B) {
	for name, text := range refusedYAML() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = FromYAML(b.Context(), "jane", []byte(text))
			}
		})
	}
}

func BenchmarkOrdinaryYAML(b *testing.B) {
	texts := ordinaryYAML()
	texts["the most values"] = "a: [" + strings.Repeat("x,", maxYAMLValues/2-10) + "]"
	texts["JSON"] = `{"a": [` + strings.Repeat(`"x",`, maxYAMLValues) + "1]}"
	for name, text := range texts {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := FromYAML(b.Context(), "jane", []byte(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
