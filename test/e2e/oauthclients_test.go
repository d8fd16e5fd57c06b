//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgo "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	extensionsv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// made creates objects and deletes them in the end.
func made(t *testing.T, c client.Client, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.IgnoreNotFound(c.Delete(context.WithoutCancel(t.Context()), object)) })
	}
}

// serviceAccountToken makes a service account and returns a token of it.
func serviceAccountToken(t *testing.T, namespace, name string) string {
	t.Helper()
	rest, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	typed, err := clientgo.NewForConfig(rest)
	if err != nil {
		t.Fatal(err)
	}
	accounts := typed.CoreV1().ServiceAccounts(namespace)
	_, err = accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	switch {
	case err == nil:
		t.Cleanup(func() { _ = accounts.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
	case !apierrors.IsAlreadyExists(err):
		t.Fatal(err)
	}
	request, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// TestServiceAccountTokens: a program in the cluster has the rights that RBAC gives
// its service account, here and through the proxy, and none of those of people.
func TestServiceAccountTokens(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	made(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "oauthclients-robots"}})
	token := serviceAccountToken(t, "oauthclients-robots", "robot")
	const pods, proxied = viewer + "/namespaces/oauthclients-robots/pods", "/api/v1/namespaces/oauthclients-robots/pods"
	for path, code := range map[string]int{
		pods: 403, proxied: 403, "/api/v1/nodes": 403, viewer + "/nodes": 403, "/apis/iam.kubesphere.io/v1alpha2/users": 403,
		users + "/system:serviceaccount:oauthclients-robots:robot": 403, "/oauth/userinfo": 401,
	} {
		if r := shared.get(t, path, bearer(token)); r.code != code {
			t.Errorf("without a binding, %s: %d %s", path, r.code, r.body)
		}
	}
	made(t, c, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "oauthclients-robots", Name: "robot"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "oauthclients-robots", Name: "robot"}},
	})
	// Role view is about Kubernetes' groups: the lists of resources.kubesphere.io take a
	// rule of their own, as for people.
	wait.For(t, "the binding to be honoured", func() error { return expect(shared.get(t, proxied, bearer(token)), 200) })
	if r := shared.get(t, pods, bearer(token)); r.code != 403 {
		t.Errorf("another group: %d %s", r.code, r.body)
	}
	for path, code := range map[string]int{viewer + "/namespaces/default/pods": 403, "/api/v1/namespaces/oauthclients-robots/secrets": 403, "/api/v1/nodes": 403} {
		if r := shared.get(t, path, bearer(token)); r.code != code {
			t.Errorf("with a binding in one namespace, %s: %d %s", path, r.code, r.body)
		}
	}
	// Kubernetes sees who it is.
	review := `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`
	r := shared.do(t, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", strings.NewReader(review), bearer(token), header("Content-Type", "application/json"))
	if r.code != 201 || !strings.Contains(string(r.body), `"username":"system:serviceaccount:oauthclients-robots:robot"`) || strings.Contains(string(r.body), "system:masters") {
		t.Errorf("who Kubernetes sees: %d %s", r.code, r.body)
	}
	made(t, c, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "oauthclients-robots"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:node-proxier"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:serviceaccounts:oauthclients-robots"}},
	})
	wait.For(t, "the token to be accepted", func() error { return expect(shared.get(t, "/api/v1/nodes", bearer(token)), 200) })
	// What kube-apiserver does not accept is not accepted here.
	if r := shared.get(t, pods, bearer(token[:len(token)-6]+"AAAAAA")); r.code != 401 {
		t.Errorf("another signature: %d %s", r.code, r.body)
	}
	if err := c.Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "oauthclients-robots", Name: "robot"}}); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the token to be refused", func() error { return expect(shared.get(t, pods, bearer(token)), 401) })
}

// TestWebSocketTokens: a page has no other way to send its token.
func TestWebSocketTokens(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	made(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "oauthclients-sockets"}})
	runningPod(t, "oauthclients-sockets", "web")
	token := shared.login(t).AccessToken
	protocol := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(token))
	wrong := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte("wrong"))
	const pod = "/api/v1/namespaces/oauthclients-sockets/pods/web"
	for _, test := range []struct {
		path, protocol string
	}{
		{pod + "/exec?command=echo&command=hello&stdout=true&container=main", "v4.channel.k8s.io"},
		{pod + "/attach?stdout=true&container=main", "v4.channel.k8s.io"},
		{pod + "/portforward?ports=80", "v4.channel.k8s.io"},
		{"/api/v1/namespaces/oauthclients-sockets/pods?watch=true", "binary.k8s.io"},
		{terminalPath + "/namespaces/oauthclients-sockets/pods/web/exec?container=main&shell=sh", "terminal.kubesphere.io"},
	} {
		dial := func(protocols ...string) (*websocket.Conn, int) {
			conn, response, err := websocket.Dial(t.Context(), strings.Replace(shared.url, "http", "ws", 1)+test.path, &websocket.DialOptions{
				Subprotocols: protocols, HTTPHeader: http.Header{"Origin": {shared.url}}, // as of any page; kube-apiserver's watches want one
			})
			if err != nil && response == nil {
				t.Fatal(err)
			}
			return conn, response.StatusCode
		}
		conn, code := dial(protocol, test.protocol)
		if conn == nil {
			t.Errorf("%s: %d", test.path, code)
			continue
		}
		if conn.Subprotocol() == protocol || strings.HasPrefix(test.path, terminalPath) && conn.Subprotocol() != test.protocol {
			t.Errorf("%s: the protocol is %q", test.path, conn.Subprotocol())
		}
		_ = conn.CloseNow()
		for name, protocols := range map[string][]string{"a wrong token": {wrong, test.protocol}, "no token": {test.protocol}, "nothing but a token": {protocol}} {
			if conn, code := dial(protocols...); conn != nil || code != 401 {
				t.Errorf("%s, %s: %d", test.path, name, code)
			}
		}
	}
}

// TestPathsOfBackends: what a service wants in its paths gets there as it is written,
// for who may have it however it is read.
func TestPathsOfBackends(t *testing.T) {
	t.Parallel()
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) }))
	defer back.Close()
	c := kubernetes(t, "")
	made(t, c,
		&extensionsv1alpha1.APIService{
			ObjectMeta: metav1.ObjectMeta{Name: "v1.oauthclients.example.io"},
			Spec:       extensionsv1alpha1.APIServiceSpec{Group: "oauthclients.example.io", Version: "v1", Endpoint: extensionsv1alpha1.Endpoint{URL: back.URL}},
		},
		&extensionsv1alpha1.ReverseProxy{
			ObjectMeta: metav1.ObjectMeta{Name: "oauthclients-pages"},
			Spec: extensionsv1alpha1.ReverseProxySpec{
				Matcher: extensionsv1alpha1.Matcher{Path: "/proxy/oauthclients/*"}, Upstream: extensionsv1alpha1.Endpoint{URL: back.URL},
			},
		},
		&iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "oauthclients-images"}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"get"}, APIGroups: []string{"oauthclients.example.io"}, Resources: []string{"repositories", "repositories/nginx"}},
			{Verbs: []string{"get"}, NonResourceURLs: []string{"/proxy/oauthclients/public/*"}},
		}},
	)
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", users, newUser("oauthclients-ida", "oauthclients-images"))
	ida := shared.as(t, "oauthclients-ida", passwordOf("oauthclients-ida"))
	const api = "/kapis/oauthclients.example.io/v1"
	wait.For(t, "the registry to answer", func() error { return expect(ida.call(t, "GET", api+"/repositories/library", nil), 200) })
	for path, code := range map[string]int{
		api + "/repositories/library%2Fnginx":               200,
		api + "/repositories//library%2fnginx":              200,
		api + "/repositories/library%2Fsecret":              403, // a subresource to who decodes it
		api + "/namespaces%2Fkube-system%2Frepositories/x":  403, // a type of this name to who does not
		api + "/repositories/a%2F..%2F..%2Fthings":          400,
		"/proxy/oauthclients/public/a%2Fb//c":               200,
		"/proxy/oauthclients/public%2Fa":                    403,
		"/proxy/oauthclients//private":                      403,
		"/proxy/oauthclients/public/..%2Fprivate":           400,
		"/kapis/oauthclients.example.io/v1alpha1//x":        400,
		"/api/v1//namespaces":                               400,
		"/kapis/iam.kubesphere.io/v1alpha2/users%2Fadmin":   400,
		"/kapis/iam.kubesphere.io/v1alpha2//users/admin":    400,
		"/kapis/oauthclients.example.io%2Fv1/repositories/": 400,
	} {
		r := ida.call(t, "GET", path, nil)
		if r.code != code || code == 200 && string(r.body) != path {
			t.Errorf("%s: %d %s", path, r.code, r.body)
		}
	}
	if r := admin.call(t, "GET", "/proxy/oauthclients//a%2Fb", nil); r.code != 200 || string(r.body) != "/proxy/oauthclients//a%2Fb" {
		t.Errorf("who may do everything: %d %s", r.code, r.body)
	}
}

// TestExampleClient: the client in the documents works as it is written.
func TestExampleClient(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(document), "## OAuth clients in Secrets")
	_, block, alsoFound := strings.Cut(section, "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	secret := &corev1.Secret{}
	if err := yaml.UnmarshalStrict([]byte(block), secret); err != nil || !found || !alsoFound || secret.Kind != "Secret" {
		t.Fatalf("the example is %q: %v", block, err)
	}
	c := kubernetes(t, "")
	made(t, c, secret)
	const redirect = "https://grafana.example.com/login/generic_oauth"
	wait.For(t, "the client to be known", func() error {
		r := shared.get(t, "/oauth/authorize?"+url.Values{"client_id": {"grafana"}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {"openid email"}, "prompt": {"none"}}.Encode())
		if location := r.header.Get("Location"); !strings.HasPrefix(location, redirect+"?error=login_required") {
			return fmt.Errorf("%d %s %s", r.code, location, r.body)
		}
		return nil
	})
	// A second one of the name, with mistakes, is reported where one looks.
	broken := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: "oauthclients-broken", Labels: secret.Labels}, Type: secret.Type,
		StringData: map[string]string{"configuration.yaml": "name: oauthclients-broken\ngrantMethod: Prompt\nredirectUri: https://a.example.com\nsecret: our-secret\n"},
	}
	ldap := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: "oauthclients-ldap", Labels: map[string]string{"config.kubesphere.io/type": "identityprovider"}},
		Type:       "config.kubesphere.io/identityprovider",
		StringData: map[string]string{"configuration.yaml": "name: oauthclients-ldap\ntype: LdapProvider\nprovider: {managerPassword: our-secret}\n"},
	}
	made(t, c, broken, ldap)
	wait.For(t, "the mistakes to be reported", func() error {
		for object, want := range map[*corev1.Secret]string{broken: "grantMethod must be auto, prompt or deny", ldap: "type is unknown"} {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
			if problem := object.Annotations["config.kubesphere.io/problem"]; !strings.Contains(problem, want) || strings.Contains(problem, "our-secret") {
				return fmt.Errorf("the problem of %s is %q", object.Name, problem)
			}
		}
		body := string(shared.get(t, "/readyz?verbose").body)
		for _, want := range []string{"[+]configuration-objects ok, but", "oauthclients-broken (Secret oauthclients-broken)", "type is unknown"} {
			if !strings.Contains(body, want) || strings.Contains(body, "our-secret") {
				return errors.New(body)
			}
		}
		return nil
	})
	if body := string(shared.get(t, "/readyz?verbose").body); strings.Contains(body, "grafana") {
		t.Errorf("the example has a problem: %s", body)
	}
}

// TestPagesOfOtherOrigins: applications that are nothing but a page log in.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	origin := header("Origin", "https://spa.example.com")
	for path, method := range map[string]string{
		"/.well-known/openid-configuration": "GET", "/oauth/keys": "GET", "/oauth/token": "POST", "/oauth/revoke": "POST", "/oauth/userinfo": "GET",
	} {
		r := shared.do(t, "OPTIONS", path, nil, origin, header("Access-Control-Request-Method", method), header("Access-Control-Request-Headers", "authorization,content-type"))
		if r.code != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("preflight of %s: %d %v", path, r.code, r.header)
		}
		if r := shared.do(t, method, path, nil, origin); r.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, r.code, r.header)
		}
	}
	for _, path := range []string{"/oauth/logout", "/oauth/authorize", "/api/v1/nodes", viewer + "/nodes"} {
		if r := shared.get(t, path, origin); r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, r.header)
		}
	}
}

// TestDefaultIssuer: with an issuer that is a name inside the cluster a device is
// sent where it came from, and a kubeconfig over HTTP names the address with HTTPS.
func TestDefaultIssuer(t *testing.T) {
	t.Parallel()
	form := strings.NewReader("client_id=kubectl-ks")
	r := shared.do(t, "POST", "/oauth/device_authorization", form, header("Content-Type", "application/x-www-form-urlencoded"))
	if got := decode[map[string]any](t, r)["verification_uri"]; got != shared.url+"/oauth/device" {
		t.Errorf("a device is sent to %v", got)
	}
	config, err := clientcmd.Load(shared.get(t, "/kapis/resources.kubesphere.io/v1alpha2/users/admin/kubeconfig", bearer(shared.login(t).AccessToken)).body)
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range config.Clusters {
		if cluster.Server != shared.secure || len(cluster.CertificateAuthorityData) == 0 {
			t.Errorf("the kubeconfig is for %s", cluster.Server)
		}
	}
	m := newMachine(t)
	if output := m.fails(t, "kubectl", "ks", "login", shared.url, "--password-stdin", "-u", "admin"); !strings.Contains(output, "kubectl ks login "+shared.secure) {
		t.Errorf("login by HTTP: %s", output)
	}
	if output := m.fails(t, "kubectl", "ks", "login", shared.secure); !strings.Contains(output, "--certificate-authority") {
		t.Errorf("an unknown authority: %s", output)
	}
}

// TestNormalizedPasswords: keyboards write the same characters in different ways.
func TestNormalizedPasswords(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "Gr\u00fc\u00dfe-1984-\u00e9t\u00e9", "Gru\u0308\u00dfe-1984-e\u0301te\u0301"
	admin := shared.as(t, "admin", adminPassword)
	for name, password := range map[string]string{"oauthclients-nfc": composed, "oauthclients-nfd": decomposed} {
		user := newUser(name, "platform-regular")
		user["spec"].(fields)["password"] = password
		admin.must(t, 200, "POST", users, user)
		for _, typed := range []string{composed, decomposed} {
			if r := shared.token(t, passwordForm(name, typed)); r.code != 200 {
				t.Errorf("%s with %+q: %d %s", name, typed, r.code, r.body)
			}
		}
		if r := shared.token(t, passwordForm(name, "Grusse-1984-ete")); r.code != 400 {
			t.Errorf("%s without marks: %d", name, r.code)
		}
	}
}

// TestSecretOfASession: who knows the ID of a session cannot end it.
func TestSecretOfASession(t *testing.T) {
	t.Parallel()
	tokens := shared.login(t)
	sid := decodeClaims(t, tokens.AccessToken)["sid"].(string)
	made := strings.TrimPrefix(sid, "session-") + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	if r := shared.token(t, refreshForm(made)); r.code != 400 {
		t.Errorf("a made-up refresh token: %d", r.code)
	}
	if r := shared.get(t, "/api/v1/nodes", bearer(tokens.AccessToken)); r.code != 200 {
		t.Errorf("afterwards: %d %s", r.code, r.body)
	}
	next := shared.token(t, refreshForm(tokens.RefreshToken))
	if next.code != 200 {
		t.Errorf("the right one: %d %s", next.code, next.body)
	}
}
