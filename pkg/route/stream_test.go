package route

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestIndenter: what is indented in parts is what json.Indent makes of the whole.
func TestIndenter(t *testing.T) {
	var value *rapid.Generator[any]
	value = rapid.OneOf(
		rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "text") }),
		rapid.Custom(func(t *rapid.T) any {
			return rapid.SampledFrom([]string{"\"", "\\", "{[,:]}", "\\\"", ""}).Draw(t, "odd text")
		}),
		rapid.Custom(func(t *rapid.T) any { return rapid.IntRange(-5, 5).Draw(t, "number") }),
		rapid.Just[any](nil), rapid.Just[any](true),
		rapid.Custom(func(t *rapid.T) any {
			return rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return value }), 0, 4).Draw(t, "array")
		}),
		rapid.Custom(func(t *rapid.T) any {
			return rapid.MapOfN(rapid.String(), rapid.Deferred(func() *rapid.Generator[any] { return value }), 0, 4).Draw(t, "object")
		}),
	)
	rapid.Check(t, func(t *rapid.T) {
		compact, err := json.Marshal(value.Draw(t, "value"))
		if err != nil {
			t.Skip()
		}
		text := string(compact)
		if rapid.Bool().Draw(t, "spaced") {
			var spaced bytes.Buffer
			_ = json.Indent(&spaced, compact, " ", "\t")
			text = spaced.String()
		}
		var want bytes.Buffer
		if err := json.Indent(&want, compact, "", "  "); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		i := &indenter{}
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "part")
			if err := i.indent(rest[:n], func(part string) error { got.WriteString(part); return nil }); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if got.String() != want.String() {
			t.Fatalf("%s\nbecame\n%s\nnot\n%s", text, got.String(), want.String())
		}
	})
}

func TestStream(t *testing.T) {
	element := func(n int) string { return fmt.Sprintf(`{"n":%d,"text":%q}`, n, strings.Repeat("a", 1000)) }
	for _, test := range []struct {
		name           string
		count          int
		stored, pretty bool
		accept         string
		length, gzip   bool
	}{
		{"nothing", 0, true, false, "gzip", true, false},
		{"a page", 10, true, false, "gzip", true, false},
		{"a page that is made", 10, false, false, "gzip", true, false},
		{"a large list", 1000, true, false, "", true, false},
		{"a large list, compressed", 1000, true, false, "gzip", false, true},
		{"a large list that is made", 1000, false, false, "", false, false},
		{"a large list that is made, compressed", 1000, false, false, "gzip", false, true},
		{"indented", 1000, true, true, "gzip", true, false},
		{"indented while it is made", 1000, false, true, "", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var all []string
			for n := range test.count {
				all = append(all, element(n))
			}
			want := `{"items":[` + strings.Join(all, ",") + `],"totalItems":7}`
			if test.pretty {
				var indented bytes.Buffer
				_ = json.Indent(&indented, []byte(want), "", "  ")
				want = indented.String()
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Accept-Encoding", test.accept)
			err := Stream{
				Head: `{"items":[`, Tail: `],"totalItems":7}`, Count: test.count, Stored: test.stored, Text: func(n int) (string, error) { return all[n], nil },
			}.Write(w, r, test.pretty)
			if err != nil {
				t.Fatal(err)
			}
			body := w.Body.Bytes()
			if (w.Header().Get("Content-Encoding") == "gzip") != test.gzip {
				t.Errorf("header %v", w.Header())
			} else if test.gzip {
				unpacked, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(unpacked); err != nil {
					t.Fatal(err)
				}
			}
			if string(body) != want+"\n" {
				t.Errorf("%d bytes, want %d", len(body), len(want)+1)
			}
			length := w.Header().Get("Content-Length")
			if (length != "") != test.length || test.length && length != strconv.Itoa(len(body)) {
				t.Errorf("Content-Length %q of %d bytes", length, len(body))
			}
		})
	}
}

// TestStreamFails: an error before anything was sent is answered; after that the
// connection is broken off, so that half an answer does not look whole.
func TestStreamFails(t *testing.T) {
	failure := errors.New("a row cannot be made")
	fails := func(at int) Stream {
		return Stream{Head: "[", Tail: "]", Count: 100, Text: func(n int) (string, error) {
			if n == at {
				return "", failure
			}
			return `"` + strings.Repeat("a", 10000) + `"`, nil
		}}
	}
	w := httptest.NewRecorder()
	if err := fails(0).Write(w, nil, false); !errors.Is(err, failure) || w.Body.Len() > 0 {
		t.Errorf("at once: %v after %d bytes", err, w.Body.Len())
	}
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // the sentinel of net/http
			t.Error("half an answer ends as if it were whole")
		}
	}()
	_ = fails(50).Write(httptest.NewRecorder(), nil, false)
}

// TestStreamMemory: an answer is never whole in memory, however it is indented.
func TestStreamMemory(t *testing.T) {
	deep := strings.Repeat("[", 5000) + strings.Repeat("1,", 20000) + "1" + strings.Repeat("]", 5000) // 45 KB become 200 MB
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := ObjectStream(deep).Write(discard{http.Header{}}, nil, true); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 1<<20 {
		t.Errorf("%d bytes", allocated)
	}
}

// discard is a client that reads as fast as can be.
type discard struct{ header http.Header }

func (d discard) Header() http.Header          { return d.header }
func (discard) Write(data []byte) (int, error) { return len(data), nil }
func (discard) WriteHeader(int)                {}

// TestDeepIndents: an object of 1 MB with values nested ten thousand levels deep kept the
// processors busy for half an hour, since each line has blanks for its level.
func TestDeepIndents(t *testing.T) {
	deep := strings.Repeat(strings.Repeat("[", 9_900)+strings.Repeat("]", 9_900)+",", 59) + "1"
	size := 0
	if err := (&indenter{}).indent("["+deep+"]", func(part string) error { size += len(part); return nil }); err != nil || size > 150*len(deep) {
		t.Errorf("%d bytes of %d, %v", size, len(deep), err)
	}
}

// TestStreamEndsWithTheClient: nothing is made for a client that has gone.
func TestStreamEndsWithTheClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	made := 0
	s := Stream{Head: "[", Tail: "]", Count: 1000, Text: func(int) (string, error) {
		if made++; made == 10 {
			cancel()
		}
		return strings.Repeat("x", maxAhead), nil
	}}
	defer func() {
		if recover() == nil || made > 11 {
			t.Errorf("%d are made", made)
		}
	}()
	_ = s.Write(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx), false)
}
