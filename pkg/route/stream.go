package route

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"sync"
)

// chunk is how much of an answer is put together before it is sent, in bytes.
// It is about what a processor keeps close to itself.
const chunk = 64 << 10

// compressFrom is the size from which an answer is compressed, in bytes, and
// the fastest level is used, as kube-apiserver does: below, and on a network
// within a cluster, compressing costs more time than it saves.
const compressFrom = 128 << 10

// buffers are what answers are put together in; none grows beyond a chunk.
var buffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, chunk)) }}

var compressors = sync.Pool{New: func() any {
	compressed, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return compressed
}}

// Stream is an answer in JSON that is put together of texts while it is sent, so
// that it is never whole in memory.
type Stream struct {
	// Code is that of the answer; 0 is 200.
	Code int
	// Head and Tail are before and after the elements.
	Head, Tail string
	// Count is the number of elements, which are separated by commas.
	Count int
	// Text returns an element.
	Text func(n int) (string, error)
	// Stored is true when a text costs nothing, so that it can be asked for twice:
	// to measure the answer and to write it. The length of others is only told
	// when they are short.
	Stored bool
	// Parts, instead of Count and Text, are all that is between Head and Tail in short
	// texts, for elements that are large or no list. They are asked for once.
	Parts iter.Seq2[string, error]

	// Plain is true when the answer is never compressed.
	Plain bool
}

var errGone = errors.New("the client is gone")

// ObjectStream is an answer of one object in JSON.
func ObjectStream(object string) Stream { return Stream{Head: object, Stored: true} }

// Write answers a request, indented or as it is; a nil request is not compressed, and not
// bounded. Large answers take turns of the user while they are made, see making.
// Errors are those of Text and turns before anything was sent: what comes after the start
// of an answer breaks the connection off, so that half of it does not look whole.
func (s Stream) Write(w http.ResponseWriter, r *http.Request, pretty bool) error {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	out := &streamWriter{Stream: s, w: w, pretty: pretty}
	if r != nil {
		out.gone, out.work.ctx = r.Context().Done(), r.Context()
		if !s.Plain && !pretty {
			out.compress = acceptsGzip(r)
			header.Add("Vary", "Accept-Encoding")
		}
	}
	if err := out.work.begin(); err != nil {
		return err
	}
	defer out.work.end()
	if !out.Stored && s.Parts == nil && !pretty {
		if err := out.ahead(); err != nil {
			return err
		}
	}
	if out.Stored {
		if err := out.measure(); err != nil {
			return err
		}
	}
	out.buffer = buffers.Get().(*bytes.Buffer)
	defer out.giveBack()
	err := out.each()
	switch {
	case err == nil:
		return out.end()
	case !out.started:
		header.Del("Content-Length")
		return err
	case out.failed:
		return nil // the client went away, there is nobody to tell
	}
	panic(http.ErrAbortHandler)
}

// streamWriter sends an answer chunk by chunk.
type streamWriter struct {
	Stream
	w    http.ResponseWriter
	gone <-chan struct{} // closed when the client goes, or the time of the request is over
	work effort
	seen int // bytes since others could have a turn

	measuring  bool // what is indented, and not sending
	size       int  // with the last line break
	pretty     bool
	sized      bool // whether the header is complete
	compress   bool
	compressor *gzip.Writer
	compressed bytes.Buffer // what the compressor has made of a chunk
	indenter   indenter
	buffer     *bytes.Buffer
	started    bool
	failed     bool
}

// maxAhead is how much of an answer is made before it is sent, in bytes: one that is no
// longer has a length, and takes fewer writes.
const maxAhead = 256 << 10

// ahead makes the first texts. If they are all, they are as good as stored.
func (s *streamWriter) ahead() error {
	texts, size := make([]string, 0, min(s.Count, 16)), 0
	for len(texts) < s.Count && size < maxAhead {
		text, err := s.Text(len(texts))
		if err != nil {
			return err
		}
		texts, size = append(texts, text), size+len(text)
		if err := s.work.yield(); err != nil {
			return err
		}
	}
	s.Stored = len(texts) == s.Count
	next := s.Text
	again := s.Stored // to be written when it was measured
	s.Text = func(n int) (string, error) {
		if n >= len(texts) {
			return next(n)
		}
		text := texts[n]
		if !again { // it is not kept while the others are sent
			texts[n] = ""
		}
		return text, nil
	}
	return nil
}

// measure finds out how long the answer is, and whether it is compressed.
func (s *streamWriter) measure() error {
	if err := s.count(); err != nil {
		return err
	}
	if s.compress = s.compress && s.size >= compressFrom; !s.compress {
		s.w.Header().Set("Content-Length", strconv.Itoa(s.size))
	}
	s.sized = true
	return nil
}

// count finds out how long the answer is, with the last line break.
func (s *streamWriter) count() error {
	if s.pretty {
		s.size, s.measuring = 1, true
		err := s.each()
		s.measuring, s.indenter = false, indenter{}
		return err
	}
	s.size = len(s.Head) + max(0, s.Count-1) + len(s.Tail) + 1
	for n := range s.Count {
		text, err := s.Text(n)
		if err != nil {
			return err
		}
		s.size += len(text)
	}
	return nil
}

// eachStored passes on an answer of texts that cost nothing, as it is.
func (s *streamWriter) eachStored() error {
	if err := s.put(s.Head); err != nil {
		return err
	}
	for n := range s.Count {
		if n > 0 {
			if err := s.put(","); err != nil {
				return err
			}
		}
		text, err := s.Text(n)
		if err != nil {
			return err
		}
		if err := s.put(text); err != nil {
			return err
		}
	}
	return s.put(s.Tail)
}

// each passes on the parts of the answer.
func (s *streamWriter) each() error {
	if s.Stored && !s.pretty {
		return s.eachStored()
	}
	if err := s.add(s.Head); err != nil {
		return err
	}
	if s.Parts != nil {
		return s.eachPart()
	}
	for n := range s.Count {
		select {
		case <-s.gone:
			return errGone
		default:
		}
		if n > 0 {
			if err := s.add(","); err != nil {
				return err
			}
		}
		if err := s.make(n); err != nil {
			return err
		}
	}
	return s.add(s.Tail)
}

// make passes on an element, which is made in a turn unless it costs nothing.
func (s *streamWriter) make(n int) error {
	if !s.Stored {
		if err := s.work.begin(); err != nil {
			return err
		}
	}
	text, err := s.Text(n)
	if err != nil {
		return err
	}
	return s.add(text)
}

// eachPart passes on all parts, which are made in turns, and the tail.
func (s *streamWriter) eachPart() error {
	if err := s.work.begin(); err != nil {
		return err
	}
	for text, err := range s.Parts {
		if err == nil {
			err = s.add(text)
		}
		if err == nil {
			err = s.work.begin()
		}
		if err != nil {
			return err
		}
	}
	return s.add(s.Tail)
}

// yieldBytes is how much of an answer is passed on before the clock is read, when it costs
// nothing to make it.
const yieldBytes = 16 << 10

// add passes on a part of the answer, and lets others have a turn.
func (s *streamWriter) add(text string) error {
	if err := s.pass(text); err != nil {
		return err
	}
	if s.seen += len(text); s.Stored && s.seen < yieldBytes {
		return nil
	}
	s.seen = 0
	return s.work.yield()
}

func (s *streamWriter) pass(text string) error {
	if s.pretty {
		if err := s.work.begin(); err != nil {
			return err
		}
	}
	switch {
	case s.measuring:
		return s.indenter.indent(text, s.measured)
	case s.pretty:
		return s.indenter.indent(text, s.put)
	}
	return s.put(text)
}

func (s *streamWriter) measured(text string) error {
	s.size += len(text)
	return nil
}

// giveBack gives the memory back to others.
func (s *streamWriter) giveBack() {
	s.buffer.Reset()
	buffers.Put(s.buffer)
	if s.compressor != nil {
		s.compressor.Reset(io.Discard) // which is not kept either
		compressors.Put(s.compressor)
	}
}
