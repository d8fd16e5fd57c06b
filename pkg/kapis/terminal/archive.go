package terminal

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	// tarBlock is the unit of an archive: headers and contents fill whole blocks.
	tarBlock = 512
	// maxHeaderBytes bounds the headers of one member. archive/tar bounds each of them by
	// 1 MiB, but reads any number of them before it returns.
	maxHeaderBytes = 256 << 10
	// maxTrailerBytes bounds what follows the last member. tar fills its last record with
	// zeros: 10 KiB by default.
	maxTrailerBytes = 1 << 20
	// maxDirectories bounds the depth of a name.
	maxDirectories = 256
)

// archiveError is a limit that an archive exceeds.
type archiveError string

func (e archiveError) Error() string { return string(e) }

const (
	errTooMuch     archiveError = "the directory is too large"
	errLongHeaders archiveError = "the headers of a file are too large"
	errLongTrailer archiveError = "the archive does not end after its last file"
)

// archiveReader reads an archive that a container makes, and expects nothing of it: the
// container chooses the names, the sizes and the number of headers.
type archiveReader struct {
	members *tar.Reader
	source  *archiveSource
	// headerBytes is the length of the headers of the current member.
	headerBytes int64
}

// newArchiveReader returns a reader that fails when the context ends.
func newArchiveReader(ctx context.Context, from io.Reader) *archiveReader {
	source := &archiveSource{ctx: ctx, from: from, limit: math.MaxInt64}
	return &archiveReader{members: tar.NewReader(source), source: source}
}

// Next returns the header of the next member, or io.EOF.
func (a *archiveReader) Next() (*tar.Header, error) {
	// Reading the rest of a member here, and not in archive/tar, keeps it out of the
	// length of the next headers.
	if _, err := io.Copy(io.Discard, a); err != nil {
		return nil, err
	}
	start := (a.source.offset + tarBlock - 1) / tarBlock * tarBlock
	a.source.limit, a.source.exceeded = start+maxHeaderBytes, errLongHeaders
	header, err := a.members.Next()
	a.source.limit = math.MaxInt64
	if err != nil {
		return nil, err
	}
	a.headerBytes = a.source.offset - start
	if err := checkMemberName("the name of a file", header.Name); err != nil {
		return nil, err
	}
	return header, checkMemberName("the target of a link", header.Linkname)
}

// Read reads the content of the current member.
func (a *archiveReader) Read(into []byte) (int, error) {
	// The holes of a sparse file are not read from the source.
	if err := a.source.ctx.Err(); err != nil {
		return 0, err
	}
	return a.members.Read(into)
}

// finish reads what follows the last member. It returns the error of the command that
// makes the archive.
func (a *archiveReader) finish() error {
	a.source.limit, a.source.exceeded = a.source.offset+maxTrailerBytes, errLongTrailer
	_, err := io.Copy(io.Discard, a.source)
	return err
}

// checkMemberName refuses a name that no request could have as its path.
func checkMemberName(kind, name string) error {
	if len(name) > longestPath {
		return archiveError(fmt.Sprintf("%s has %d bytes, which is more than the limit of %d", kind, len(name), longestPath))
	}
	if depth := strings.Count(name, "/"); depth > maxDirectories {
		return archiveError(fmt.Sprintf("%s has %d directories, which is more than the limit of %d", kind, depth, maxDirectories))
	}
	return nil
}

// archiveSource reads from a container up to a limit, until the context ends.
type archiveSource struct {
	ctx      context.Context //nolint:containedctx // io.Reader has none
	from     io.Reader
	offset   int64
	limit    int64
	exceeded error // what Read returns at the limit
}

func (s *archiveSource) Read(into []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	left := s.limit - s.offset
	if left <= 0 {
		return 0, s.exceeded
	}
	n, err := s.from.Read(into[:min(int64(len(into)), left)])
	s.offset += int64(n)
	return n, err
}
