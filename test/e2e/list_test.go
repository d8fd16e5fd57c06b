//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func names(l list) []string {
	var result []string
	for _, item := range l.Items {
		result = append(result, item.Metadata.Namespace+"/"+item.Metadata.Name)
	}
	return result
}

// lister reads lists as user admin.
func lister(t *testing.T) func(path string) list {
	token := shared.login(t).AccessToken
	return func(path string) list {
		t.Helper()
		r := shared.get(t, viewer+path, bearer(token))
		if r.code != 200 {
			t.Fatalf("%s: %d %s", path, r.code, r.body)
		}
		return decode[list](t, r)
	}
}

// Each type has the objects Kubernetes has, with kind and apiVersion, without
// managed fields.
func TestListsAreComplete(t *testing.T) {
	lists := lister(t)
	c := kubernetes(t, "")
	for resource, gvk := range map[string][2]string{
		"nodes": {"v1", "Node"}, "namespaces": {"v1", "Namespace"}, "pods": {"v1", "Pod"}, "services": {"v1", "Service"},
		"configmaps": {"v1", "ConfigMap"}, "secrets": {"v1", "Secret"}, "deployments": {"apps/v1", "Deployment"},
		"users": {"iam.kubesphere.io/v1alpha2", "User"}, "globalroles": {"iam.kubesphere.io/v1alpha2", "GlobalRole"},
	} {
		eventually(t, 10*time.Second, func() error {
			direct := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: gvk[0], Kind: gvk[1] + "List"}}
			if err := c.List(t.Context(), direct); err != nil {
				return err
			}
			var want []string
			for _, object := range direct.Items {
				want = append(want, object.Namespace+"/"+object.Name)
			}
			slices.Sort(want)
			full := lists("/" + resource)
			got := names(full)
			slices.Sort(got)
			if !slices.Equal(got, want) || *full.TotalItems != len(want) || len(want) == 0 {
				return fmt.Errorf("%s: got %d %v\nwant %d %v", resource, *full.TotalItems, got, len(want), want)
			}
			for _, item := range full.Items {
				if item.Kind != gvk[1] || item.APIVersion != gvk[0] || item.Metadata.ManagedFields != nil || item.Metadata.UID == "" {
					return fmt.Errorf("%s: %+v", resource, item)
				}
			}
			return nil
		})
	}
}

// Upstream's pages lost and repeated objects with equal sort keys.
func TestPagesAddUp(t *testing.T) {
	lists := lister(t)
	for _, order := range []string{"", "&sortBy=name", "&sortBy=name&ascending=true", "&sortBy=createTime&ascending=true", "&sortBy=startTime", "&sortBy=status", "&labelSelector=app"} {
		full := lists("/pods?limit=-1" + order)
		var pages []string
		for page := 1; len(pages) < *full.TotalItems; page++ {
			part := lists(fmt.Sprintf("/pods?limit=7&page=%d%s", page, order))
			if len(part.Items) == 0 || *part.TotalItems != *full.TotalItems {
				t.Fatalf("%s page %d: %d of %d objects", order, page, len(part.Items), *part.TotalItems)
			}
			pages = append(pages, names(part)...)
		}
		if !slices.Equal(pages, names(full)) {
			t.Errorf("%s: the pages are not the list", order)
		}
	}
	if beyond := lists("/pods?limit=10&page=1000"); len(beyond.Items) != 0 || beyond.Items == nil || *beyond.TotalItems == 0 {
		t.Errorf("beyond the end: %+v", beyond)
	}
	if total := lists("/pods?limit=0"); len(total.Items) != 0 || *total.TotalItems == 0 {
		t.Errorf("limit=0: %+v", total)
	}
}

func TestOrder(t *testing.T) {
	lists := lister(t)
	ascending := names(lists("/pods?sortBy=name&ascending=true"))
	byName := func(a, b string) int {
		return strings.Compare(a[strings.Index(a, "/")+1:], b[strings.Index(b, "/")+1:])
	}
	if !slices.IsSortedFunc(ascending, byName) {
		t.Errorf("not sorted by name: %v", ascending)
	}
	descending := names(lists("/pods?sortBy=name"))
	slices.Reverse(descending)
	if !slices.Equal(ascending, descending) {
		t.Error("descending is not the reverse of ascending")
	}
	newest := lists("/pods")
	if !slices.IsSortedFunc(newest.Items, func(a, b object) int {
		return strings.Compare(b.Metadata.CreationTimestamp, a.Metadata.CreationTimestamp)
	}) {
		t.Error("the newest are not first")
	}
}

// Selectors mean what they mean to kube-apiserver.
func TestSelectors(t *testing.T) {
	lists := lister(t)
	c := kubernetes(t, "")
	for _, selector := range []string{"app", "!app", "app=web", "app in (web,api)", "app notin (web)", "app!=web,app", ""} {
		parsed, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		direct := &corev1.PodList{}
		if err := c.List(t.Context(), direct, client.MatchingLabelsSelector{Selector: parsed}); err != nil {
			t.Fatal(err)
		}
		if got := lists("/pods?limit=0&labelSelector=" + url.QueryEscape(selector)); *got.TotalItems != len(direct.Items) {
			t.Errorf("%q: %d objects, kube-apiserver has %d", selector, *got.TotalItems, len(direct.Items))
		}
	}
	nodes := lists("/nodes")
	// What the console sends (console.md §0).
	for _, selector := range []string{",!node-role.kubernetes.io/edge", "node-role.kubernetes.io/worker|node-role.kubernetes.io/control-plane"} {
		if got := lists("/nodes?labelSelector=" + url.QueryEscape(selector)); *got.TotalItems != *nodes.TotalItems {
			t.Errorf("%q: %d of %d nodes", selector, *got.TotalItems, *nodes.TotalItems)
		}
	}
	name := nodes.Items[0].Metadata.Name
	if got := lists("/nodes?name=" + name); *got.TotalItems != 1 || got.Items[0].Metadata.Name != name {
		t.Errorf("name=%s: %v", name, names(got))
	}
	if got := lists("/pods?fieldSelector=" + url.QueryEscape("spec.nodeName="+name)); *got.TotalItems == 0 || *got.TotalItems != *lists("/pods?nodeName=" + name).TotalItems {
		t.Errorf("fieldSelector: %d pods", *got.TotalItems)
	}
}

// A write through Kubernetes shows in lists within a second.
func TestListsFollowChanges(t *testing.T) {
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
		eventually(t, time.Second, func() error {
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
		eventually(t, 10*time.Second, func() error {
			if output, err := kubectl(t, token, gadget, "apply", "-f", "-"); err != nil {
				return fmt.Errorf("%w\n%s", err, output)
			}
			return nil
		})
		for _, path := range []string{"/gadgets?labelSelector=color%3Dred", "/gadgets.example.com", "/namespaces/default/gadgets?fieldSelector=spec.size%3D3"} {
			eventually(t, 5*time.Second, func() error {
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
		eventually(t, 15*time.Second, func() error { return expect(shared.get(t, viewer+"/gadgets", admin), 404) })
	}
}

// An unchanged list is not sent again; a changed one is.
func TestNotModified(t *testing.T) {
	token := shared.login(t).AccessToken
	path := viewer + "/namespaces/default/services?limit=10"
	first := shared.get(t, path, bearer(token))
	tag := first.header.Get("ETag")
	if first.code != 200 || tag == "" {
		t.Fatalf("got %d %v", first.code, first.header)
	}
	if again := shared.get(t, path, bearer(token), header("If-None-Match", `"other", `+tag)); again.code != 304 || len(again.body) != 0 || again.header.Get("ETag") != tag {
		t.Errorf("unchanged: %d %q %v", again.code, again.body, again.header)
	}
	if output, err := kubectl(t, token, "", "create", "service", "clusterip", "tagged", "--tcp=80"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	eventually(t, time.Second, func() error {
		return expect(shared.get(t, path, bearer(token), header("If-None-Match", tag)), 200)
	})
	if r := shared.get(t, path, header("If-None-Match", tag)); r.code != 401 {
		t.Errorf("without a token: %d", r.code)
	}
}

// Nodes show what their pods ask for, as kubectl adds it up.
func TestNodeAnnotations(t *testing.T) {
	c := kubernetes(t, "")
	token := shared.login(t).AccessToken
	eventually(t, 20*time.Second, func() error {
		pods := &corev1.PodList{}
		if err := c.List(t.Context(), pods); err != nil {
			return err
		}
		want := make(map[string]*resource.Quantity)
		for n := range pods.Items {
			pod := &pods.Items[n]
			if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
				continue
			}
			if want[pod.Spec.NodeName] == nil {
				want[pod.Spec.NodeName] = &resource.Quantity{}
			}
			for _, container := range pod.Spec.Containers {
				want[pod.Spec.NodeName].Add(*container.Resources.Requests.Cpu())
			}
		}
		type node struct {
			Metadata struct {
				Name        string
				Annotations map[string]string
			}
		}
		nodes := decode[struct{ Items []node }](t, shared.get(t, viewer+"/nodes", bearer(token)))
		positive := 0
		for _, n := range nodes.Items {
			got, err := resource.ParseQuantity(n.Metadata.Annotations["node.kubesphere.io/cpu-requests"])
			if err != nil {
				return fmt.Errorf("%s: %w", n.Metadata.Name, err)
			}
			if sum := want[n.Metadata.Name]; sum != nil && got.Cmp(*sum) != 0 || sum == nil && !got.IsZero() {
				return fmt.Errorf("%s: requests %s, counted %s", n.Metadata.Name, &got, sum)
			}
			if got.Sign() > 0 && strings.HasSuffix(n.Metadata.Annotations["node.kubesphere.io/cpu-requests-fraction"], "%") {
				positive++
			}
			single := decode[node](t, shared.get(t, viewer+"/nodes/"+n.Metadata.Name, bearer(token)))
			if single.Metadata.Annotations["node.kubesphere.io/cpu-requests"] != n.Metadata.Annotations["node.kubesphere.io/cpu-requests"] {
				return fmt.Errorf("%s: the object says %v", n.Metadata.Name, single.Metadata.Annotations)
			}
		}
		if positive == 0 {
			return fmt.Errorf("no node has requests")
		}
		return nil
	})
}

// A large list is compressed for who accepts that, and is the same.
func TestCompression(t *testing.T) {
	token := shared.login(t).AccessToken
	for path, large := range map[string]bool{viewer + "/pods?sortBy=name": true, viewer + "/pods?limit=1&sortBy=name": false} {
		plain := shared.get(t, path, bearer(token), header("Accept-Encoding", "gzip;q=0, identity"))
		got := shared.get(t, path, bearer(token), header("Accept-Encoding", "deflate, gzip"))
		if compressed := got.header.Get("Content-Encoding") == "gzip"; compressed != large || plain.header.Get("Content-Encoding") != "" {
			t.Fatalf("%s: %d bytes, %v", path, len(plain.body), got.header)
		}
		if !large {
			continue
		}
		reader, err := gzip.NewReader(bytes.NewReader(got.body))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := io.ReadAll(reader)
		if err != nil || len(unpacked) < len(plain.body)*9/10 || len(got.body)*2 > len(plain.body) {
			t.Errorf("%v: %d bytes plain, %d compressed, %d unpacked", err, len(plain.body), len(got.body), len(unpacked))
		}
		if _, err := json.Marshal(json.RawMessage(unpacked)); err != nil {
			t.Error(err)
		}
	}
}
