package terminal

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

// archive is one of members with these types, names and links.
func archive(t *testing.T, members ...tar.Header) *bytes.Buffer {
	t.Helper()
	var all bytes.Buffer
	w := tar.NewWriter(&all)
	for n := range members {
		if err := w.WriteHeader(&members[n]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &all
}

// TestSendDirectory: what a container says is in a directory ends up in one.
func TestSendDirectory(t *testing.T) {
	from := archive(t, tar.Header{Typeflag: tar.TypeDir, Name: "d/"}, tar.Header{Typeflag: tar.TypeReg, Name: "d/f"},
		// It leads to d, so that its .. leads further up than its name says.
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/here", Linkname: "."},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/here/up", Linkname: "../.."}, tar.Header{Typeflag: tar.TypeReg, Name: "d/here/up/f"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/l", Linkname: "here/../.."}, tar.Header{Typeflag: tar.TypeReg, Name: "d/l/f"})
	send := func(limit int64) (names []string, aborted bool) {
		body, aborted := sendArchive(t.Context(), t, limit, bytes.NewReader(from.Bytes()))
		for sent := tar.NewReader(body); ; {
			header, err := sent.Next()
			if errors.Is(err, io.EOF) || aborted && errors.Is(err, io.ErrUnexpectedEOF) {
				return names, aborted
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, header.Name)
		}
	}
	if names, aborted := send(1 << 20); aborted || !slices.Equal(names, []string{"d/", "d/f", "d/here", "d/l"}) {
		t.Errorf("sent %v, aborted: %t", names, aborted)
	}
	if names, aborted := send(3 * tarBlock); !aborted {
		t.Errorf("there is no end of empty files: %v", names)
	}
}

// TestSendDirectoryNames: what is checked is the name that is sent, and a name that is sent
// stays in the directory, whatever is there already.
func TestSendDirectoryNames(t *testing.T) {
	here := tar.Header{Typeflag: tar.TypeSymlink, Name: "./d/here", Linkname: "."}
	for _, test := range []struct {
		name    string
		members []tar.Header
		want    []string
	}{
		{"as tar writes them", []tar.Header{{Typeflag: tar.TypeDir, Name: "./d/"}, {Typeflag: tar.TypeReg, Name: "./d/f"}, here}, []string{"d/", "d/f", "d/here"}},
		{"absolute after the first directory", []tar.Header{{Typeflag: tar.TypeReg, Name: ".//etc/f"}, {Typeflag: tar.TypeDir, Name: ".//etc/d/"}}, []string{"etc/f", "etc/d/"}},
		{"absolute", []tar.Header{{Typeflag: tar.TypeReg, Name: "/etc/f"}, {Typeflag: tar.TypeReg, Name: "//etc/f"}}, nil},
		{"up from a link", []tar.Header{here, {Typeflag: tar.TypeReg, Name: "./d/here/../../f"}}, []string{"d/here", "f"}},
		{"up", []tar.Header{{Typeflag: tar.TypeReg, Name: "./../f"}, {Typeflag: tar.TypeReg, Name: "./d/../../f"}}, nil},
		{"in the place of a link", []tar.Header{here, {Typeflag: tar.TypeReg, Name: "d/here"}, {Typeflag: tar.TypeDir, Name: "./d/here/"}, here}, []string{"d/here"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			body, aborted := sendArchive(t.Context(), t, 1<<20, archive(t, test.members...))
			var names []string
			for sent := tar.NewReader(body); ; {
				header, err := sent.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, header.Name)
			}
			if aborted || !slices.Equal(names, test.want) {
				t.Errorf("sent %q, want %q; aborted: %t", names, test.want, aborted)
			}
		})
	}
}
