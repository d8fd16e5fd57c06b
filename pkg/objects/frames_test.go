package objects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"k8s.io/apimachinery/pkg/runtime"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// read returns the frames of a stream, without white space in them, and what
// ended it. Frames are read through a buffer of some size.
func read(f runtime.Framer, stream io.Reader, size int) (all []string, err error) {
	reader := f.NewFrameReader(io.NopCloser(stream))
	buffer := make([]byte, size)
	var frame []byte
	for {
		n, err := reader.Read(buffer)
		frame = append(frame, buffer[:n]...)
		switch {
		case errors.Is(err, io.ErrShortBuffer):
			continue
		case err != nil:
			return all, err
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, frame); err != nil {
			return all, err
		}
		all, frame = append(all, compact.String()), nil
	}
}

// TestFrames: events come as they do from Kubernetes' own framer.
func TestFrames(t *testing.T) {
	long := `{"type":"ADDED","object":"` + strings.Repeat("x", 100_000) + `"}`
	for name, stream := range map[string]string{
		"nothing":                   "",
		"lines":                     "{\"a\":1}\n{\"a\":2}\n",
		"no end of the last line":   "{\"a\":1}\n{\"a\":2}",
		"empty lines":               "\n\n{\"a\":1}\r\n\n",
		"longer than all buffers":   long + "\n{\"a\":1}\n" + long + "\n",
		"two in a line":             "{\"a\":1}{\"a\":2}\n{\"a\":3}\n",
		"an object in some lines":   "{\"a\":1}\n{\n  \"a\": 2\n}\n{\"a\":3}\n",
		"a line that is cut off":    "{\"a\":1}\n{\"a\":",
		"what is no JSON":           "{\"a\":1}\nno\n{\"a\":2}\n",
		"the end of a line, quoted": "{\"a\":\"\\n\"}\n{\"a\":2}\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 7, 1 << 20} {
				compare(t, stream, size)
			}
		})
	}
}

func compare(t *testing.T, stream string, size int) {
	t.Helper()
	want, wanted := read(jsonserializer.Framer, strings.NewReader(stream), size)
	for _, reader := range []io.Reader{strings.NewReader(stream), iotest.OneByteReader(strings.NewReader(stream))} {
		got, err := read(framer{}, reader, size)
		if !slices.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wanted) {
			t.Errorf("%.200q: %.200q %v, want %.200q %v", stream, got, err, want, wanted)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add("{\"a\":1}\n{\"a\":2}\n", 3)
	f.Add("{\"a\":\n1}\n{\"a\":2", 100)
	f.Fuzz(func(t *testing.T, stream string, size int) {
		compare(t, stream, 1+min(max(size, 0), 1000))
	})
}

func BenchmarkFrames(b *testing.B) {
	event := `{"type":"MODIFIED","object":` + podJSON("a", "1") + "}\n"
	stream := strings.Repeat(strings.Replace(event, `"metadata":`, `"data":"`+strings.Repeat("x", 5000)+`","metadata":`, 1), 1000)
	for name, framer := range map[string]runtime.Framer{"lines": framer{}, "Kubernetes": jsonserializer.Framer} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			buffer := make([]byte, 1<<20)
			for b.Loop() {
				reader := framer.NewFrameReader(io.NopCloser(strings.NewReader(stream)))
				for {
					if _, err := reader.Read(buffer); err != nil {
						break
					}
				}
			}
		})
	}
}
