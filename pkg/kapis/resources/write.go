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

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// chunk is how much of an answer is put together before it is sent, in bytes.
// It is about what a processor keeps close to itself.
const chunk = 64 << 10

// buffers are what answers are put together in. Objects are a few kilobytes,
// so that a buffer stays near the size of a chunk.
var buffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, chunk+chunk/4)) }}

// writeList writes {"items":[…],"totalItems":N} from the stored bytes of the
// objects: nothing is encoded, and a large list is never whole in memory.
func writeList(w http.ResponseWriter, r *http.Request, page objects.Page, secrets, pretty bool) error {
	if pretty {
		var whole bytes.Buffer
		if err := appendList(&whole, page, secrets, func() error { return nil }); err != nil {
			return err
		}
		return writeIndented(w, whole.Bytes())
	}
	size := len(`{"items":[],"totalItems":}`) + len(strconv.Itoa(page.Total)) + 1
	for n, item := range page.Items {
		size += len(item.Shown(secrets))
		if n > 0 {
			size++
		}
	}
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
	if err := appendList(b, page, secrets, func() error {
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

// appendList calls full after each object.
func appendList(b *bytes.Buffer, page objects.Page, secrets bool, full func() error) error {
	b.WriteString(`{"items":[`)
	for n, item := range page.Items {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(item.Shown(secrets))
		if err := full(); err != nil {
			return err
		}
	}
	b.WriteString(`],"totalItems":`)
	b.WriteString(strconv.Itoa(page.Total))
	b.WriteString("}\n")
	return nil
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
