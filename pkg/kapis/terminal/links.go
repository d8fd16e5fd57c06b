package terminal

import (
	"archive/tar"
	"hash/maphash"
	"path"
	"strings"
)

// maxLinks bounds the symbolic links of an archive: their hashes take up to 10 MiB.
const maxLinks = 1 << 18

const errManyLinks archiveError = "the directory has too many symbolic links"

// links are the symbolic links of an archive, as hashes of their names: the names are as
// long as the container likes. Where two names have the same hash, which the seed keeps
// the container from finding, a member is left out that could have been sent.
type links struct {
	seed   maphash.Seed
	hashes map[uint64]struct{}
}

func newLinks() *links {
	return &links{seed: maphash.MakeSeed(), hashes: make(map[uint64]struct{})}
}

// above reports whether there is a link above a member or in its place, and adds the member
// if it is a link itself. The name of what is below a link does not tell where it ends up,
// nor does that of a file in its place: some programs write to where the link leads.
func (l *links) above(header *tar.Header) (bool, error) {
	name := path.Clean(header.Name)
	var hash maphash.Hash // of the part of the name that has been compared
	hash.SetSeed(l.seed)
	for start := 0; ; {
		length := strings.IndexByte(name[start+1:], '/')
		if length < 0 {
			_, _ = hash.WriteString(name[start:])
			break
		}
		end := start + 1 + length
		_, _ = hash.WriteString(name[start:end])
		if _, found := l.hashes[hash.Sum64()]; found {
			return true, nil
		}
		start = end
	}
	if _, found := l.hashes[hash.Sum64()]; found {
		return true, nil
	}
	if header.Typeflag != tar.TypeSymlink {
		return false, nil
	}
	if len(l.hashes) >= maxLinks {
		return false, errManyLinks
	}
	l.hashes[hash.Sum64()] = struct{}{}
	return false, nil
}

// inside reports whether a member of an archive is a directory, a file, or a
// link that stays in it.
func inside(header *tar.Header) bool {
	name := path.Clean(header.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
		return false
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return name != "."
	case tar.TypeReg:
		return true
	case tar.TypeSymlink:
		to := path.Join(path.Dir(name), header.Linkname) //nolint:gosec // this finds out whether it leads out
		return !path.IsAbs(header.Linkname) && to != ".." && !strings.HasPrefix(to, "../")
	}
	return false
}
