//go:build e2e

package e2e

import (
	"io"
	"log"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestRegistry: a real registry is asked for who may use the secret, and what
// belongs to the cluster or this host is not.
func TestRegistry(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "https://")
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(host + "/team/app:one")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, image, remote.WithTransport(server.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	workspace(t, "images")
	c := kubernetes(t, "")
	create(t, c, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "images-project", Name: "pull", Annotations: map[string]string{"secret.kubesphere.io/force-insecure": "true"}},
		Type:       corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"` + host + `":{"username":"u","password":"p"}}}`)},
	})
	member, other := user(t, "images-member"), user(t, "images-other")
	inNamespace(t, "images-member", "images-project", "operator")
	i := run(t, func(c *config.Config) { c.Egress.Allow = []string{"127.0.0.1"} })
	if err := i.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	project := "/kapis/resources.kubesphere.io/v1alpha3/namespaces/images-project"
	configOf := project + "/imageconfig?secret=pull&image=" + url.QueryEscape(host+"/team/app:one")
	wait.For(t, "the image to be readable", func() error { return expect(i.get(t, configOf, bearer(member)), 200) })
	if got := decode[struct{ Rootfs struct{ Type string } }](t, i.get(t, configOf, bearer(member))); got.Rootfs.Type != "layers" {
		t.Errorf("configuration %+v", got)
	}
	if got := decode[struct {
		Tags  []string
		Total int
	}](t, i.get(t, project+"/repositorytags?secret=pull&repository="+url.QueryEscape(host+"/team/app"), bearer(member))); got.Total != 1 || got.Tags[0] != "one" {
		t.Errorf("tags %+v", got)
	}
	if r := i.send(t, "POST", project+"/registrysecrets/pull/verify", member, ""); r.code != 200 {
		t.Errorf("verify: %d %s", r.code, r.body)
	}
	if r := i.get(t, configOf, bearer(other)); r.code != 403 {
		t.Errorf("another's secret: %d", r.code)
	}

	// The other server is not allowed to call this host.
	insecure := "/kapis/resources.kubesphere.io/v1alpha2/registry/blob?insecure=true&image="
	answers(t, "GET", insecure+url.QueryEscape(host+"/team/app:one"), other, 403)
	kubernetesService := &corev1.Service{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "kubernetes"}, kubernetesService); err != nil {
		t.Fatal(err)
	}
	pods := &corev1.PodList{}
	if err := c.List(t.Context(), pods); err != nil {
		t.Fatal(err)
	}
	addresses := []string{kubernetesService.Spec.ClusterIP + ":443", "localhost", "169.254.169.254"}
	for n := range pods.Items {
		if ip := pods.Items[n].Status.PodIP; ip != "" && !pods.Items[n].Spec.HostNetwork {
			addresses = append(addresses, ip)
			break
		}
	}
	if len(addresses) != 4 {
		t.Fatal("no pod has an address")
	}
	for _, address := range addresses {
		for _, i := range []*instance{shared, i} {
			if address == "localhost" && i != shared {
				continue
			}
			if r := i.get(t, insecure+url.QueryEscape(address+"/a:b"), bearer(other)); r.code != 403 || !strings.Contains(string(r.body), "egress.allow") {
				t.Errorf("%s: %d %s", address, r.code, r.body)
			}
			if r := i.send(t, "POST", "/kapis/resources.kubesphere.io/v1alpha2/git/verify", other, `{"remoteUrl":"https://`+address+`/x.git"}`); r.code != 403 {
				t.Errorf("git at %s: %d %s", address, r.code, r.body)
			}
		}
	}
	if r := shared.get(t, insecure+"localhost/a:b"); r.code != 401 {
		t.Errorf("nobody: %d", r.code)
	}
}
