package route

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// takeAll takes all turns of answers, those of others.
func takeAll(t *testing.T) (release func()) {
	t.Helper()
	var taken []func()
	for n := range 1 << 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		one, err := making.Take(ctx, strings.Repeat("x", n+1))
		cancel()
		if err != nil {
			break
		}
		taken = append(taken, one)
	}
	return func() {
		for _, one := range taken {
			one()
		}
	}
}

// TestLargeAnswersTakeTurns: sixty lists at once of projections and tables of large objects
// kept the processors from everybody else. What takes longer than a moment waits for a turn
// of its user, small answers do not, and nobody has one while the client does not read.
func TestLargeAnswersTakeTurns(t *testing.T) {
	answer := func(ctx context.Context, elements int, each time.Duration, pretty bool, made *atomic.Int64) (*httptest.ResponseRecorder, error) {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(turns.WithHolder(ctx, "user jane"), "GET", "/", nil)
		return w, Stream{Head: "[", Tail: "]", Count: elements, Text: func(int) (string, error) {
			made.Add(1)
			time.Sleep(each)
			return `"a"`, nil
		}}.Write(w, r, pretty)
	}
	release := takeAll(t)
	var made atomic.Int64
	wait.For(t, "a small answer", func() error { // which takes longer on a busy machine, now and then
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		made.Store(0)
		w, err := answer(ctx, 10, 0, false, &made)
		if err == nil && (w.Code != http.StatusOK || made.Load() != 10) {
			err = fmt.Errorf("%d, of %d elements", w.Code, made.Load())
		}
		return err
	})
	for name, pretty := range map[string]bool{"as it is": false, "indented": true} {
		made.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := answer(ctx, 1000, freeEffort, pretty, &made)
		cancel()
		if !apierrors.IsTooManyRequests(err) || made.Load() > 3 {
			t.Errorf("%s, without a turn %d elements are made: %v", name, made.Load(), err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := answer(t.Context(), 20, freeEffort, false, &made)
		done <- err
	}()
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if making.Users() != 0 {
		t.Error("a turn has not ended")
	}
}

// unread is a client that does not read.
type unread struct {
	http.ResponseWriter
	began, reads chan struct{}
}

func (u *unread) Write(text []byte) (int, error) {
	select {
	case <-u.began:
	default:
		close(u.began)
	}
	<-u.reads
	return len(text), nil
}

// TestNoTurnWhileUnread: an answer has no turn while its client does not read, compressed
// or not, of elements or of parts.
func TestNoTurnWhileUnread(t *testing.T) {
	text := strings.Repeat("x", chunk)
	elements := Stream{Head: "[", Tail: "]", Count: 10, Text: func(int) (string, error) {
		time.Sleep(freeEffort)
		return `"` + text + `"`, nil
	}}
	parts := Stream{Head: `["`, Tail: `"]`, Parts: func(yield func(string, error) bool) {
		for range 10 {
			time.Sleep(freeEffort)
			if !yield(text, nil) {
				return
			}
		}
	}}
	for name, test := range map[string]struct {
		encoding string
		stream   Stream
	}{"elements": {"identity", elements}, "compressed": {"gzip", elements}, "parts": {"identity", parts}} {
		t.Run(name, func(t *testing.T) {
			client := &unread{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
			r := httptest.NewRequestWithContext(turns.WithHolder(t.Context(), "user jane"), "GET", "/", nil)
			r.Header.Set("Accept-Encoding", test.encoding)
			done := make(chan error)
			go func() { done <- test.stream.Write(client, r, false) }()
			<-client.began
			wait.For(t, "the turn to end", func() error {
				if making.Users() != 0 {
					return errors.New("it has not")
				}
				return nil
			})
			close(client.reads)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// taken is a client that reads all but the end of an answer while others have all turns.
type taken struct {
	*httptest.ResponseRecorder
	take   func()
	writes int // until then
}

func (c *taken) Write(text []byte) (int, error) {
	if c.writes--; c.writes == 0 {
		c.take()
	}
	return c.ResponseRecorder.Write(text)
}

// TestEndWaitsForNoTurn: the end of an answer waited for a turn though nothing was left to
// do, and was lost without one.
func TestEndWaitsForNoTurn(t *testing.T) {
	for encoding, writes := range map[string]int{"identity": 1, "gzip": maxAhead / chunk} {
		t.Run(encoding, func(t *testing.T) {
			release := func() {}
			client := &taken{httptest.NewRecorder(), func() { release = takeAll(t) }, writes}
			defer func() { release() }()
			ctx, cancel := context.WithTimeout(turns.WithHolder(t.Context(), "user jane"), 10*time.Second)
			defer cancel()
			r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
			r.Header.Set("Accept-Encoding", encoding)
			text := strings.Repeat("x", maxAhead) // which is made before anything is sent
			err := Stream{Head: "[", Tail: "]", Count: 1, Text: func(int) (string, error) {
				time.Sleep(2 * freeEffort)
				return `"` + text + `"`, nil
			}}.Write(client, r, false)
			if err != nil {
				t.Fatal(err)
			}
			body := io.Reader(client.Body)
			if encoding == "gzip" {
				if body, err = gzip.NewReader(client.Body); err != nil {
					t.Fatal(err)
				}
			}
			if read, err := io.ReadAll(body); err != nil || len(read) != len(text)+len(`[""]`)+1 {
				t.Errorf("%d bytes, %v", len(read), err)
			}
		})
	}
}
