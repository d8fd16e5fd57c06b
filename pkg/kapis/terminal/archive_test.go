package terminal

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// sendArchive sends an archive as a directory. It returns what the client gets and whether
// the response is aborted.
func sendArchive(ctx context.Context, t *testing.T, limit int64, from io.Reader) (sent *bytes.Buffer, aborted bool) {
	t.Helper()
	w := httptest.NewRecorder()
	defer func() { sent, aborted = w.Body, recover() != nil }()
	reader := newArchiveReader(ctx, from)
	first, err := reader.Next()
	if err != nil {
		panic(err)
	}
	if err := (&Handler{MaxFileBytes: limit}).sendDirectory(ctx, w, "x", reader, first); err != nil {
		t.Error(err)
	}
	return nil, false
}

// stream repeats blocks after a beginning. It counts what is read, and ends at 256 MiB: a
// reader without a limit fails a test then, and does not run forever.
type stream struct {
	beginning *bytes.Reader
	repeated  []byte
	read      int64
	onRead    func(read int64)
}

func newStream(beginning, repeated []byte) *stream {
	return &stream{beginning: bytes.NewReader(beginning), repeated: repeated}
}

const streamEnd = 256 << 20

func (s *stream) Read(into []byte) (int, error) {
	if s.onRead != nil {
		s.onRead(s.read)
	}
	if s.read >= streamEnd {
		return 0, io.ErrUnexpectedEOF
	}
	n, _ := s.beginning.Read(into)
	if n == 0 {
		n = copy(into, s.repeated[(s.read-s.beginning.Size())%int64(len(s.repeated)):])
	}
	s.read += int64(n)
	return n, nil
}

// rawHeader is the block of a header as a container may write it, which tar.Writer refuses.
func rawHeader(t *testing.T, kind byte, name string, size int64) []byte {
	t.Helper()
	block := archive(t, tar.Header{Typeflag: tar.TypeDir, Name: name, Format: tar.FormatGNU}).Bytes()[:tarBlock]
	block[156] = kind
	for n := range 12 { // base-256, which has negative numbers
		block[124+n] = byte(size >> min(63, 8*(11-n)))
	}
	block[124] |= 0x80
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return block
}

// TestArchiveNames: a name is as long and as deep as the path of a request may be.
func TestArchiveNames(t *testing.T) {
	deep := strings.Repeat("d/", maxDirectories)
	for _, test := range []struct {
		name    string
		member  tar.Header
		refused string
	}{
		{"longest name", tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("n", longestPath)}, ""},
		{"longest target", tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: strings.Repeat("n", longestPath)}, ""},
		{"deepest name", tar.Header{Typeflag: tar.TypeReg, Name: deep + "f"}, ""},
		{"long name", tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("n", longestPath+1)}, "the name of a file has 4097 bytes"},
		{"long GNU name", tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("n", 200_000), Format: tar.FormatGNU}, "the name of a file has 200000 bytes"},
		{"long name of a link", tar.Header{Typeflag: tar.TypeSymlink, Name: strings.Repeat("n", 200_000), Linkname: "f"}, "the name of a file has 200000 bytes"},
		{"long target", tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: strings.Repeat("n", longestPath+1)}, "the target of a link has 4097 bytes"},
		{"long name of what is not sent", tar.Header{Typeflag: tar.TypeFifo, Name: strings.Repeat("n", longestPath+1)}, "the name of a file has 4097 bytes"},
		{"deep name", tar.Header{Typeflag: tar.TypeReg, Name: deep + "d/f"}, "the name of a file has 257 directories"},
		{"deep target", tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: deep + "d/f"}, "the target of a link has 257 directories"},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := archive(t, tar.Header{Typeflag: tar.TypeDir, Name: "d/"}, test.member).Bytes()
			if sent, aborted := sendArchive(t.Context(), t, 1<<30, bytes.NewReader(all)); aborted != (test.refused != "") {
				t.Errorf("aborted: %t after %d bytes", aborted, sent.Len())
			}
			_, err := newArchiveReader(t.Context(), archive(t, test.member)).Next()
			if test.refused == "" && err != nil || test.refused != "" && (err == nil || !strings.HasPrefix(tarFailed(err, "").Error(), "tar in the container: "+test.refused)) {
				t.Errorf("the reader returns %v", err)
			}
		})
	}
}

// TestArchiveBudget: whatever a container sends takes of the limit, so that it ends.
func TestArchiveBudget(t *testing.T) {
	const limit = 8 << 20
	beginning := archive(t, tar.Header{Typeflag: tar.TypeDir, Name: "d/"}).Bytes()[:tarBlock]
	members := func(headers ...tar.Header) []byte {
		all := archive(t, headers...).Bytes()
		return all[:len(all)-2*tarBlock]
	}
	records := members(tar.Header{Typeflag: tar.TypeReg, Name: "d/f", PAXRecords: map[string]string{"T.x": strings.Repeat("x", 200_000)}})
	for _, test := range []struct {
		name     string
		repeated []byte
	}{
		{"empty files", members(tar.Header{Typeflag: tar.TypeReg, Name: "d/f"})},
		{"links with long names", members(tar.Header{Typeflag: tar.TypeSymlink, Name: strings.Repeat("n", 4000), Linkname: strings.Repeat("l", 4000)})},
		{"PAX records", records},
		{"PAX records without a file", records[:len(records)-tarBlock]},
		{"global PAX records", members(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"T.x": strings.Repeat("x", 200_000)}})},
		{"GNU names without a file", append(rawHeader(t, tar.TypeGNULongName, "n", 3*tarBlock), bytes.Repeat([]byte("n"), 3*tarBlock)...)},
		{"hard links with negative sizes", rawHeader(t, tar.TypeLink, "d/l", -1<<40)},
		{"hard links with the largest size", rawHeader(t, tar.TypeLink, "d/l", 1<<63-1)},
		{"what is no file", append(rawHeader(t, 'Z', "d/z", 3*tarBlock), make([]byte, 3*tarBlock)...)},
		{"nothing after the end", make([]byte, tarBlock)},
		{"something after the end", append(make([]byte, 2*tarBlock), bytes.Repeat([]byte("x"), tarBlock)...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := newStream(beginning, test.repeated)
			sent, aborted := sendArchive(t.Context(), t, limit, from)
			if !aborted {
				t.Error("the response is complete")
			}
			if most := int64(limit + maxHeaderBytes); from.read > most || int64(sent.Len()) > 2*limit {
				t.Errorf("%d bytes are read and %d sent, with a limit of %d", from.read, sent.Len(), limit)
			}
		})
	}
	t.Run("without a member", func(t *testing.T) {
		from := newStream(nil, records[:len(records)-tarBlock])
		if _, err := newArchiveReader(t.Context(), from).Next(); !errors.Is(err, errLongHeaders) || from.read > maxHeaderBytes {
			t.Errorf("%v after %d bytes", err, from.read)
		}
	})
	t.Run("as much as the limit", func(t *testing.T) {
		// Each has three blocks of headers: PAX header, records, header.
		name := strings.Repeat("n", 300)
		all := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: name}, tar.Header{Typeflag: tar.TypeReg, Name: name}).Bytes()
		if _, aborted := sendArchive(t.Context(), t, 6*tarBlock, bytes.NewReader(all)); aborted {
			t.Error("aborted at the limit")
		}
		if _, aborted := sendArchive(t.Context(), t, 6*tarBlock-1, bytes.NewReader(all)); !aborted {
			t.Error("sent beyond the limit")
		}
	})
}

// TestArchiveContext: reading ends with the request, wherever it is.
func TestArchiveContext(t *testing.T) {
	const size = 128 << 20
	directory := archive(t, tar.Header{Typeflag: tar.TypeDir, Name: "d/"}).Bytes()[:tarBlock]
	file := rawHeader(t, tar.TypeReg, "d/f", size)
	for _, test := range []struct {
		name                string
		beginning, repeated []byte
	}{
		{"in a file", slices.Concat(directory, file), make([]byte, tarBlock)},
		{"in what is not sent", slices.Concat(directory, rawHeader(t, 'Z', "d/z", size)), make([]byte, tarBlock)},
		{"between files", directory, archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "d/f"}).Bytes()[:tarBlock]},
		{"between files that are not sent", directory, rawHeader(t, tar.TypeLink, "d/l", 0)},
		{"in headers", directory, append(rawHeader(t, tar.TypeGNULongName, "n", tarBlock), make([]byte, tarBlock)...)},
		{"after the end", directory, make([]byte, tarBlock)},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			from := newStream(test.beginning, test.repeated)
			const ended = 256 << 10
			from.onRead = func(read int64) {
				if read >= ended {
					cancel()
				}
			}
			if _, aborted := sendArchive(ctx, t, 1<<40, from); !aborted {
				t.Error("the response is complete")
			}
			if from.read > ended+64<<10 {
				t.Errorf("%d bytes are read after the context has ended", from.read-ended)
			}
		})
	}
	t.Run("in a hole", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		reader := newArchiveReader(ctx, sparse(t, size))
		if _, err := reader.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, reader, 64<<10); err != nil {
			t.Fatal(err)
		}
		cancel()
		if n, err := io.Copy(io.Discard, reader); n > 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes are read after the context has ended, and %v", n, err)
		}
	})
}

// sparse is an archive of a file of a size that is a hole with "end" after it.
func sparse(t *testing.T, size int) *bytes.Buffer {
	t.Helper()
	content := fmt.Appendf(nil, "1\n%d\n3\n", size-3)
	content = append(content, make([]byte, tarBlock-len(content))...)
	content = append(content, "end"...)
	record := func(key, value string) string {
		text := fmt.Sprintf(" %s=%s\n", key, value)
		return fmt.Sprintf("%d%s", len(text)+2, text)
	}
	records := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "d/s") + record("GNU.sparse.realsize", fmt.Sprint(size))
	pad := func(data []byte) []byte { return append(data, make([]byte, -len(data)&(tarBlock-1))...) }
	return bytes.NewBuffer(slices.Concat(rawHeader(t, tar.TypeXHeader, "x", int64(len(records))), pad([]byte(records)),
		rawHeader(t, tar.TypeReg, "s", int64(len(content))), pad(content), make([]byte, 2*tarBlock)))
}

// TestSendSparse: the holes of a file are sent as zeros, and the next file after them.
func TestSendSparse(t *testing.T) {
	all := slices.Concat(sparse(t, 1<<20).Bytes()[:5*tarBlock], archive(t, tar.Header{Typeflag: tar.TypeDir, Name: "d/after/"}).Bytes())
	sent, aborted := sendArchive(t.Context(), t, 2<<20, bytes.NewReader(all))
	reader := tar.NewReader(sent)
	header, err := reader.Next()
	if aborted || err != nil || header.Name != "d/s" || header.Size != 1<<20 {
		t.Fatalf("sent %+v, %v, aborted: %t", header, err, aborted)
	}
	content, err := io.ReadAll(reader)
	if want := append(make([]byte, 1<<20-3), "end"...); err != nil || !bytes.Equal(content, want) {
		t.Errorf("%d bytes and %v, not the zeros and the end", len(content), err)
	}
	if header, err := reader.Next(); err != nil || header.Name != "d/after/" {
		t.Errorf("the next file is %+v, %v", header, err)
	}
}
