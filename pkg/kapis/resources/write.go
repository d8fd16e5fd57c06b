package resources

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// chunk is how much of an answer is put together before it is sent, in bytes.
// It is about what a processor keeps close to itself.
const chunk = 64 << 10

// buffers are what answers are put together in. Objects are a few kilobytes,
// so that a buffer stays near the size of a chunk.
var buffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, chunk+chunk/4)) }}

// body is a list put together from stored bytes: nothing is encoded, and a
// large list is never whole in memory.
type body struct {
	head, tail string
	count      int
	text       func(n int) string // of an object
}

func (c body) size() int {
	size := len(c.head) + len(c.tail) + max(0, c.count-1)
	for n := range c.count {
		size += len(c.text(n))
	}
	return size
}

func (c body) write(w http.ResponseWriter, r *http.Request, pretty bool) error {
	if pretty {
		var whole bytes.Buffer
		if err := c.append(&whole, func() error { return nil }); err != nil {
			return err
		}
		return writeIndented(w, whole.Bytes())
	}
	size := c.size()
	header := w.Header()
	header.Set("Content-Type", "application/json")
	var out io.Writer = w
	header.Add("Vary", "Accept-Encoding")
	if size >= compressFrom && acceptsGzip(r) {
		header.Set("Content-Encoding", "gzip")
		compressed := compressors.Get().(*gzip.Writer)
		compressed.Reset(w)
		defer func() {
			_ = compressed.Close()
			compressors.Put(compressed)
		}()
		out = compressed
	} else {
		header.Set("Content-Length", strconv.Itoa(size))
	}
	b := buffers.Get().(*bytes.Buffer)
	defer func() {
		b.Reset()
		buffers.Put(b)
	}()
	if err := c.append(b, func() error {
		if b.Len() < chunk {
			return nil
		}
		_, err := out.Write(b.Bytes())
		b.Reset()
		return err
	}); err != nil {
		return nil //nolint:nilerr // the client went away, there is nobody to tell
	}
	_, _ = out.Write(b.Bytes())
	return nil
}

// compressFrom is the size from which an answer is compressed, in bytes, and
// the fastest level is used, as kube-apiserver does: below, and on a network
// within a cluster, compressing costs more time than it saves.
const compressFrom = 128 << 10

var compressors = sync.Pool{New: func() any {
	compressed, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return compressed
}}

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

// append calls full after each object.
func (c body) append(b *bytes.Buffer, full func() error) error {
	b.WriteString(c.head)
	for n := range c.count {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(c.text(n))
		if err := full(); err != nil {
			return err
		}
	}
	b.WriteString(c.tail)
	return nil
}

// writeValue answers with a value that has to be encoded.
func writeValue(w http.ResponseWriter, value any, pretty bool) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return writeObject(w, string(encoded), pretty)
}

func writeObject(w http.ResponseWriter, object string, pretty bool) error {
	if pretty {
		return writeIndented(w, []byte(object))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(object)+1))
	_, _ = w.Write(append([]byte(object), '\n'))
	return nil
}

func writeIndented(w http.ResponseWriter, compact []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(compact), "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes())
	return nil
}
