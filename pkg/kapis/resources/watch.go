package resources

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// How long things last in a watch.
const (
	// leastTimeout is how long a watch lasts at least when the client does not
	// say, and up to twice that, as kube-apiserver's: so that the watches of a
	// server that was restarted spread over others again.
	leastTimeout = 30 * time.Minute
	// beat is how often a watch without events is told that it is alive.
	beat = 15 * time.Second
	// bookmarks come with every n-th beat.
	beatsPerBookmark = 4
	// writeTimeout ends the watch of a client that does not read.
	writeTimeout = 30 * time.Second
	// idleBuffer is how much memory a watch keeps for its next event, in bytes.
	idleBuffer = 2 << 10
)

// watch streams the changes of a list: frames of Kubernetes, or server-sent
// events.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, selection objects.Selection, f form) error {
	if last := r.Header.Get("Last-Event-ID"); f.events && last != "" { // the browser connects again
		version, err := strconv.ParseUint(last, 10, 64)
		if err != nil {
			return status.BadRequest("Last-Event-ID must be the id of an event, not %q", last)
		}
		selection.ResourceVersion, selection.Watch.Resumed, selection.Watch.Initial = version, true, false
	}
	matcher, err := f.kind.Matcher(selection)
	if err != nil {
		return err
	}
	changes := (&request.Reauthorization{Revision: h.Revision}).NewChanges(r.Context())
	watching, err := h.Cache.Watch(r.Context(), f.kind, selection.Query)
	if err != nil {
		return err
	}
	defer watching.Close()
	share := objects.WatchShare(turns.HolderFrom(r.Context()))
	defer share.Close()
	if watching.Stale != "" {
		route.WriteWarning(w, "%s", watching.Stale)
	}
	s := &stream{
		handler: h, form: f, selection: selection, changes: changes, matcher: matcher, watching: watching, share: share, request: r, writer: w, control: http.NewResponseController(w),
		bookmarks: selection.Watch.Bookmarks || f.events, key: f.key(),
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache, private")
	if f.events {
		header.Set("Content-Type", eventStream)
		header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	} else {
		header.Set("Content-Type", "application/json;stream=watch")
	}
	w.WriteHeader(http.StatusOK)
	timeout := selection.Watch.Timeout
	if timeout == 0 {
		timeout = leastTimeout + rand.N(leastTimeout) //nolint:gosec // spread, not kept secret
	}
	s.run(r.Context(), timeout)
	return nil
}

// stream is a watch that is answered.
type stream struct {
	handler   *Handler
	form      form
	selection objects.Selection
	changes   *request.Changes
	matcher   *objects.Matcher
	watching  *objects.Watch
	share     *turns.Share
	request   *http.Request
	writer    http.ResponseWriter
	control   *http.ResponseController
	bookmarks bool
	buffer    bytes.Buffer
	key       string // the same for watches that show the same of an object
	titled    bool   // the columns of tables have been sent
}

// run sends events until the client goes, the time is over or the caller may
// not see them any more.
func (s *stream) run(ctx context.Context, timeout time.Duration) {
	end := time.NewTimer(timeout)
	defer end.Stop()
	beats := time.NewTicker(beat)
	defer beats.Stop()
	rechecks := time.NewTicker(request.ReauthorizeInterval)
	defer rechecks.Stop()
	if s.watching.Initial != nil && !s.initial(ctx) {
		return
	}
	if s.flush() != nil {
		return
	}
	for n := 1; ; {
		version, wake, err := s.poll(ctx)
		if err != nil {
			return
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-rechecks.C:
			if s.changes.Found(ctx) && (!s.allowed() || s.rescope(ctx) != nil) {
				return
			}
		case <-beats.C:
			if s.form.events {
				s.buffer.WriteString(": still here\n\n")
			}
			if n++; s.bookmarks && n%beatsPerBookmark == 0 && version != 0 {
				s.bookmark(version, false)
			}
		}
	}
}

// atOnce is what a watch that has more to do waits for.
var atOnce = func() <-chan struct{} {
	closed := make(chan struct{})
	close(closed)
	return closed
}()

// poll sends the events among the next changes. It returns the version up to which there are
// no others, 0 when it is not known, and what is closed when there may be more.
func (s *stream) poll(ctx context.Context) (version uint64, wake <-chan struct{}, err error) {
	release, err := s.share.Take(ctx, s.watching.Work(s.matcher))
	switch {
	case ctx.Err() != nil:
		return 0, nil, ctx.Err()
	case err != nil: // no turn in time: what comes next may not wait as long
		return 0, atOnce, s.flush()
	}
	events, version, wake, err := func() ([]objects.Event, uint64, <-chan struct{}, error) {
		defer release()
		return s.watching.Poll(s.matcher.Matches)
	}()
	if err != nil {
		s.fail(err)
		return 0, nil, err
	}
	for _, event := range events {
		if err := s.event(ctx, event); err != nil {
			return 0, nil, err
		}
	}
	if wake == nil {
		wake = atOnce
	}
	return version, wake, s.flush()
}

// initial sends the state the watch starts with; false when the client went.
func (s *stream) initial(ctx context.Context) bool {
	version := s.watching.Initial.Version()
	selection, q := s.selection, *s.selection.Query
	q.Page, q.Limit = 1, -1
	selection.Query = &q
	page, err := s.watching.Initial.Select(ctx, selection)
	if err != nil {
		s.fail(err)
		return false
	}
	for _, item := range page.Items {
		if s.event(ctx, objects.Event{Type: objects.Added, Item: item, Version: version}) != nil {
			return false
		}
	}
	if q.Watch.Initial && q.Watch.Bookmarks {
		s.bookmark(version, true)
	}
	return true
}

// writePrefix adds what comes before the object of an event.
func (s *stream) writePrefix(kind string, version uint64) {
	b := &s.buffer
	if s.form.events {
		if version != 0 {
			b.WriteString("id: ")
			b.Write(strconv.AppendUint(b.AvailableBuffer(), version, 10))
			b.WriteByte('\n')
		}
		b.WriteString("event: ")
		b.WriteString(kind)
		b.WriteString("\ndata: ")
		return
	}
	b.WriteString(`{"type":"`)
	b.WriteString(kind)
	b.WriteString(`","object":`)
}

// bookmark tells a version the client may go on from, and whether it ends the
// initial state.
func (s *stream) bookmark(version uint64, initial bool) {
	annotations := ""
	if initial {
		annotations = `,"annotations":{"` + metav1.InitialEventsAnnotationKey + `":"true"}`
	}
	_ = s.frame("BOOKMARK", `{"kind":"`+s.form.kind.Kind+`","apiVersion":"`+s.form.kind.GroupVersion().String()+
		`","metadata":{"resourceVersion":"`+strconv.FormatUint(version, 10)+`","creationTimestamp":null`+annotations+`}}`, version, true)
}

// fail ends the watch with what went wrong, as an event: the answer has begun.
// A type that is gone is no error.
func (s *stream) fail(err error) {
	if !errors.Is(err, objects.ErrEnded) {
		if failure, encoding := json.Marshal(status.Of(err)); encoding == nil {
			_ = s.frame("ERROR", string(failure), 0, true)
		}
	}
	_ = s.flush()
}

// flush sends what there is to send, and sees that it is under way.
func (s *stream) flush() error {
	if err := s.send(); err != nil {
		return err
	}
	return s.control.Flush()
}

// send writes the buffer to the connection.
func (s *stream) send() error {
	// Not every writer has deadlines; those that do not belong to tests.
	_ = s.control.SetWriteDeadline(s.handler.Now().Add(writeTimeout))
	if s.buffer.Len() > 0 {
		_, err := s.writer.Write(s.buffer.Bytes())
		s.buffer.Reset()
		if s.buffer.Cap() > idleBuffer { // a thousand watches that wait hold a thousand of them
			s.buffer = bytes.Buffer{}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// allowed asks again whether the caller may watch: rights that are taken away
// end what they had allowed, and so do sessions and accounts that end.
func (s *stream) allowed() bool {
	if s.handler.Allowed != nil {
		if err := s.handler.Allowed(s.request); err != nil && !kube.Unavailable(err) {
			return false
		}
	}
	allowed, err := s.handler.may(s.request, "watch")
	return err == nil && allowed && s.form.secrets == s.handler.secretsShown(s.request, s.form.kind, s.selection.Namespace)
}
