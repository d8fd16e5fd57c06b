package route

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestParts: an answer of parts has its code, and one that fails after its start breaks off.
func TestParts(t *testing.T) {
	failed := errors.New("failed")
	for _, test := range []struct {
		name   string
		parts  int // of 1 KiB
		err    error
		pretty bool
		length bool // whether it is told
		broken bool
	}{
		{name: "none", length: true},
		{name: "a few", parts: 3, length: true},
		{name: "a few, indented", parts: 3, pretty: true, length: true},
		{name: "many", parts: 1000},
		{name: "a failure at once", err: failed},
		{name: "a failure after the start", parts: 1000, err: failed, broken: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			stream := Stream{Code: http.StatusCreated, Head: `{"a":"`, Tail: `"}`, Parts: func(yield func(string, error) bool) {
				for range test.parts {
					if !yield(strings.Repeat("x", 1<<10), nil) {
						return
					}
				}
				if test.err != nil {
					yield("", test.err)
				}
			}}
			defer func() {
				if broken := recover() != nil; broken != test.broken {
					t.Errorf("broken off: %v", broken)
				}
			}()
			err := stream.Write(w, nil, test.pretty)
			if !errors.Is(err, test.err) {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				if w.Body.Len() > 0 {
					t.Errorf("%d bytes before the error", w.Body.Len())
				}
				return
			}
			if w.Code != http.StatusCreated || w.Body.Len() < test.parts<<10 || (w.Header().Get("Content-Length") != "") != test.length {
				t.Errorf("%d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
			}
		})
	}
}
