package terminal

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode"

	"k8s.io/client-go/tools/remotecommand"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

const (
	// keptInMemory bounds what of a form is not written to a temporary file: the
	// size of a file has to be known before tar gets it.
	keptInMemory = 1 << 20
	// formOverhead is what a form may have beside its files.
	formOverhead = 1 << 20
	// mostFiles bounds the files of a form.
	mostFiles = 100
)

// file is something to write into a container.
type file struct {
	name string
	size int64
	open func() (io.ReadCloser, error)
}

// upload writes files into a container.
func (h *Handler) upload(w http.ResponseWriter, r *http.Request) error {
	t, release, err := h.transfer(r)
	if err != nil {
		return err
	}
	defer release()
	boundTransfer(w)
	ctx, cancel := context.WithTimeout(r.Context(), transferWithin)
	defer cancel()
	var files []file
	dir := path.Clean(t.path)
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media == "multipart/form-data" {
		size := h.MaxFileBytes + formOverhead
		r.Body = http.MaxBytesReader(w, r.Body, size)
		if r.ContentLength > size {
			return status.TooLarge(size)
		}
		if r.ContentLength >= 0 {
			size = r.ContentLength
		}
		free, err := h.Limits.keep(turns.HolderFrom(r.Context()), size)
		if err != nil {
			return err
		}
		defer free()
		if files, err = ofForm(r); err != nil {
			return err
		}
		defer func() { _ = r.MultipartForm.RemoveAll() }()
	} else {
		var one file
		if one, err = h.ofBody(w, r, path.Base(dir)); err != nil {
			return err
		}
		files, dir = []file{one}, path.Dir(dir)
	}
	return h.unpack(ctx, w, t, dir, files)
}

// ofForm returns the files of a form. Without an error, its temporary files have to be removed.
func ofForm(r *http.Request) (files []file, err error) {
	if err := r.ParseMultipartForm(keptInMemory); err != nil { //nolint:gosec // the body is bounded
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, status.BadRequest("the form cannot be read")
	}
	defer func() {
		if err != nil { // net/http knows the form of its own request only, and this is a copy
			_ = r.MultipartForm.RemoveAll()
		}
	}()
	for _, headers := range r.MultipartForm.File {
		for _, header := range headers {
			if err := checkName(header.Filename); err != nil {
				return nil, err
			}
			files = append(files, file{header.Filename, header.Size, func() (io.ReadCloser, error) { return header.Open() }})
		}
	}
	if len(files) == 0 || len(files) > mostFiles {
		return nil, status.BadRequest("the form must have 1 to %d files, not %d", mostFiles, len(files))
	}
	return files, nil
}

// ofBody returns the body of a request as a file.
func (h *Handler) ofBody(w http.ResponseWriter, r *http.Request, name string) (file, error) {
	switch err := checkName(name); {
	case err != nil:
		return file{}, err
	case r.ContentLength < 0:
		return file{}, status.New(http.StatusLengthRequired, "LengthRequired", "the length of the file has to be known before: send Content-Length")
	case r.ContentLength > h.MaxFileBytes:
		return file{}, status.TooLarge(h.MaxFileBytes)
	}
	body := http.MaxBytesReader(w, r.Body, h.MaxFileBytes)
	return file{name, r.ContentLength, func() (io.ReadCloser, error) { return body, nil }}, nil
}

// checkName refuses names that are more than one.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) || strings.ContainsFunc(name, unicode.IsControl) || len(name) > 255 {
		return status.BadRequest("%q is no name of a file", name)
	}
	return nil
}

// unpack writes files into a directory of a container.
func (h *Handler) unpack(ctx context.Context, w http.ResponseWriter, t transfer, dir string, files []file) error {
	out, in := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := pack(in, files)
		_ = in.CloseWithError(err)
		packed <- err
	}()
	var complaint beginning
	err := h.exec(ctx, t.who, t.where, []string{"tar", "-x", "-m", "-o", "-f", "-", "-C", dir}, remotecommand.StreamOptions{Stdin: out, Stderr: &complaint})
	_ = out.CloseWithError(errStopped)
	if broken := <-packed; broken != nil && !errors.Is(broken, errStopped) {
		return broken // the client's connection, or its length was wrong
	}
	if err != nil {
		return tarFailed(err, complaint.String())
	}
	route.WriteSuccess(w)
	return nil
}

// errStopped is what is written to a tar that has ended.
var errStopped = errors.New("tar has ended")

func pack(to io.Writer, files []file) error {
	archive := tar.NewWriter(to)
	for _, one := range files {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: one.name, Size: one.size, Mode: 0o644}); err != nil {
			return err
		}
		content, err := one.open()
		if err != nil {
			return err
		}
		_, err = io.CopyN(archive, content, one.size)
		_ = content.Close()
		if err != nil {
			return err
		}
	}
	return archive.Close()
}
