package tokens

import (
	"path/filepath"
	"testing"
	"time"
)

// FuzzName: no name of a login leads out of the directory.
func FuzzName(f *testing.F) {
	f.Add("0123456789abcdef")
	f.Add("0123456789abcdef0123456789abcdef")
	f.Add("../../etc/passwd")
	directory := f.TempDir()
	f.Fuzz(func(t *testing.T, name string) {
		s := &Store{Directory: directory, Now: time.Now}
		path, err := s.path(name)
		if err == nil && (filepath.Dir(path) != directory || path != filepath.Join(directory, name+".json")) {
			t.Errorf("%q is kept at %s", name, path)
		}
	})
	id, err := NewID()
	if err != nil || !idPattern(id) {
		f.Errorf("a new name is %q, %v", id, err)
	}
}

func idPattern(name string) bool { return id.MatchString(name) }
