package registries

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/egress"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// mayGet is somebody who may get secrets, by name.
type mayGet string

func (m mayGet) Covers(_ context.Context, who user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if who.GetName() == string(m) {
		return nil, nil
	}
	return rules, nil
}

// protected asks for user u with password p, by Basic or with a token from a
// server of its own.
func protected(next http.Handler, bearer bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		known := name == "u" && password == "p"
		switch {
		case r.URL.Path == "/token" && known:
			_, _ = io.WriteString(w, `{"token":"t"}`)
		case r.URL.Path == "/token":
			http.Error(w, "secret words of the token server", http.StatusUnauthorized)
		case bearer && r.Header.Get("Authorization") == "Bearer t", !bearer && known:
			next.ServeHTTP(w, r)
		default:
			challenge := `Basic realm="registry"`
			if bearer {
				scheme := "http"
				if r.TLS != nil {
					scheme = "https"
				}
				challenge = fmt.Sprintf(`Bearer realm="%s://%s/token",service="registry"`, scheme, r.Host)
			}
			w.Header().Set("WWW-Authenticate", challenge)
			http.Error(w, "secret words of the registry", http.StatusUnauthorized)
		}
	})
}

// filled is a registry with an image, by its handler.
func filled(t *testing.T) http.Handler {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(handler)
	defer server.Close()
	image, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"1", "2", "10", "latest"} {
		reference, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/team/app:" + tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(reference, image); err != nil {
			t.Fatal(err)
		}
	}
	return handler
}

// dockerConfig is a secret for a registry.
func dockerConfig(name, server, user, password string, insecure bool) *corev1.Secret {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"https://` + server + `/v2/":{"auth":"` + auth + `"}}}`)},
	}
	if insecure {
		secret.Annotations = map[string]string{annotationInsecure: "true"}
	}
	return secret
}

// door serves the operations to user "reader" unless another is named.
func door(t *testing.T, allow []string, objects ...*corev1.Secret) func(method, path, body, who string) (int, string) {
	t.Helper()
	guard, err := egress.New(config.Egress{Allow: allow}, nil)
	if err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(kubescheme.Scheme)
	for _, object := range objects {
		builder = builder.WithObjects(object)
	}
	container, err := route.NewContainer((&Handler{Client: builder.Build(), Rights: mayGet("reader"), Egress: guard, Asks: NewAsks()}).Groups()...)
	if err != nil {
		t.Fatal(err)
	}
	return func(method, path, body, who string) (int, string) {
		t.Helper()
		r := httptest.NewRequest(method, "/kapis/resources.kubesphere.io/"+path, strings.NewReader(body))
		w := httptest.NewRecorder()
		container.ServeHTTP(w, r.WithContext(kuberequest.WithUser(t.Context(), &user.DefaultInfo{Name: who})))
		if strings.Contains(w.Body.String(), "secret words") {
			t.Errorf("%s %s repeats an answer: %s", method, path, w.Body)
		}
		return w.Code, w.Body.String()
	}
}

// TestImages: with and without TLS, with passwords and with tokens.
func TestImages(t *testing.T) {
	images := filled(t)
	for _, kind := range []struct {
		name        string
		tls, bearer bool
	}{{"Basic without TLS", false, false}, {"Basic over TLS", true, false}, {"tokens without TLS", false, true}, {"tokens over TLS", true, true}} {
		t.Run(kind.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(protected(images, kind.bearer))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			if kind.tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			_, host, _ := strings.Cut(server.URL, "://")
			call := door(t, []string{"127.0.0.1"}, dockerConfig("right", host, "u", "p", true), dockerConfig("wrong", host, "u", "x", true), dockerConfig("strict", host, "u", "p", false))
			image := url.QueryEscape(host + "/team/app:latest")
			for _, test := range []struct {
				name, path, who string
				code            int
				want            string
			}{
				{"configuration", "v1alpha3/namespaces/n/imageconfig?secret=right&image=" + image, "reader", 200, `"rootfs"`},
				{"wrong password", "v1alpha3/namespaces/n/imageconfig?secret=wrong&image=" + image, "reader", 401, "does not accept"},
				{"the certificate counts, and so does that there is one", "v1alpha3/namespaces/n/imageconfig?secret=strict&image=" + image, "reader", 400, "reached"},
				{"a secret the caller may not get", "v1alpha3/namespaces/n/imageconfig?secret=right&image=" + image, "other", 403, "takes the right to get it"},
				{"no such secret", "v1alpha3/namespaces/n/imageconfig?secret=none&image=" + image, "reader", 404, "not found"},
				{"no such image", "v1alpha3/namespaces/n/imageconfig?secret=right&image=" + strings.Replace(image, "latest", "none", 1), "reader", 404, "does not have"},
				{"two images", "v1alpha2/registry/blob?image=x&image=" + image, "reader", 400, "given 2 times"},
				{"two secrets", "v1alpha3/namespaces/n/imageconfig?secret=wrong&secret=right&image=" + image, "reader", 400, "given 2 times"},
				{"insecure that is no Boolean", "v1alpha2/registry/blob?insecure=yes&image=" + image, "reader", 400, "must be true or false"},
				{"two repositories", "v1alpha3/namespaces/n/repositorytags?repository=x&repository=y", "reader", 400, "given 2 times"},
				{"no image", "v1alpha3/namespaces/n/imageconfig?secret=right", "reader", 400, "invalid reference format"},
				{"tags", "v1alpha3/namespaces/n/repositorytags?secret=right&repository=" + url.QueryEscape(host+"/team/app"), "reader", 200, `"tags":["latest","2","10","1"],"total":4`},
				{"a page of tags", "v1alpha3/namespaces/n/repositorytags?secret=right&ascending=true&limit=3&page=2&repository=" + url.QueryEscape(host+"/team/app"), "reader", 200, `"tags":["latest"],"total":4`},
				{"no repository", "v1alpha3/namespaces/n/repositorytags?secret=right", "reader", 400, "empty repository name"},
				{"manifest", "v1alpha2/registry/blob?namespace=n&secret=right&image=" + image, "reader", 200, `"imageTag":"latest"`},
				{"without the secret", "v1alpha2/registry/blob?insecure=true&image=" + image, "reader", 401, "does not accept"},
			} {
				t.Run(test.name, func(t *testing.T) {
					if code, body := call("GET", test.path, "", test.who); code != test.code || !strings.Contains(body, test.want) {
						t.Errorf("%d %s", code, body)
					}
				})
			}
			for _, test := range []struct {
				name, path string
				body       any
				who        string
				code       int
			}{
				{"secret", "v1alpha3/namespaces/n/registrysecrets/new/verify", dockerConfig("new", host, "u", "p", true), "other", 200},
				{"wrong secret", "v1alpha3/namespaces/n/registrysecrets/new/verify", dockerConfig("new", host, "u", "x", true), "other", 400},
				{"stored secret", "v1alpha3/namespaces/n/registrysecrets/right/verify", nil, "reader", 200},
				{"stored secret the caller may not get", "v1alpha3/namespaces/n/registrysecrets/right/verify", nil, "other", 403},
				{"stored wrong secret", "v1alpha3/namespaces/n/registrysecrets/wrong/verify", nil, "reader", 400},
				{"no key", "v1alpha3/namespaces/n/registrysecrets/new/verify", map[string]any{"type": "kubernetes.io/dockerconfigjson"}, "other", 400},
				{"another type", "v1alpha3/namespaces/n/registrysecrets/new/verify", map[string]any{"type": "Opaque"}, "other", 400},
				{"password", "v1alpha2/registry/verify", Login{"u", "p", host}, "other", 400}, // that certificate, or none
				{"no host", "v1alpha2/registry/verify", Login{"u", "p", ""}, "other", 400},
			} {
				t.Run(test.name, func(t *testing.T) {
					encoded := ""
					if test.body != nil {
						content, err := json.Marshal(test.body)
						if err != nil {
							t.Fatal(err)
						}
						encoded = string(content)
					}
					if code, body := call("POST", test.path, encoded, test.who); code != test.code {
						t.Errorf("%d %s", code, body)
					}
				})
			}
		})
	}
}

// What must not be called is not, wherever it is named (ks#6653).
func TestRefused(t *testing.T) {
	called := false
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called = true
		_, _ = io.WriteString(w, "secret words")
	}))
	defer inner.Close()
	host := strings.TrimPrefix(inner.URL, "http://")
	call := door(t, nil, dockerConfig("s", host, "u", "p", true))
	for path, body := range map[string]string{
		"v1alpha2/git/verify":                            `{"remoteUrl":"` + inner.URL + `/x.git"}`,
		"v1alpha2/registry/verify":                       `{"username":"u","password":"p","serverhost":"` + host + `"}`,
		"v1alpha3/namespaces/n/registrysecrets/s/verify": "",
	} {
		if code, answer := call("POST", path, body, "reader"); code != 403 {
			t.Errorf("%s: %d %s", path, code, answer)
		}
	}
	for _, path := range []string{
		"v1alpha2/registry/blob?insecure=true&image=" + url.QueryEscape(host+"/a:b"), "v1alpha3/namespaces/n/imageconfig?secret=s&image=" + url.QueryEscape(host+"/a:b"),
		"v1alpha3/namespaces/n/repositorytags?secret=s&repository=" + url.QueryEscape(host+"/a"), "v1alpha2/registry/blob?image=" + url.QueryEscape("169.254.169.254/latest/meta-data"),
	} {
		if code, answer := call("GET", path, "", "reader"); code != 403 {
			t.Errorf("%s: %d %s", path, code, answer)
		}
	}
	if called {
		t.Error("the inside was called")
	}
	// Nor when a registry sends us there for a token.
	leading := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+inner.URL+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("this system has one loopback address only:", err)
	}
	_ = leading.Listener.Close()
	leading.Listener = listener
	leading.Start()
	defer leading.Close()
	call = door(t, []string{"127.0.0.2"})
	if code, answer := call("GET", "v1alpha2/registry/blob?insecure=true&image="+url.QueryEscape(listener.Addr().String()+"/a:b"), "", "reader"); code < 400 || called {
		t.Errorf("a realm inside: %d %s", code, answer)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	large := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		for range 2 * mostBytes / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer large.Close()
	call := door(t, []string{"127.0.0.1"})
	if code, answer := call("GET", "v1alpha2/registry/blob?insecure=true&image="+url.QueryEscape(strings.TrimPrefix(large.URL, "http://")+"/a:b"), "", "reader"); code != 400 || len(answer) > 1000 {
		t.Errorf("%d, %d bytes", code, len(answer))
	}
}

// TestGit asks git's own server.
func TestGit(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	path, err := exec.CommandContext(t.Context(), git, "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if output, err := exec.CommandContext(t.Context(), git, "init", "--bare", root+"/app.git").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, output)
	}
	backend := &cgi.Handler{Path: strings.TrimSpace(string(path)) + "/git-http-backend", Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, Stderr: io.Discard}
	open := httptest.NewServer(backend)
	defer open.Close()
	closed := httptest.NewServer(protected(backend, false))
	defer closed.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret words, no git") }))
	defer other.Close()
	login := func(name, password string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Type: corev1.SecretTypeBasicAuth, Data: map[string][]byte{"username": []byte("u"), "password": []byte(password)}}
	}
	call := door(t, []string{"127.0.0.1"}, login("right", "p"), login("wrong", "x"), dockerConfig("docker", "h", "u", "p", false))
	for _, test := range []struct {
		name, address, secret, who string
		code                       int
	}{
		{"open", open.URL + "/app.git", "", "other", 200},
		{"with a slash", open.URL + "/app.git/", "", "other", 200},
		{"closed", closed.URL + "/app.git", "right", "reader", 200},
		{"in the address", strings.Replace(closed.URL, "://", "://u:p@", 1) + "/app.git", "", "other", 200},
		{"without a secret", closed.URL + "/app.git", "", "reader", 400},
		{"wrong password", closed.URL + "/app.git", "wrong", "reader", 400},
		{"a secret the caller may not get", closed.URL + "/app.git", "right", "other", 403},
		{"no such secret", closed.URL + "/app.git", "none", "reader", 404},
		{"a secret of another type", closed.URL + "/app.git", "docker", "reader", 400},
		{"no such repository", open.URL + "/none.git", "", "other", 400},
		{"no git", other.URL, "", "other", 400},
		{"nobody there", "http://127.0.0.1:1/x.git", "", "other", 400},
		{"a file", "file:///etc/passwd", "", "other", 400},
		{"ssh", "git@github.com:a/b.git", "", "other", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := `{"remoteUrl":"` + test.address + `"}`
			if test.secret != "" {
				body = `{"remoteUrl":"` + test.address + `","secretRef":{"namespace":"n","name":"` + test.secret + `"}}`
			}
			if code, answer := call("POST", "v1alpha2/git/verify", body, test.who); code != test.code {
				t.Errorf("%d %s", code, answer)
			}
		})
	}
}

func TestHost(t *testing.T) {
	for address, want := range map[string]string{
		"https://index.docker.io/v1/": hub, "docker.io": hub, "registry-1.docker.io": hub, "http://r.example.com:5000/v2/": "r.example.com:5000", "R.example.com/team": "r.example.com",
	} {
		if got := host(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}
