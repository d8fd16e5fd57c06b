//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// reply is an answer with its body read.
type reply struct {
	code   int
	header http.Header
	body   []byte
}

// decode reads the body as JSON.
func decode[T any](t *testing.T, r reply) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(r.body, &value); err != nil {
		t.Fatalf("status %d, body %.300q: %v", r.code, r.body, err)
	}
	return value
}

type option func(*http.Request)

func bearer(token string) option {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func (i *instance) do(t *testing.T, method, path string, body io.Reader, options ...option) reply {
	t.Helper()
	logs.showOnFailure(t)
	request, err := http.NewRequestWithContext(t.Context(), method, i.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, apply := range options {
		apply(request)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, content}
}

func (i *instance) get(t *testing.T, path string, options ...option) reply {
	t.Helper()
	return i.do(t, http.MethodGet, path, nil, options...)
}

// tokens is the answer of the token endpoint.
type tokens struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	RefreshToken     string `json:"refresh_token"`
	ExpiresIn        int    `json:"expires_in"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
}

// token sends a form to the token endpoint. Values come in pairs.
func (i *instance) token(t *testing.T, pairs []string, options ...option) reply {
	t.Helper()
	form := url.Values{}
	for n := 0; n < len(pairs); n += 2 {
		form.Add(pairs[n], pairs[n+1])
	}
	options = append([]option{header("Content-Type", "application/x-www-form-urlencoded")}, options...)
	return i.do(t, http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()), options...)
}

func passwordForm(user, password string) []string {
	return []string{"grant_type", "password", "username", user, "password", password, "client_id", "kubesphere", "client_secret", "kubesphere"}
}

func refreshForm(refreshToken string) []string {
	return []string{"grant_type", "refresh_token", "refresh_token", refreshToken, "client_id", "kubesphere", "client_secret", "kubesphere"}
}

// login returns tokens of user admin.
func (i *instance) login(t *testing.T) tokens {
	t.Helper()
	r := i.token(t, passwordForm("admin", adminPassword))
	if r.code != http.StatusOK {
		t.Fatalf("login: %d %s", r.code, r.body)
	}
	return decode[tokens](t, r)
}

// kubernetes returns a client of the cluster itself.
func kubernetes(t *testing.T, kubeconfig string) client.WithWatch {
	t.Helper()
	if kubeconfig == "" {
		kubeconfig = os.Getenv("KUBECONFIG")
	}
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kube.NewClient(rest)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const viewer = "/kapis/resources.kubesphere.io/v1alpha3"

// list is the answer of the viewer.
type list struct {
	Items      []object
	TotalItems *int
}

type object struct {
	Kind       string
	APIVersion string
	Metadata   struct {
		Name, Namespace, UID string
		ResourceVersion      string
		CreationTimestamp    string
		ManagedFields        []any
	}
	Data map[string]string
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
