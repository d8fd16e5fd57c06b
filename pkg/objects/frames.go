package objects

import (
	"bufio"
	"bytes"
	"io"

	"github.com/tidwall/gjson"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// framer splits watches into their events. kube-apiserver sends each in a line
// of its own, so that what has to be looked at is where lines end; the framer of
// Kubernetes reads all of the JSON, which costs as much as everything else that
// is done with an event.
type framer struct{}

// NewFrameReader implements runtime.Framer.
func (framer) NewFrameReader(stream io.ReadCloser) io.ReadCloser {
	return &frames{stream: stream, lines: bufio.NewReader(stream)}
}

// NewFrameWriter implements runtime.Framer.
func (framer) NewFrameWriter(w io.Writer) io.Writer { return jsonserializer.Framer.NewFrameWriter(w) }

// largestKept is how much memory a watch keeps for its next event, in bytes.
const largestKept = 64 << 10

// frames reads one event at a time, with io.ErrShortBuffer while there is more of
// it than what it is read into.
type frames struct {
	stream io.ReadCloser
	lines  *bufio.Reader
	line   []byte // the last one
	left   []byte // of it
	// any reads events that are not in lines: another server than kube-apiserver
	// may serve a group.
	any io.Reader
}

// Read implements io.Reader.
func (f *frames) Read(into []byte) (int, error) {
	if f.any != nil {
		return f.any.Read(into)
	}
	for len(f.left) == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
		f.left = bytes.Trim(f.line, " \t\r\n")
		if len(f.left) > 0 && !gjson.ValidBytes(f.left) {
			begun := io.NopCloser(io.MultiReader(bytes.NewReader(f.line), f.lines))
			f.any = jsonserializer.Framer.NewFrameReader(begun)
			return f.any.Read(into)
		}
	}
	n := copy(into, f.left)
	f.left = f.left[n:]
	if len(f.left) > 0 {
		return n, io.ErrShortBuffer
	}
	return n, nil
}

// next reads a line. The last one may have no end.
func (f *frames) next() error {
	f.line = f.line[:0]
	if cap(f.line) > largestKept {
		f.line = nil
	}
	for {
		part, err := f.lines.ReadSlice('\n')
		f.line = append(f.line, part...)
		if err == bufio.ErrBufferFull { //nolint:errorlint // as bufio returns it
			continue
		}
		if err == io.EOF && len(f.line) > 0 { //nolint:errorlint // as io.Reader has to return it
			return nil
		}
		return err
	}
}

// Close implements io.Closer.
func (f *frames) Close() error { return f.stream.Close() }
