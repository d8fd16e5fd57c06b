//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestOwnCertificate: a secure port without a certificate gets one, the same for
// all replicas, and kubectl in pods believes it.
func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	var addresses []string
	var one *instance
	for range 2 {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, fmt.Sprintf("https://127.0.0.1:%d", port))
		one = run(t, func(c *config.Config) {
			c.Server.SecurePort = port
			if c.Server.InsecurePort, err = freePort(); err != nil {
				t.Fatal(err)
			}
		})
		if err := one.waitReady(wait.Timeout); err != nil {
			t.Fatal(err)
		}
	}
	secret := &corev1.Secret{}
	if err := kubernetes(t, "").Get(t.Context(), client.ObjectKey{Namespace: "kubesphere-system", Name: "ks-apiserver-certificate"}, secret); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		t.Fatal("there is no authority")
	}
	token := user(t, "certified")
	for _, address := range addresses {
		for name, want := range map[string]bool{"ks-apiserver-secure.kubesphere-system.svc": true, "ks-apiserver.kubesphere-system.svc.cluster.local": true, "127.0.0.1": true, "example.com": false} {
			c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
			response, err := c.Get(address + "/version")
			if err == nil {
				_ = response.Body.Close()
			}
			if (err == nil) != want {
				t.Errorf("%s as %s: %v", address, name, err)
			}
		}
	}
	secure := &instance{url: addresses[1]}
	http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	defer func() { http.DefaultTransport.(*http.Transport).TLSClientConfig = nil }()
	downloaded, err := clientcmd.Load(secure.get(t, kubeconfigs+"/certified/kubeconfig", bearer(token)).body)
	if err != nil || string(downloaded.Clusters["kubesphere"].CertificateAuthorityData) != string(secret.Data["ca.crt"]) {
		t.Errorf("the kubeconfig: %v %+v", err, downloaded)
	}
	s := one.terminal(t, terminalPath+"/users/certified/kubectl", token)
	s.typed("cat $KUBECONFIG; echo that-is-'all'\r")
	s.shows("that-is-all\r\n")
	_, text, _ := strings.Cut(s.shown, "apiVersion:")
	text, _, _ = strings.Cut(text, "that-is-all")
	written, err := clientcmd.Load([]byte("apiVersion:" + strings.ReplaceAll(text, "\r\n", "\n")))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if cluster := written.Clusters["kubesphere"]; cluster.Server != "https://ks-apiserver-secure.kubesphere-system.svc" || string(cluster.CertificateAuthorityData) != string(secret.Data["ca.crt"]) {
		t.Errorf("the kubeconfig in the pod: %+v", cluster)
	}
}
