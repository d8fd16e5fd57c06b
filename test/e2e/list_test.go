//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

func names(l list) []string {
	var result []string
	for _, item := range l.Items {
		result = append(result, item.Metadata.Namespace+"/"+item.Metadata.Name)
	}
	return result
}

// lister reads lists of the shared server as user admin.
func lister(t *testing.T) func(path string) list { return shared.lister(t) }

func (i *instance) lister(t *testing.T) func(path string) list {
	token := i.login(t).AccessToken
	return func(path string) list {
		t.Helper()
		r := i.get(t, viewer+path, bearer(token))
		if r.code != 200 {
			t.Fatalf("%s: %d %s", path, r.code, r.body)
		}
		return decode[list](t, r)
	}
}

// A write through Kubernetes shows in lists within a second.
func TestListsFollowChanges(t *testing.T) {
	t.Parallel()
	lists := lister(t)
	c := kubernetes(t, "")
	path := "/namespaces/default/configmaps?name=follow-me"
	if got := lists(path); *got.TotalItems != 0 {
		t.Fatalf("already there: %v", names(got))
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "follow-me"}, Data: map[string]string{"a": "1"}}
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	has := func(total int, value string) {
		t.Helper()
		wait.For(t, "the list to follow the change", func() error {
			got := lists(path)
			if *got.TotalItems != total || total > 0 && got.Items[0].Data["a"] != value {
				return fmt.Errorf("got %+v", got)
			}
			return nil
		})
	}
	has(1, "1")
	object.Data["a"] = "2"
	if err := c.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	has(1, "2")
	if err := c.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	has(0, "")
}

// Upstream emptied the list for any parameter it did not know (golden 136).
func TestUnknownParametersAreWarnedAbout(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	got := shared.get(t, viewer+"/nodes?_=123&limit=1&sortBy=nonsense", bearer(token))
	if got.code != 200 || len(decode[list](t, got).Items) != 1 {
		t.Fatalf("got %d %s", got.code, got.body)
	}
	warnings := got.header.Values("Warning")
	if len(warnings) != 2 || !strings.HasPrefix(warnings[0], `299 - "`) || !strings.Contains(warnings[0], "_") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestPretty(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	compact, pretty := shared.get(t, viewer+"/nodes", bearer(token)), shared.get(t, viewer+"/nodes?pretty=true", bearer(token))
	if !strings.Contains(string(pretty.body), "\n  \"items\": [\n") || strings.Count(string(compact.body), "\n") != 1 {
		t.Errorf("pretty: %.100s\ncompact: %.100s", pretty.body, compact.body)
	}
}

const gadgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  names: {kind: Gadget, listKind: GadgetList, plural: gadgets, singular: gadget}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// Every type the cluster can list is served, the moment it is installed, and
// no longer when it is gone.
func TestTypesComeAndGo(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	admin := bearer(token)
	for _, path := range []string{"/leases", "/endpointslices", "/events.events.k8s.io", "/priorityclasses", "/volumesnapshots", "/storageclasses", "/ingresses.networking.k8s.io"} {
		if r := shared.get(t, viewer+path, admin); r.code != 200 {
			t.Errorf("%s: %d %.200s", path, r.code, r.body)
		}
	}
	if r := shared.get(t, viewer+"/gadgets", admin); r.code != 404 {
		t.Errorf("before it is installed: %d", r.code)
	}
	for range 2 { // the second time it is a type that comes back
		if output, err := kubectl(t, token, gadgets, "apply", "-f", "-"); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		gadget := `{"apiVersion":"example.com/v1","kind":"Gadget","metadata":{"name":"one","namespace":"default","labels":{"color":"red"}},"spec":{"size":3}}`
		wait.For(t, "the new type to take an object", func() error {
			if output, err := kubectl(t, token, gadget, "apply", "-f", "-"); err != nil {
				return fmt.Errorf("%w\n%s", err, output)
			}
			return nil
		})
		for _, path := range []string{"/gadgets?labelSelector=color%3Dred", "/gadgets.example.com", "/namespaces/default/gadgets?fieldSelector=spec.size%3D3"} {
			wait.For(t, "the new type to be listed", func() error {
				r := shared.get(t, viewer+path, admin)
				if r.code != 200 || *decode[list](t, r).TotalItems != 1 {
					return fmt.Errorf("%s: %d %.200s", path, r.code, r.body)
				}
				return nil
			})
		}
		if output, err := kubectl(t, token, "", "delete", "crd", "gadgets.example.com"); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		wait.For(t, "the type to be gone", func() error { return expect(shared.get(t, viewer+"/gadgets", admin), 404) })
	}
}

// An unchanged list is not sent again; a changed one is.
func TestNotModified(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	create(t, kubernetes(t, ""), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tagged"}})
	path := viewer + "/namespaces/tagged/services?limit=10"
	first := shared.get(t, path, bearer(token))
	tag := first.header.Get("ETag")
	if first.code != 200 || tag == "" {
		t.Fatalf("got %d %v", first.code, first.header)
	}
	if again := shared.get(t, path, bearer(token), header("If-None-Match", `"other", `+tag)); again.code != 304 || len(again.body) != 0 || again.header.Get("ETag") != tag {
		t.Errorf("unchanged: %d %q %v", again.code, again.body, again.header)
	}
	if output, err := kubectl(t, token, "", "create", "service", "clusterip", "tagged", "--tcp=80", "--namespace", "tagged"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	wait.For(t, "the changed list to be sent", func() error {
		return expect(shared.get(t, path, bearer(token), header("If-None-Match", tag)), 200)
	})
	if r := shared.get(t, path, header("If-None-Match", tag)); r.code != 401 {
		t.Errorf("without a token: %d", r.code)
	}
}
