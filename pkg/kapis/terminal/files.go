package terminal

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

const (
	mediaTar = "application/x-tar"
	// transferWithin bounds how long a file may take.
	transferWithin = 15 * time.Minute
	// longestPath is Linux' own limit.
	longestPath = 4096
)

// transfer is a file on its way into a container or out of it.
type transfer struct {
	who   user.Info
	where target
	path  string
}

// transfer checks a request to move a file. What it returns has to be released.
func (h *Handler) transfer(r *http.Request) (transfer, func(), error) {
	who, _ := kuberequest.UserFrom(r.Context())
	t := transfer{who: who}
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return t, nil, err
	}
	if t.path, err = parameters.Single("path"); err != nil {
		return t, nil, err
	}
	container, err := parameters.Single("container")
	if err != nil {
		return t, nil, err
	}
	key := client.ObjectKey{Namespace: r.PathValue("namespace"), Name: r.PathValue("pod")}
	may := h.mayExec
	if h.Kubectl.own(who, key) {
		may = func(context.Context, user.Info, client.ObjectKey) error { return h.Kubectl.mayHave(who, who.GetName()) }
	}
	if err := may(r.Context(), who, key); err != nil {
		return t, nil, err
	}
	if !sameOrigin(r, who) {
		return t, nil, status.Forbidden(inContainers, key.Name, "the page at %q may not move files here", r.Header.Get("Origin"))
	}
	if err := checkPath(t.path); err != nil {
		return t, nil, err
	}
	if t.where, err = h.container(r.Context(), key, container); err != nil {
		return t, nil, kube.Err(err)
	}
	release, err := h.Limits.take(turns.HolderFrom(r.Context()))
	return t, release, err
}

// boundTransfer ends a connection that does not move its file in time: the end of
// a context does not end what waits for the client.
func boundTransfer(w http.ResponseWriter) {
	end := time.Now().Add(transferWithin)
	control := http.NewResponseController(w) // a writer without deadlines belongs to a test
	_ = control.SetReadDeadline(end)
	_ = control.SetWriteDeadline(end)
}

// checkPath refuses what is no absolute path, or could be read in two ways.
func checkPath(name string) error {
	switch {
	case !strings.HasPrefix(name, "/"), len(name) > longestPath, strings.ContainsRune(name, 0):
		return status.BadRequest("path must be an absolute path")
	case strings.Contains(name+"/", "/../"):
		return status.BadRequest("path must not have .. in it")
	}
	return nil
}

// download sends a file, or an archive of a directory.
func (h *Handler) download(w http.ResponseWriter, r *http.Request) error {
	t, release, err := h.transfer(r)
	if err != nil {
		return err
	}
	defer release()
	boundTransfer(w)
	ctx, cancel := context.WithTimeout(r.Context(), transferWithin)
	defer cancel()
	dir, base := path.Split(path.Clean(t.path))
	var complaint beginning
	out, in := io.Pipe()
	defer func() { _ = out.Close() }()
	go func() {
		// A name that begins with a dash is no option this way.
		err := h.exec(ctx, t.who, t.where, []string{"tar", "-c", "-f", "-", "-C", dir, "./" + base}, remotecommand.StreamOptions{Stdout: in, Stderr: &complaint})
		_ = in.CloseWithError(err) // the end of the file if there is none
	}()
	archive := newArchiveReader(ctx, out)
	first, err := archive.Next()
	if errors.Is(err, io.EOF) { // an archive of nothing, and why
		if failed := archive.finish(); failed != nil {
			err = failed
		}
	}
	switch {
	case err != nil:
		return tarFailed(err, complaint.String())
	case first.Typeflag == tar.TypeDir:
		return h.sendDirectory(ctx, w, base, archive, first)
	case first.Typeflag != tar.TypeReg:
		return status.BadRequest("%s is neither a file nor a directory", t.path)
	case first.Size > h.MaxFileBytes:
		return status.New(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "%s has %d bytes, which is more than the limit of %d", t.path, first.Size, h.MaxFileBytes)
	}
	attachment(w, base, "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(first.Size, 10))
	// The last byte waits for tar to have succeeded: a file that was changed or
	// cut off meanwhile must not look like a whole one.
	_, err = io.CopyN(w, archive, max(0, first.Size-1))
	var last []byte
	if err == nil {
		last, err = io.ReadAll(archive)
	}
	if err == nil {
		err = archive.finish()
	}
	if err != nil {
		abort(ctx, base, err)
	}
	_, _ = w.Write(last)
	return nil
}

// sendDirectory sends an archive with what belongs in it: nothing that would
// end up elsewhere when it is unpacked.
func (h *Handler) sendDirectory(ctx context.Context, w http.ResponseWriter, base string, archive *archiveReader, header *tar.Header) error {
	if base == "" {
		base = "root"
	}
	attachment(w, base+".tar", mediaTar)
	out := tar.NewWriter(w)
	left, sent := h.MaxFileBytes, newLinks()
	var err error
	for err == nil {
		// There may be no end of empty files, and a link may have any size, such as a
		// negative one.
		left -= archive.headerBytes
		size := max(0, header.Size)
		if size > left {
			err = errTooMuch
			break
		}
		left -= size
		if err = sent.copyMember(out, archive, header); err == nil {
			header, err = archive.Next()
		}
	}
	if errors.Is(err, io.EOF) {
		err = archive.finish()
	}
	if err != nil {
		abort(ctx, base, err) // half an archive must not look like a whole one
	}
	_ = out.Close()
	return nil
}

// abort ends a response that has begun. It logs the limit that an archive exceeds, which the
// response does not tell any more.
func abort(ctx context.Context, name string, err error) {
	var refused archiveError
	if errors.As(err, &refused) {
		slog.InfoContext(ctx, "Failed to send files of a container", "name", name, "error", err)
	}
	panic(http.ErrAbortHandler)
}

// copyMember copies a member of an archive if it belongs in the answer.
func (l *links) copyMember(out *tar.Writer, archive *archiveReader, header *tar.Header) error {
	if !inside(header) {
		return nil
	}
	if below, err := l.above(header); err != nil || below {
		return err
	}
	// The name that is sent is the one that has been checked: ".//etc" would be absolute
	// without its beginning, and the ".." of "link/../f" leads up from where the link does.
	name := path.Clean(header.Name)
	if header.Typeflag == tar.TypeDir {
		name += "/"
	}
	if err := out.WriteHeader(&tar.Header{
		Typeflag: header.Typeflag, Name: name, Linkname: header.Linkname, Size: header.Size, Mode: header.Mode & 0o777, ModTime: header.ModTime,
	}); err != nil {
		return err
	}
	_, err := io.Copy(out, archive)
	return err
}

func attachment(w http.ResponseWriter, name, media string) {
	header := w.Header()
	header.Set("Content-Type", media)
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
}

// tarFailed says why files cannot be moved, in the words of the container.
func tarFailed(err error, complaint string) error {
	var exit utilexec.CodeExitError
	var refused archiveError
	switch {
	case errors.As(err, &refused):
		return status.BadRequest("tar in the container: %s", refused)
	case errors.As(err, &exit) && missing(err), strings.Contains(err.Error(), "executable file not found"):
		return status.BadRequest("the container has no tar, which moving files takes")
	case errors.As(err, &exit) && strings.Contains(complaint, "No such file"):
		return status.NotFound("in the container: %s", complaint)
	case errors.As(err, &exit):
		return status.BadRequest("in the container: %s", complaint)
	case errors.Is(err, io.EOF), errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong):
		return status.BadRequest("tar in the container answers with something else: %q", complaint)
	}
	return kube.Err(fmt.Errorf("tar in a container: %w", err))
}

// beginning keeps the beginning of what is written to it, by somebody who may
// still do so while it is read.
type beginning struct {
	mu   sync.Mutex
	text []byte
}

// longestComplaint bounds what a container may say in an error, in bytes.
const longestComplaint = 512

// Write implements io.Writer.
func (b *beginning) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, data[:min(len(data), longestComplaint-len(b.text))]...)
	return len(data), nil
}

func (b *beginning) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(strings.ToValidUTF8(string(b.text), "�"))
}
