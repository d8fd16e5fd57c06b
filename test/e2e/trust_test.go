//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// kubectl is a client whose ID tokens a kube-apiserver trusts.
const kubectlClient = "kubectl"

// TestKubernetesTrustsTokens: a kube-apiserver takes our access tokens by the
// webhook, and our ID tokens by structured authentication, for the same user.
func TestKubernetesTrustsTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, file("tls.crt"), string(certificate))
	writeFile(t, file("tls.key"), string(key))
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	issuer := fmt.Sprintf("https://127.0.0.1:%d", port)
	k, trust := trustingCluster(t, dir, issuer, string(certificate))
	server := run(t, func(c *config.Config) {
		c.Kubernetes.KubeConfig = k.kubeconfig
		c.Server.InsecurePort = plain
		c.Server.SecurePort, c.Server.TLSCertFile, c.Server.TLSPrivateKey = port, file("tls.crt"), file("tls.key")
		c.Authentication.OAuthOptions.Issuer = issuer
		c.Authentication.OAuthOptions.Clients = []config.Client{{Name: kubectlClient, Secret: "s"}}
	})
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	// Who is in a group by name only is not in it for Kubernetes either.
	admin := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "admin"}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"groups":["team","system:masters"]}}`))
	if err := kubernetes(t, k.kubeconfig).Patch(t.Context(), admin, patch); err != nil {
		t.Fatal(err)
	}
	var login struct {
		tokens
		IDToken string `json:"id_token"`
	}
	wait.For(t, "an ID token with the groups", func() error {
		r := server.token(t, []string{"grant_type", "password", "username", "admin", "password", adminPassword, "scope", "openid groups", "client_id", kubectlClient, "client_secret", "s"})
		if err := json.Unmarshal(r.body, &login); err != nil || r.code != http.StatusOK {
			return fmt.Errorf("login: %d %s", r.code, r.body)
		}
		if groups := decodeClaims(t, login.IDToken)["groups"]; fmt.Sprint(groups) != "[team]" {
			return fmt.Errorf("groups %v", groups)
		}
		return nil
	})
	for name, text := range map[string]string{"webhook": login.AccessToken, "structured authentication": login.IDToken} {
		t.Run(name, func(t *testing.T) {
			wait.For(t, "Kubernetes to accept the token", func() error { // it looks for the issuer every ten seconds
				who, err := trust(t, text)
				if err != nil {
					return err
				}
				if who.Username != "admin" || !slices.Contains(who.Groups, "team") || slices.Contains(who.Groups, "system:masters") {
					return fmt.Errorf("it takes the token for %+v", who)
				}
				return nil
			})
		})
	}
	for name, text := range map[string]string{"a changed access token": login.AccessToken[:len(login.AccessToken)-8] + "AAAAAAAA", "a changed ID token": login.IDToken[:len(login.IDToken)-8] + "AAAAAAAA", "a refresh token": login.RefreshToken} {
		if who, err := trust(t, text); err == nil {
			t.Errorf("%s: it is %+v", name, who)
		}
	}
	if r := server.get(t, "/oauth/logout", bearer(login.AccessToken)); r.code != http.StatusOK {
		t.Fatalf("logout: %d %s", r.code, r.body)
	}
	wait.For(t, "Kubernetes to refuse the token after the logout", func() error { // kube-apiserver remembers tokens for ten seconds, whatever it is told
		if who, err := trust(t, login.AccessToken); err == nil {
			return fmt.Errorf("after logging out it is %+v", who)
		}
		return nil
	})
}

// trustingCluster starts another Kubernetes, whose kube-apiserver is told to
// trust an issuer in both ways. It also returns a function that finds the user
// kube-apiserver takes a token for.
func trustingCluster(t *testing.T, dir, issuer, certificate string) (*cluster, func(t *testing.T, token string) (authenticationv1.UserInfo, error)) {
	t.Helper()
	file := func(name string) string { return filepath.Join(dir, name) }
	authentication, err := json.Marshal(map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
		"jwt": []any{map[string]any{
			"issuer": map[string]any{"url": issuer, "audiences": []string{kubectlClient}, "certificateAuthority": certificate},
			"claimMappings": map[string]any{
				"username": map[string]any{"claim": "sub", "prefix": ""}, "groups": map[string]any{"claim": "groups", "prefix": ""},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file("authentication.yaml"), string(authentication))
	writeFile(t, file("webhook.yaml"), `apiVersion: v1
kind: Config
clusters: [{name: ks, cluster: {server: "`+issuer+`/oauth/authenticate", certificate-authority: "`+file("tls.crt")+`"}}]
users: [{name: ks}]
contexts: [{name: ks, context: {cluster: ks, user: ks}}]
current-context: ks
`)
	k := newCluster(t,
		"--apiserver-arg", "authentication-config="+file("authentication.yaml"),
		"--apiserver-arg", "authentication-token-webhook-config-file="+file("webhook.yaml"),
		"--apiserver-arg", "authentication-token-webhook-version=v1",
		"--apiserver-arg", "authentication-token-webhook-cache-ttl=1s")
	k.start(t)
	administrator, err := clientcmd.BuildConfigFromFlags("", k.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return k, func(t *testing.T, token string) (authenticationv1.UserInfo, error) {
		t.Helper()
		anybody := rest.AnonymousClientConfig(administrator)
		anybody.BearerToken = token
		c, err := clientset.NewForConfig(anybody)
		if err != nil {
			return authenticationv1.UserInfo{}, err
		}
		review, err := c.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			return authenticationv1.UserInfo{}, err
		}
		if strings.HasPrefix(review.Status.UserInfo.Username, "system:") {
			return review.Status.UserInfo, fmt.Errorf("it takes the token for %s", review.Status.UserInfo.Username)
		}
		return review.Status.UserInfo, nil
	}
}
