package cli

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// machine is where the commands run.
type machine struct {
	t          *testing.T
	service    *service
	directory  string
	kubeconfig string
	in         string
	password   string
	open       func(string) error
	now        func() time.Time
	out, err   bytes.Buffer
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, service: newService(t), directory: t.TempDir(), now: time.Now}
	m.kubeconfig = filepath.Join(m.directory, "config")
	m.open = m.service.browse
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.service.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(m.directory, "ca.pem"), certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs a command and returns what it prints.
func (m *machine) run(args ...string) (string, error) {
	m.t.Helper()
	m.out.Reset()
	m.err.Reset()
	e := Environment{
		In: strings.NewReader(m.in), Out: &m.out, Err: &m.err, Open: m.open, Now: m.now,
		Getenv:     func(name string) string { return map[string]string{"XDG_CACHE_HOME": m.directory}[name] },
		Executable: func() (string, error) { return "kubectl-ks", nil },
	}
	if m.password != "" {
		e.Password = func() (string, error) { return m.password, nil }
	}
	command := New(e, "test")
	command.SetArgs(append(args, "--kubeconfig", m.kubeconfig))
	err := command.ExecuteContext(m.t.Context())
	return m.out.String(), err
}

func (m *machine) login(args ...string) error {
	m.t.Helper()
	_, err := m.run(append([]string{"login", m.service.URL, "--certificate-authority", filepath.Join(m.directory, "ca.pem")}, args...)...)
	return err
}

// exec is what the kubeconfig says kubectl should call.
func (m *machine) exec() []string {
	m.t.Helper()
	config, err := clientcmd.LoadFromFile(m.kubeconfig)
	if err != nil {
		m.t.Fatal(err)
	}
	context := config.Contexts[config.CurrentContext]
	if context == nil || config.Clusters[context.Cluster].Server != m.service.URL || len(config.Clusters[context.Cluster].CertificateAuthorityData) == 0 {
		m.t.Fatalf("the context is %+v", context)
	}
	plugin := config.AuthInfos[context.AuthInfo].Exec
	if plugin.Command != "kubectl-ks" || plugin.APIVersion != "client.authentication.k8s.io/v1" || plugin.InteractiveMode != "Never" {
		m.t.Fatalf("the plugin is %+v", plugin)
	}
	return plugin.Args
}

// files are the files of logins.
func (m *machine) files() []string {
	found, err := filepath.Glob(filepath.Join(m.directory, "kubectl-ks", "*.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	return found
}

// TestLogin goes all ways to log in, and out again.
func TestLogin(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*machine)
		args   []string
	}{
		{"browser", nil, nil},
		{"device", nil, []string{"--device"}},
		{"password", func(m *machine) { m.in, m.password = "jane\n", "s3cr3t pass" }, []string{"--password"}},
		{"password of a name", func(m *machine) { m.password = "s3cr3t pass" }, []string{"--password", "-u", "jane"}},
		{"password from standard input", func(m *machine) { m.in = "s3cr3t pass\r\n" }, []string{"--password-stdin", "--username", "jane"}},
		{"password at a provider", func(m *machine) { m.in = "s3cr3t pass" }, []string{"--password-stdin", "--username", "jane", "--provider", "ldap"}},
		{"a server that does not describe itself", func(m *machine) { m.service.noDocument = true }, nil},
		// Behind a port that is forwarded, for example.
		{"a server that calls itself something else", func(m *machine) { m.service.issuer = "http://ks-apiserver.kubesphere-system.svc" }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			if test.change != nil {
				test.change(m)
			}
			if err := m.login(test.args...); err != nil {
				t.Fatal(err)
			}
			if said := m.err.String(); strings.Contains(said, "s3cr3t") || strings.Contains(said, "\x1b") || !strings.Contains(said, "as jane") {
				t.Errorf("it says %q", said)
			}
			files := m.files()
			if len(files) != 1 {
				t.Fatalf("the logins are %v", files)
			}
			for path, mode := range map[string]fs.FileMode{files[0]: 0o600, filepath.Dir(files[0]): 0o700, m.kubeconfig: 0o600} {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
					t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
				}
			}
			if content, err := os.ReadFile(m.kubeconfig); err != nil || strings.Contains(string(content), "access-") || strings.Contains(string(content), "refresh-") {
				t.Errorf("the kubeconfig is %s, %v", content, err)
			}
			printed, err := m.run(m.exec()...)
			var credential struct {
				APIVersion, Kind string
				Status           struct {
					Token               string
					ExpirationTimestamp time.Time
				}
			}
			if err != nil || json.Unmarshal([]byte(printed), &credential) != nil || credential.Kind != "ExecCredential" || !strings.HasPrefix(credential.Status.Token, "access-") || time.Until(credential.Status.ExpirationTimestamp) < 50*time.Minute {
				t.Errorf("the credential is %s, %v", printed, err)
			}
			if printed, err := m.run("token"); err != nil || printed != credential.Status.Token+"\n" {
				t.Errorf("the token is %q, %v", printed, err)
			}
			if printed, err := m.run("whoami"); err != nil || printed != "jane at "+m.service.URL+"\n" {
				t.Errorf("it is %q, %v", printed, err)
			}
			refresh := m.service.refresh
			if _, err := m.run("logout"); err != nil {
				t.Fatal(err)
			}
			if len(m.service.revoked) != 1 || m.service.revoked[0] != refresh || len(m.files()) > 0 {
				t.Errorf("revoked %q, left %v", m.service.revoked, m.files())
			}
			config, err := clientcmd.LoadFromFile(m.kubeconfig)
			if err != nil || len(config.Contexts)+len(config.Clusters)+len(config.AuthInfos) > 0 || config.CurrentContext != "" {
				t.Errorf("the kubeconfig is %+v, %v", config, err)
			}
			if _, err := m.run("token"); err == nil {
				t.Error("there is a token after logging out")
			}
		})
	}
}

func TestLoginRefused(t *testing.T) {
	for _, test := range []struct {
		name, message string
		change        func(*machine)
		args          []string
	}{
		{"in the browser", "access_denied", func(m *machine) { m.service.refuse = "access_denied" }, nil},
		{"a wrong password", "that is not right", func(m *machine) { m.in = "wrong-s3cr3t" }, []string{"--password-stdin", "-u", "jane"}},
		{"an unknown client", "unknown[2J client", func(m *machine) { m.in = "s3cr3t pass" }, []string{"--password-stdin", "-u", "jane", "--client-id", "other"}},
		{"no terminal", "no terminal", nil, []string{"--password"}},
		{"no password", "no password", nil, []string{"--password-stdin", "-u", "jane"}},
		{"no name", "--username", nil, []string{"--password-stdin"}},
		{"two ways", "none of the others", nil, []string{"--password-stdin", "--device"}},
		{"a server that is away", "503", func(m *machine) { m.service.broken = true }, nil},
		{"the context of somebody else", "mine already", func(m *machine) {
			if err := os.WriteFile(m.kubeconfig, []byte("apiVersion: v1\nkind: Config\ncontexts: [{name: mine, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: https://x}}]\nusers: [{name: u, user: {token: t}}]\n"), 0o600); err != nil {
				m.t.Fatal(err)
			}
		}, []string{"--context", "mine"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			if test.change != nil {
				test.change(m)
			}
			err := m.login(test.args...)
			if err == nil || !strings.Contains(err.Error(), test.message) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("got %v", err)
			}
			if files := m.files(); len(files) > 0 {
				t.Errorf("it keeps %v", files)
			}
		})
	}
	m := newMachine(t)
	if _, err := m.run("login", m.service.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate nobody vouches for: %v", err)
	}
	if _, err := m.run("login", m.service.URL, "--insecure-skip-tls-verify"); err != nil || !strings.Contains(m.err.String(), "Warning") {
		t.Errorf("one, believed: %v, %s", err, m.err.String())
	}
	for _, address := range []string{"http://ks.example.com", "ftp://ks.example.com", "https://jane:pw@ks.example.com", "https://", "https://x/?a=b"} {
		if _, err := m.run("login", address); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestCallback: only the login that was begun comes back.
func TestCallback(t *testing.T) {
	m := newMachine(t)
	m.open = func(address string) error {
		begun, err := url.Parse(address)
		if err != nil {
			return err
		}
		for _, wrong := range []string{"?code=forged&state=wrong", "?code=forged", "?code=forged&iss=https%3A%2F%2Fevil.example.com&state=" + begun.Query().Get("state")} {
			response, err := http.Get(begun.Query().Get("redirect_uri") + wrong)
			if err != nil {
				return err
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %s", wrong, response.Status)
			}
		}
		return m.service.browse(address)
	}
	if err := m.login(); err != nil {
		t.Error(err)
	}
	m.open = func(address string) error {
		go func() { _ = m.service.browse(address) }()
		return errors.New("no browser")
	}
	if err := m.login(); err != nil || !strings.Contains(m.err.String(), "no browser") {
		t.Errorf("without a browser of its own: %v, %s", err, m.err.String())
	}
}

// TestRefresh: of many that need a new token at once, one gets it.
func TestRefresh(t *testing.T) {
	m := newMachine(t)
	m.service.lifetime = 60
	if err := m.login(); err != nil {
		t.Fatal(err)
	}
	m.service.lifetime = 120
	args, later := m.exec(), time.Now().Add(40*time.Second)
	outcomes := make(chan string, 10)
	var running sync.WaitGroup
	for range cap(outcomes) {
		running.Go(func() {
			one := &machine{t: t, service: m.service, directory: m.directory, kubeconfig: m.kubeconfig, now: func() time.Time { return later }}
			printed, err := one.run(args...)
			if err != nil {
				t.Error(err)
			}
			outcomes <- printed
		})
	}
	running.Wait()
	close(outcomes)
	if m.service.refreshes != 1 || m.service.reused > 0 {
		t.Errorf("refreshed %d times, %d of them with a token that was used", m.service.refreshes, m.service.reused)
	}
	first := <-outcomes
	for other := range outcomes {
		if other != first || !strings.Contains(other, "access-") {
			t.Errorf("got %s and %s", first, other)
		}
	}

	// A server that is away is no reason not to use what is still good.
	m.now, m.service.broken = func() time.Time { return time.Now().Add(100 * time.Second) }, true
	if printed, err := m.run("token"); err != nil || !strings.HasPrefix(printed, "access-") {
		t.Errorf("while the server is away: %s, %v", printed, err)
	}
	m.now = func() time.Time { return time.Now().Add(time.Hour) }
	if printed, err := m.run("token"); err == nil || !strings.Contains(err.Error(), "503") || printed != "" {
		t.Errorf("while it is away for long: %s, %v", printed, err)
	}
	m.service.broken, m.service.lifetime = false, 60
	if _, err := m.run("token"); err != nil {
		t.Errorf("once it is back: %v", err)
	}
	m.service.refresh = "" // the session has ended there
	if printed, err := m.run("token"); err == nil || !strings.Contains(err.Error(), "kubectl ks login") || printed != "" || len(m.files()) > 0 {
		t.Errorf("after the session has ended: %s, %v, left %v", printed, err, m.files())
	}
}

// TestKubeconfig: the contexts of others stay as they are.
func TestKubeconfig(t *testing.T) {
	m := newMachine(t)
	const others = "apiVersion: v1\nkind: Config\ncurrent-context: mine\ncontexts: [{name: mine, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: https://x}}]\nusers: [{name: u, user: {token: t}}]\n"
	if err := os.WriteFile(m.kubeconfig, []byte(others), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, context := range []string{"first", "second", "first"} {
		if err := m.login("--context", context); err != nil {
			t.Fatal(err)
		}
	}
	if files := m.files(); len(files) != 2 {
		t.Errorf("the logins are %v", files)
	}
	for _, test := range []struct{ context, message string }{{"mine", "not one of"}, {"unknown", "not one of"}, {"second", ""}, {"first", ""}} {
		_, err := m.run("logout", "--context", test.context)
		if test.message == "" && err != nil || test.message != "" && (err == nil || !strings.Contains(err.Error(), test.message)) {
			t.Errorf("%s: %v", test.context, err)
		}
	}
	config, err := clientcmd.LoadFromFile(m.kubeconfig)
	if err != nil || len(config.Contexts) != 1 || config.Contexts["mine"].Cluster != "c" || config.Clusters["c"].Server != "https://x" || config.AuthInfos["u"].Token != "t" || len(config.AuthInfos) != 1 {
		t.Errorf("left is %+v, %v", config, err)
	}
	// The server is told, or one knows that it was not.
	if err := m.login(); err != nil {
		t.Fatal(err)
	}
	m.service.broken = true
	if _, err := m.run("logout"); err == nil || !strings.Contains(err.Error(), "logged out here") || len(m.files()) > 0 {
		t.Errorf("while the server is away: %v, left %v", err, m.files())
	}
}
