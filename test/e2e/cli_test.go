//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// machine is where somebody works: with kubectl and its plugin in the path, and
// a browser that tells where it was sent.
type machine struct {
	environment []string
	opened      string // file the browser writes the address to
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	home, programs := t.TempDir(), t.TempDir()
	for name, from := range map[string]string{"kubectl": "../../bin/kubectl", "kubectl-ks": "../../bin/kubectl-ks"} {
		path, err := filepath.Abs(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	m := &machine{opened: filepath.Join(home, "opened")}
	browser := "#!/bin/sh\necho \"$1\" > " + m.opened + ".new && mv " + m.opened + ".new " + m.opened + "\n"
	if err := os.WriteFile(filepath.Join(programs, "xdg-open"), []byte(browser), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	m.environment = []string{"HOME=" + home, "PATH=" + programs + ":/usr/bin:/bin", "XDG_CACHE_HOME=" + filepath.Join(home, "cache")}
	return m
}

func (m *machine) command(t *testing.T, stdin string, args ...string) *exec.Cmd {
	command := exec.CommandContext(t.Context(), "env", args...)
	command.Env, command.Stdin = m.environment, strings.NewReader(stdin)
	return command
}

// run runs a command that has to succeed, and returns what it prints.
func (m *machine) run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	output, err := m.command(t, stdin, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, output)
	}
	return string(output)
}

// fails runs a command that has to fail.
func (m *machine) fails(t *testing.T, args ...string) string {
	t.Helper()
	output, err := m.command(t, "", args...).CombinedOutput()
	if err == nil {
		t.Fatalf("%v: %s", args, output)
	}
	return string(output)
}

func ksLogin() []string {
	return []string{"kubectl", "ks", "login", shared.secure, "--certificate-authority", shared.certificate}
}

// TestKubectlKs: the plugin logs the real kubectl in, by a password, in a browser
// and with a device, renews what it has, and logs out.
func TestKubectlKs(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../../bin/kubectl-ks"); err != nil {
		t.Fatal("run make bin/kubectl-ks first")
	}
	works := func(t *testing.T, m *machine) {
		t.Helper()
		if got := m.run(t, "", "kubectl", "ks", "whoami"); !strings.Contains(got, "admin at "+shared.secure) {
			t.Errorf("whoami: %s", got)
		}
		if got := m.run(t, "", "kubectl", "get", "nodes", "-o", "name"); !strings.Contains(got, "node/node-0") {
			t.Errorf("get nodes: %s", got)
		}
		token := strings.TrimSpace(m.run(t, "", "kubectl", "ks", "token"))
		if r := shared.get(t, users+"/admin", bearer(token)); r.code != 200 {
			t.Errorf("the token: %d %s", r.code, r.body)
		}
		m.run(t, "", "kubectl", "ks", "logout")
		wait.For(t, "the token to be refused after the logout", func() error { return expect(shared.get(t, users+"/admin", bearer(token)), 401) })
		m.fails(t, "kubectl", "ks", "token")
		if config := m.run(t, "", "kubectl", "config", "view"); strings.Contains(config, shared.secure) {
			t.Errorf("the context is left: %s", config)
		}
	}
	t.Run("password", func(t *testing.T) {
		m := newMachine(t)
		output, err := m.command(t, "wrong", append(ksLogin(), "-u", "admin", "--password-stdin")...).CombinedOutput()
		if err == nil || strings.Contains(string(output), "wrong\n") {
			t.Errorf("a wrong password: %v %s", err, output)
		}
		m.run(t, adminPassword+"\n", append(ksLogin(), "-u", "admin", "--password-stdin")...)
		if config := m.run(t, "", "kubectl", "config", "view", "--raw"); strings.Contains(config, "token:") {
			t.Errorf("the kubeconfig has a token: %s", config)
		}
		works(t, m)
	})
	t.Run("browser", func(t *testing.T) {
		m := newMachine(t)
		login := m.command(t, "", ksLogin()...)
		output := &strings.Builder{}
		login.Stdout, login.Stderr = output, output
		if err := login.Start(); err != nil {
			t.Fatal(err)
		}
		address := ""
		wait.For(t, "the browser to be opened", func() error {
			content, err := os.ReadFile(m.opened)
			address = strings.TrimSpace(string(content))
			return err
		})
		b := newBrowser(t)
		b.visit(address)
		b.submit(url.Values{"username": {"admin"}, "password": {adminPassword}})
		b.submit(url.Values{"decision": {"allow"}})
		if !strings.Contains(b.page, "You are logged in") {
			t.Errorf("the browser ends at %s: %s", b.at, b.page)
		}
		if err := login.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		works(t, m)
	})
	t.Run("device", func(t *testing.T) {
		m := newMachine(t)
		login := m.command(t, "", append(ksLogin(), "--device")...)
		reader, writer := io.Pipe()
		login.Stdout, login.Stderr = writer, writer
		if err := login.Start(); err != nil {
			t.Fatal(err)
		}
		code := make(chan string, 1)
		go func() {
			text, _ := readUntil(reader, regexp.MustCompile(`enter the code\s+(\S+)\s`))
			code <- text
			_, _ = io.Copy(io.Discard, reader)
		}()
		b := newBrowser(t)
		select {
		case text := <-code:
			b.visit(shared.secure + "/oauth/device?user_code=" + url.QueryEscape(text))
		case <-time.After(wait.Timeout):
			t.Fatal("there is no code")
		}
		b.submit(url.Values{"username": {"admin"}, "password": {adminPassword}})
		b.submit(nil)
		b.submit(url.Values{"decision": {"allow"}})
		if err := login.Wait(); err != nil {
			t.Fatalf("%v; the browser ends at %s: %s", err, b.at, b.page)
		}
		_ = writer.Close()
		works(t, m)
	})
}

// readUntil reads until something is there, and returns its first part.
func readUntil(from io.Reader, wanted *regexp.Regexp) (string, error) {
	var text []byte
	for {
		piece := make([]byte, 1024)
		n, err := from.Read(piece)
		text = append(text, piece[:n]...)
		if found := wanted.FindSubmatch(text); found != nil {
			return string(found[1]), nil
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", text, err)
		}
	}
}

// browser follows links and submits forms, as one without JavaScript does.
type browser struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	page   string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(shared.certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &browser{t: t, client: &http.Client{Jar: jar, Timeout: wait.Timeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}}
}

func (b *browser) keep(answer *http.Response, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.page = answer.Request.URL, string(body)
}

func (b *browser) visit(address string) {
	b.t.Helper()
	b.keep(b.client.Get(address)) //nolint:noctx // it has a timeout
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	formHidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	formTyped  = regexp.MustCompile(`<input id="user_code"[^>]* value="([^"]*)"`)
)

// submit sends the form of the page with what somebody typed.
func (b *browser) submit(typed url.Values) {
	b.t.Helper()
	action := formAction.FindStringSubmatch(b.page)
	if action == nil {
		b.t.Fatalf("no form at %s: %s", b.at, b.page)
	}
	fields := url.Values{}
	for _, hidden := range formHidden.FindAllStringSubmatch(b.page, -1) {
		fields.Set(hidden[1], html.UnescapeString(hidden[2]))
	}
	if code := formTyped.FindStringSubmatch(b.page); code != nil {
		fields.Set("user_code", html.UnescapeString(code[1]))
	}
	for name, values := range typed {
		fields[name] = values
	}
	target, err := b.at.Parse(html.UnescapeString(action[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	b.keep(b.client.PostForm(target.String(), fields)) //nolint:noctx // it has a timeout
}
