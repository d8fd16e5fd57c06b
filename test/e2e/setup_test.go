//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// versions returns the resource versions of everything setup makes.
func versions(t *testing.T, c client.Client) map[string]string {
	t.Helper()
	result := make(map[string]string)
	for _, kind := range []string{"apiextensions.k8s.io/v1/CustomResourceDefinition", "iam.kubesphere.io/v1alpha2/GlobalRole", "iam.kubesphere.io/v1alpha2/GlobalRoleBinding", "iam.kubesphere.io/v1alpha2/User", "v1/Secret", "v1/Namespace"} {
		n := strings.LastIndex(kind, "/")
		all := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: kind[:n], Kind: kind[n+1:] + "List"}}
		if err := c.List(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		for _, object := range all.Items {
			result[kind+" "+object.Namespace+"/"+object.Name] = object.ResourceVersion
		}
	}
	return result
}

func TestSecondStartChangesNothing(t *testing.T) {
	t.Parallel()
	first := ownCluster(t)
	c := kubernetes(t, first.kubeconfig)
	// What a person changes stays.
	role := &iamv1alpha2.GlobalRole{}
	change(t, c, role, clientKey("platform-regular"), func(r *iamv1alpha2.GlobalRole) { r.Rules = viewerRule("namespaces") })
	wait.For(t, "the user admin to be reconciled", func() error {
		admin := &iamv1alpha2.User{}
		if err := c.Get(t.Context(), clientKey("admin"), admin); err != nil {
			return err
		}
		if len(admin.Finalizers) == 0 || admin.Status.State != iamv1alpha2.UserActive {
			return fmt.Errorf("finalizers %v, state %q", admin.Finalizers, admin.Status.State)
		}
		return nil
	})
	before := settledVersions(t, c)
	second := run(t, func(c *config.Config) {
		c.Kubernetes.KubeConfig = first.kubeconfig
		c.Authentication.AdminPassword = "another-password"
	})
	if err := second.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	after := settledVersions(t, c)
	for name, version := range before {
		if after[name] != version {
			t.Errorf("%s changed", name)
		}
	}
	for name := range after {
		if before[name] == "" {
			t.Errorf("%s is new", name)
		}
	}
	if r := second.token(t, passwordForm("admin", adminPassword)); r.code != 200 {
		t.Errorf("the password of admin changed: %d %s", r.code, r.body)
	}
}

// settledVersions are the versions of everything setup makes when nothing has
// changed for five seconds: the reconcilers of a first start take a moment.
func settledVersions(t *testing.T, c client.Client) map[string]string {
	t.Helper()
	last, since := versions(t, c), time.Now()
	wait.For(t, "nothing to change for five seconds", func() error {
		if now := versions(t, c); !maps.Equal(now, last) {
			last, since = now, time.Now()
		}
		if quiet := time.Since(since); quiet < 5*time.Second {
			return fmt.Errorf("something changed %s ago", quiet)
		}
		return nil
	})
	return last
}

// The server listens before Kubernetes is there and while it is down, says why
// it is not ready, and recovers by itself (ks#4482).
func TestKubernetesComesAndGoes(t *testing.T) {
	t.Parallel()
	k := newCluster(t)
	k.start(t) // once, for a kubeconfig with an address that will not change
	kubeconfig, err := os.ReadFile(k.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(k.dir, "copy")
	if err := os.WriteFile(copied, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	k.kill()

	server := run(t, func(c *config.Config) {
		c.Kubernetes.KubeConfig = asAdministrator(copied)
		c.Objects.SyncTimeout = metav1.Duration{Duration: time.Second}
	})
	wait.For(t, "/readyz to say that Kubernetes is away", func() error {
		r := server.get(t, "/readyz")
		if r.code != 503 || !strings.Contains(string(r.body), "[-]kubernetes failed: ") || !strings.Contains(string(r.body), "refused") {
			return fmt.Errorf("readyz: %d %s", r.code, r.body)
		}
		return nil
	})
	if r := server.get(t, "/livez"); r.code != 200 {
		t.Errorf("livez: %d", r.code)
	}
	if r := server.token(t, passwordForm("admin", adminPassword)); r.code != 503 || decode[tokens](t, r).Error != "temporarily_unavailable" || r.header.Get("Retry-After") == "" {
		t.Errorf("login without Kubernetes: %d %s", r.code, r.body)
	}
	if r := server.get(t, "/version"); r.code != 200 || strings.Contains(string(r.body), "kubernetes") {
		t.Errorf("version without Kubernetes: %d %s", r.code, r.body)
	}

	k.start(t)
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	login := server.login(t)
	path := viewer + "/nodes"
	if r := server.get(t, path, bearer(login.AccessToken)); r.code != 200 || r.header.Get("Warning") != "" {
		t.Fatalf("nodes: %d %v %s", r.code, r.header, r.body)
	}

	k.kill() // not gently
	wait.For(t, "cached reads while Kubernetes is away", func() error {
		r := server.get(t, "/readyz")
		if r.code != 503 {
			return fmt.Errorf("still ready")
		}
		r = server.get(t, path, bearer(login.AccessToken))
		if r.code != 200 || !strings.Contains(r.header.Get("Warning"), "out of date") {
			return fmt.Errorf("reading from memory: %d %v %.200s", r.code, r.header, r.body)
		}
		return nil
	})
	if r := server.token(t, passwordForm("admin", adminPassword)); r.code != 503 {
		t.Errorf("login without Kubernetes: %d %s", r.code, r.body)
	}

	k.start(t)
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "reads without a warning", func() error {
		r := server.get(t, path, bearer(login.AccessToken))
		if r.code != 200 || r.header.Get("Warning") != "" {
			return fmt.Errorf("after the restart: %d %v", r.code, r.header)
		}
		return nil
	})
	server.login(t)
}

// A password nobody configured is generated, kept in a Secret, and works.
func TestGeneratedAdminPassword(t *testing.T) {
	t.Parallel()
	k := newCluster(t)
	k.start(t)
	server := run(t, func(c *config.Config) {
		c.Kubernetes.KubeConfig = k.kubeconfig
		c.Authentication.AdminPassword = ""
	})
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	if r := server.token(t, passwordForm("admin", adminPassword)); r.code != 400 {
		t.Errorf("the well-known password is accepted: %d", r.code)
	}
	secret := &corev1.Secret{}
	if err := kubernetes(t, k.kubeconfig).Get(t.Context(), client.ObjectKey{Namespace: "kubesphere-system", Name: "ks-admin-password"}, secret); err != nil {
		t.Fatal(err)
	}
	if r := server.token(t, passwordForm("admin", string(secret.Data["password"]))); r.code != 200 {
		t.Errorf("the generated password: %d %s", r.code, r.body)
	}
}

// On a cluster that has KubeSphere 3.x, its definitions, users and roles are
// used as they are.
func TestExistingKubeSphere(t *testing.T) {
	t.Parallel()
	k := newCluster(t)
	k.start(t)
	k.installKubeSphere(t)
	c := kubernetes(t, k.kubeconfig)
	existing := func() map[string]string {
		result := make(map[string]string)
		for name, kind := range map[string]string{"users.iam.kubesphere.io": "CustomResourceDefinition", "globalroles.iam.kubesphere.io": "CustomResourceDefinition"} {
			object := &unstructured.Unstructured{}
			object.SetAPIVersion("apiextensions.k8s.io/v1")
			object.SetKind(kind)
			if err := c.Get(context.Background(), clientKey(name), object); err != nil {
				t.Fatal(err)
			}
			result[name] = fmt.Sprint(object.GetGeneration())
		}
		for name, object := range map[string]client.Object{
			"admin": &iamv1alpha2.User{}, "zhang": &iamv1alpha2.User{}, "platform-admin": &iamv1alpha2.GlobalRole{}, "authenticated": &iamv1alpha2.GlobalRole{},
		} {
			if err := c.Get(context.Background(), clientKey(name), object); err != nil {
				t.Fatal(err)
			}
			result[fmt.Sprintf("%T %s", object, name)] = object.GetResourceVersion()
		}
		return result
	}
	before := existing()
	server := run(t, func(c *config.Config) { c.Kubernetes.KubeConfig = k.kubeconfig })
	if err := server.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	after := existing()
	for name, version := range before {
		if after[name] != version {
			t.Errorf("%s changed", name)
		}
	}
	// The hashes are KubeSphere's: bcrypt of the passwords in the fixture.
	admin := decode[tokens](t, server.token(t, passwordForm("admin", "P@88w0rd-3.4")))
	if r := server.get(t, viewer+"/users", bearer(admin.AccessToken)); r.code != 200 || *decode[list](t, r).TotalItems != 3 {
		t.Errorf("users: %d %s", r.code, r.body)
	}
	if r := server.token(t, passwordForm("zhang", "Zhang-3.4")); r.code != 200 {
		t.Errorf("zhang: %d %s", r.code, r.body)
	} else if r := server.get(t, viewer+"/nodes", bearer(decode[tokens](t, r).AccessToken)); r.code != 200 {
		t.Errorf("what the existing role authenticated allows: %d %s", r.code, r.body)
	}
	if r := server.token(t, passwordForm("li", "Li-3.4")); r.code != 400 {
		t.Errorf("a disabled user logs in: %d", r.code)
	}
}
