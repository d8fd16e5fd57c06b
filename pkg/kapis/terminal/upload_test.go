package terminal

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestFormLeavesNoFiles: what a form keeps on disk goes with an error, since nothing counts
// it any more.
func TestFormLeavesNoFiles(t *testing.T) {
	large := strings.Repeat("x", 11<<20) // more than a form keeps in memory
	for _, test := range []struct {
		name  string
		files []string
		fails bool
	}{
		{"accepted", []string{"f"}, false},
		{"a name that is too long", []string{"f", strings.Repeat("n", 256)}, true},
		{"too many files", make([]string, mostFiles+1), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			var body bytes.Buffer
			form := multipart.NewWriter(&body)
			for n, name := range test.files {
				if name == "" {
					name = "f" + strconv.Itoa(n)
				}
				part, err := form.CreateFormFile("file", name)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					_, _ = part.Write([]byte(large))
				}
			}
			if err := form.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", &body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", form.FormDataContentType())
			if _, err := ofForm(r); (err != nil) != test.fails {
				t.Errorf("the form: %v", err)
			}
			left, err := os.ReadDir(dir)
			if err != nil || (len(left) == 0) != test.fails {
				t.Errorf("%d files are left, and %v", len(left), err)
			}
			if !test.fails {
				_ = r.MultipartForm.RemoveAll()
			}
		})
	}
}
