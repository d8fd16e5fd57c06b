//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// form is a form with files.
func form(t *testing.T, files map[string]string) (io.Reader, option) {
	t.Helper()
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for name, content := range files {
		part, err := writer.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return &body, header("Content-Type", writer.FormDataContentType())
}

// unpacked are the files of an archive.
func unpacked(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		next, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[next.Name] = string(content)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	workspace(t, "files")
	runningPod(t, "files-project", "web")
	operator, viewer := user(t, "files-operator"), user(t, "files-viewer")
	inNamespace(t, "files-operator", "files-project", "operator")
	inNamespace(t, "files-viewer", "files-project", "viewer")
	base := terminalPath + "/namespaces/files-project/pods/web/file"
	at := func(path string) string { return base + "?container=main&path=" + url.QueryEscape(path) }
	answers(t, "GET", at("/etc/hostname"), operator, 200)

	// Larger than the bodies of other requests may be.
	large := strings.Repeat("0123456789abcdef", 5<<16)
	body, kind := form(t, map[string]string{"a b.txt": "hello\n", "-rf": "", "large.bin": large})
	if r := shared.do(t, http.MethodPost, at("/tmp"), body, bearer(operator), kind); r.code != 200 || !strings.Contains(string(r.body), "success") {
		t.Fatalf("upload: %d %s", r.code, r.body)
	}
	if r := shared.do(t, http.MethodPost, at("/tmp/raw file"), strings.NewReader("raw"), bearer(operator), header("Content-Type", "application/octet-stream")); r.code != 200 {
		t.Fatalf("upload of a body: %d %s", r.code, r.body)
	}
	for path, want := range map[string]string{"/tmp/a b.txt": "hello\n", "/tmp/-rf": "", "/tmp/large.bin": large, "/tmp/raw file": "raw", "/etc/hostname": "web\n"} {
		r := shared.get(t, at(path), bearer(operator))
		if r.code != 200 || string(r.body) != want || !strings.HasPrefix(r.header.Get("Content-Disposition"), "attachment; filename=") || r.header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%s: %d, %d bytes of %d, %v", path, r.code, len(r.body), len(want), r.header)
		}
	}
	r := shared.get(t, at("/tmp"), bearer(operator))
	if got := unpacked(t, r.body); r.header.Get("Content-Type") != "application/x-tar" || len(got) != 5 || got["tmp/a b.txt"] != "hello\n" || got["tmp/large.bin"] != large {
		t.Errorf("the directory: %v, %d files", r.header, len(got))
	}
	if r := shared.get(t, strings.Replace(at("/tmp/raw file"), "main", "side", 1), bearer(operator)); r.code != 404 {
		t.Errorf("another container: %d %s", r.code, r.body)
	}
	// kubectl does the same by itself.
	if output, err := kubectl(t, operator, "", "cp", "-n", "files-project", "-c", "main", "web:/tmp/a b.txt", t.TempDir()+"/copy"); err != nil {
		t.Errorf("kubectl cp: %v %s", err, output)
	}

	for _, test := range []struct {
		name, method, path, token string
		code                      int
	}{
		{"a viewer reads", "GET", at("/etc/hostname"), viewer, 403},
		{"a viewer writes", "POST", at("/tmp/x"), viewer, 403},
		{"elsewhere", "GET", terminalPath + "/namespaces/kube-system/pods/web/file?path=/etc/hostname", operator, 403},
		{"nobody", "GET", at("/etc/hostname"), "", 401},
		{"no file", "GET", at("/none"), operator, 404},
		{"no directory", "POST", at("/none/x"), operator, 404},
		{"no path", "GET", base, operator, 400},
		{"relative", "GET", at("etc/hostname"), operator, 400},
		{"a way out", "GET", at("/tmp/../etc/hostname"), operator, 400},
		{"writing over a directory's name", "POST", at("/"), operator, 400},
		{"unknown container", "GET", base + "?container=none&path=/etc/hostname", operator, 404},
		{"unknown pod", "GET", terminalPath + "/namespaces/files-project/pods/none/file?path=/etc/hostname", operator, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			var options []option
			if test.token != "" {
				options = append(options, bearer(test.token))
			}
			if r := shared.do(t, test.method, test.path, strings.NewReader("x"), options...); r.code != test.code {
				t.Errorf("%d %.300s", r.code, r.body)
			}
		})
	}
	t.Run("limit", func(t *testing.T) {
		i := run(t, func(c *config.Config) { c.Terminal.MaxFileBytes = 1 << 20 })
		if err := i.waitReady(wait.Timeout); err != nil {
			t.Fatal(err)
		}
		wait.For(t, "the file to be readable", func() error { return expect(i.get(t, at("/etc/hostname"), bearer(operator)), 200) })
		if r := i.get(t, at("/tmp/large.bin"), bearer(operator)); r.code != 413 {
			t.Errorf("download: %d", r.code)
		}
		if r := i.do(t, http.MethodPost, at("/tmp/y"), strings.NewReader(large), bearer(operator)); r.code != 413 {
			t.Errorf("upload: %d %s", r.code, r.body)
		}
		body, kind := form(t, map[string]string{"y": large})
		if r := i.do(t, http.MethodPost, at("/tmp"), body, bearer(operator), kind); r.code != 413 {
			t.Errorf("upload of a form: %d %s", r.code, r.body)
		}
		// Half an archive is not a whole one.
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.url+at("/tmp"), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+operator)
		response, err := http.DefaultTransport.RoundTrip(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		if err == nil {
			t.Error("the directory comes whole")
		}
	})
}
