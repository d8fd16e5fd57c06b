package route

import (
	"bytes"
	"compress/gzip"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"
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

	// gone is closed when the client goes, or the time of the request is over.
	gone <-chan struct{}
	work *effort
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
	compress := r != nil && !s.Plain && !pretty && acceptsGzip(r)
	if r != nil && !s.Plain && !pretty {
		header.Add("Vary", "Accept-Encoding")
	}
	s.work = &effort{}
	if r != nil {
		s.gone, s.work.ctx = r.Context().Done(), r.Context()
	}
	out := &streamWriter{w: w, code: s.Code, work: s.work, pretty: pretty, compress: compress}
	if err := s.work.begin(); err != nil {
		return err
	}
	defer s.work.end()
	if !s.Stored && s.Parts == nil && !pretty {
		if err := s.ahead(); err != nil {
			return err
		}
	}
	if s.Stored {
		size, err := s.size(pretty)
		if err != nil {
			return err
		}
		if out.compress = compress && size >= compressFrom; !out.compress {
			header.Set("Content-Length", strconv.Itoa(size))
		}
		out.sized = true
	}
	out.buffer = buffers.Get().(*bytes.Buffer)
	defer func() {
		out.buffer.Reset()
		buffers.Put(out.buffer)
		if out.compressor != nil {
			compressors.Put(out.compressor)
		}
	}()
	err := s.each(out.add)
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

// maxAhead is how much of an answer is made before it is sent, in bytes: one that is no
// longer has a length, and takes fewer writes.
const maxAhead = 256 << 10

// ahead makes the first texts. If they are all, they are as good as stored.
func (s *Stream) ahead() error {
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

// each passes on the parts of the answer.
func (s Stream) each(add func(string) error) error {
	if err := add(s.Head); err != nil {
		return err
	}
	parts := s.Parts
	if parts == nil {
		parts = s.elements
	}
	for text, err := range parts {
		if err != nil {
			return err
		}
		if err := add(text); err != nil {
			return err
		}
		if err := s.work.yield(); err != nil {
			return err
		}
	}
	return add(s.Tail)
}

// elements are the texts of the elements with what separates them.
func (s Stream) elements(yield func(string, error) bool) {
	for n := range s.Count {
		select {
		case <-s.gone:
			yield("", errGone)
			return
		default:
		}
		if n > 0 && !yield(",", nil) {
			return
		}
		if !yield(s.Text(n)) {
			return
		}
	}
}

// size is that of the answer with its last line break.
func (s Stream) size(pretty bool) (int, error) {
	size := 1
	if !pretty {
		err := s.each(func(text string) error { size += len(text); return nil })
		return size, err
	}
	indented := &indenter{}
	err := s.each(func(text string) error {
		return indented.indent(text, func(part string) error { size += len(part); return nil })
	})
	return size, err
}

// streamWriter sends an answer chunk by chunk.
type streamWriter struct {
	w          http.ResponseWriter
	code       int
	work       *effort
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

func (s *streamWriter) add(text string) error {
	if s.pretty {
		return s.indenter.indent(text, s.put)
	}
	return s.put(text)
}

// put sends what fills the buffer.
func (s *streamWriter) put(text string) error {
	for {
		room := chunk - s.buffer.Len()
		if len(text) < room {
			s.buffer.WriteString(text)
			return nil
		}
		s.buffer.WriteString(text[:room])
		text = text[room:]
		if err := s.flush(); err != nil {
			return err
		}
	}
}

func (s *streamWriter) flush() error {
	if !s.started {
		s.started = true
		if s.compress {
			s.w.Header().Set("Content-Encoding", "gzip")
			s.compressor = compressors.Get().(*gzip.Writer)
			s.compressor.Reset(&s.compressed)
		}
		if s.code != 0 {
			s.w.WriteHeader(s.code)
		}
	}
	ready := s.buffer
	if s.compressor != nil {
		_, _ = s.compressor.Write(s.buffer.Bytes()) // to memory
		s.buffer.Reset()
		ready = &s.compressed
	}
	return s.send(ready)
}

// send sends what is ready, without a turn: clients read as they like.
func (s *streamWriter) send(ready *bytes.Buffer) error {
	s.work.end()
	_, err := s.w.Write(ready.Bytes())
	ready.Reset()
	if s.failed = err != nil; s.failed {
		return err
	}
	return s.work.begin()
}

// end sends what is left.
func (s *streamWriter) end() error {
	s.buffer.WriteByte('\n')
	if !s.started && !s.sized { // it is short
		s.compress = false
		s.w.Header().Set("Content-Length", strconv.Itoa(s.buffer.Len()))
	}
	if s.flush() == nil && s.compressor != nil {
		_ = s.compressor.Close()
		_ = s.send(&s.compressed)
	}
	return nil // of a client that went away nobody is told
}

func acceptsGzip(r *http.Request) bool {
	for encoding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(encoding, ";")
		if strings.TrimSpace(name) == "gzip" {
			weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(quality), "q="), 64)
			return err != nil || weight > 0 // no weight is the highest
		}
	}
	return false
}
