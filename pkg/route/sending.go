package route

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
)

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

// flush sends what fills the buffer, which is compressed in a turn.
func (s *streamWriter) flush() error {
	select {
	case <-s.gone:
		return errGone
	default:
	}
	if s.compress {
		if err := s.work.begin(); err != nil {
			return err
		}
	}
	return s.deliver()
}

// deliver sends what is in the buffer, without a turn: clients read as they like.
func (s *streamWriter) deliver() error {
	if !s.started {
		s.started = true
		if s.compress {
			s.w.Header().Set("Content-Encoding", "gzip")
			s.compressor = compressors.Get().(*gzip.Writer)
			s.compressor.Reset(&s.compressed)
		}
		if s.Code != 0 {
			s.w.WriteHeader(s.Code)
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

func (s *streamWriter) send(ready *bytes.Buffer) error {
	s.work.end()
	_, err := s.w.Write(ready.Bytes())
	ready.Reset()
	s.failed = err != nil
	return err
}

// end sends what is left, for which no turn is waited.
func (s *streamWriter) end() error {
	s.buffer.WriteByte('\n')
	if !s.started && !s.sized { // it is short
		s.compress = false
		s.w.Header().Set("Content-Length", strconv.Itoa(s.buffer.Len()))
	}
	if s.deliver() == nil && s.compressor != nil {
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
