//go:build e2e

package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgo "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// streamEnd reads a body or connection until it ends.
func streamEnd(body io.Reader) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, body)
		ended <- err
	}()
	return ended
}

// connectionEnd reads a WebSocket until it ends.
func connectionEnd(ctx context.Context, conn *websocket.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				ended <- err
				return
			}
		}
	}()
	return ended
}

// TestStreamsEndWithThePassword: a watch, an exec and a terminal that began with HTTP
// Basic went on after the password was changed.
func TestStreamsEndWithThePassword(t *testing.T) {
	t.Parallel()
	workspace(t, "cs-password")
	const project = "cs-password-project"
	c, admin := kubernetes(t, ""), shared.as(t, "admin", adminPassword)
	running(t, c, project, "shell")
	for name, end := range map[string]func(t *testing.T, name string){
		"changed": func(t *testing.T, name string) {
			admin.must(t, 200, "PUT", users+"/"+name+"/password", fields{"password": "Another-secret-" + name})
		},
		"directly": func(t *testing.T, name string) {
			patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"password":"Another-secret-`+name+`"}}`))
			if err := c.Patch(t.Context(), &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name}}, patch); err != nil {
				t.Fatal(err)
			}
		},
		"disabled": func(t *testing.T, name string) {
			admin.must(t, 200, "PUT", users+"/"+name, fields{"metadata": fields{"name": name}, "spec": fields{"email": name + "@example.com"}, "status": fields{"state": "Disabled"}})
		},
		"recreated": func(t *testing.T, name string) {
			admin.must(t, 200, "DELETE", users+"/"+name, nil)
			admin.must(t, 200, "POST", users, fields{"metadata": fields{"name": name}, "spec": fields{"email": name + "@example.com", "password": "Another-secret-" + name}})
			create(t, c, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: name + "-again", Namespace: project},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "operator"}, Subjects: []rbacv1.Subject{subjectUser(name)},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			name := "cs-" + name
			token := user(t, name)
			inNamespace(t, name, project, "operator")
			answers(t, "GET", "/api/v1/namespaces/"+project+"/pods", token, 200)
			basic := func(r *http.Request) { r.SetBasicAuth(name, "secret-"+name) }
			streams := map[string]<-chan error{}
			for _, path := range []string{"/api/v1/namespaces/" + project + "/configmaps?watch=true", kapisViewer + "/namespaces/" + project + "/configmaps?watch=true"} {
				response := stream(t, path, basic)
				if response.StatusCode != http.StatusOK {
					t.Fatalf("%s: %s", path, response.Status)
				}
				streams[path] = streamEnd(response.Body)
			}
			for path, protocol := range map[string]string{
				"/api/v1/namespaces/" + project + "/pods/shell/exec?command=cat&stdin=true&stdout=true": "v5.channel.k8s.io",
				terminalPath + "/namespaces/" + project + "/pods/shell/exec":                            "",
			} {
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, shared.url, nil)
				basic(r)
				options := &websocket.DialOptions{HTTPHeader: r.Header}
				if protocol != "" {
					options.Subprotocols = []string{protocol}
				}
				conn, _, err := websocket.Dial(t.Context(), strings.Replace(shared.url, "http", "ws", 1)+path, options)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				t.Cleanup(func() { _ = conn.CloseNow() })
				streams[path] = connectionEnd(t.Context(), conn)
			}
			other := streamEnd(stream(t, "/api/v1/namespaces/"+project+"/configmaps?watch=true", bearer(admin.token)).Body)
			end(t, name)
			endWithin(t, 20*time.Second, streams)
			select {
			case err := <-other:
				t.Errorf("the stream of another user ended: %v", err)
			default:
			}
		})
	}
}

// TestStreamsEndWithTheServiceAccountToken: a watch of a service account went on after the
// Secret its token is bound to was deleted, when Kubernetes accepts it no longer.
func TestStreamsEndWithTheServiceAccountToken(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	meta := metav1.ObjectMeta{Namespace: "default", Name: "cs-robot"}
	create(t, c, &corev1.ServiceAccount{ObjectMeta: meta})
	create(t, c, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "cs-robot"}},
	})
	secret := &corev1.Secret{ObjectMeta: meta}
	create(t, c, secret)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	accounts := clientgo.NewForConfigOrDie(config).CoreV1().ServiceAccounts("default")
	bound, err := accounts.CreateToken(t.Context(), "cs-robot", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: "cs-robot", UID: secret.UID},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answers(t, "GET", "/api/v1/namespaces/default/configmaps", bound.Status.Token, 200)
	streams := map[string]<-chan error{}
	for _, path := range []string{"/api/v1/namespaces/default/configmaps?watch=true", "/api/v1/watch/namespaces/default/pods"} {
		response := stream(t, path, bearer(bound.Status.Token))
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, response.Status)
		}
		streams[path] = streamEnd(response.Body)
	}
	remove(t, c, secret)
	endWithin(t, 30*time.Second, streams)
}

// endWithin fails unless all streams end, in any way, within a time.
func endWithin(t *testing.T, limit time.Duration, streams map[string]<-chan error) {
	t.Helper()
	deadline := time.After(limit)
	for path, ended := range streams {
		select {
		case <-ended: //nolint:errcheck // however it ended
		case <-deadline:
			t.Fatalf("%s continues", path)
		}
	}
}
