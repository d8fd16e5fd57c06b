//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestWholeCluster has a cluster of its own for the tests that compare or count
// everything on it, which what other tests make and delete would change meanwhile.
// All but the last only read.
func TestWholeCluster(t *testing.T) {
	t.Parallel()
	const pods = 60
	i := ownCluster(t, "--nodes", "3", "--pods", fmt.Sprint(pods))
	c := kubernetes(t, i.kubeconfig)
	wait.ForUpTo(t, 3*time.Minute, "the pods of the seed to run", func() error {
		all, settled := &corev1.PodList{}, 0
		if err := c.List(t.Context(), all); err != nil {
			return err
		}
		for n := range all.Items {
			if phase := all.Items[n].Status.Phase; phase == corev1.PodRunning || phase == corev1.PodSucceeded {
				settled++
			}
		}
		if settled != pods || len(all.Items) != pods {
			return fmt.Errorf("%d of %d pods run", settled, len(all.Items))
		}
		return nil
	})
	for _, test := range []struct {
		name string
		run  func(t *testing.T, i *instance)
	}{
		{"lists are complete", testListsAreComplete},
		{"pages add up", testPagesAddUp},
		{"order", testOrder},
		{"selectors", testSelectors},
		{"annotations of nodes", testNodeAnnotations},
		{"compression", testCompression},
		{"legacy lists", testLegacyLists},
		{"statistics of the platform", testPlatformStatistics},
		{"components", testComponents},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, i) })
	}
}

// Each type has the objects Kubernetes has, with kind and apiVersion, without
// managed fields.
func testListsAreComplete(t *testing.T, i *instance) {
	lists := i.lister(t)
	c := kubernetes(t, i.kubeconfig)
	for resource, gvk := range map[string][2]string{
		"nodes": {"v1", "Node"}, "namespaces": {"v1", "Namespace"}, "pods": {"v1", "Pod"}, "services": {"v1", "Service"},
		"configmaps": {"v1", "ConfigMap"}, "secrets": {"v1", "Secret"}, "deployments": {"apps/v1", "Deployment"},
		"users": {"iam.kubesphere.io/v1alpha2", "User"}, "globalroles": {"iam.kubesphere.io/v1alpha2", "GlobalRole"},
	} {
		wait.For(t, "the list to be complete", func() error {
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
func testPagesAddUp(t *testing.T, i *instance) {
	lists := i.lister(t)
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

func testOrder(t *testing.T, i *instance) {
	lists := i.lister(t)
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
func testSelectors(t *testing.T, i *instance) {
	lists := i.lister(t)
	c := kubernetes(t, i.kubeconfig)
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

// Nodes show what their pods ask for, as kubectl adds it up.
func testNodeAnnotations(t *testing.T, i *instance) {
	c := kubernetes(t, i.kubeconfig)
	token := i.login(t).AccessToken
	wait.For(t, "the annotations of the nodes", func() error {
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
		nodes := decode[struct{ Items []node }](t, i.get(t, viewer+"/nodes", bearer(token)))
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
			single := decode[node](t, i.get(t, viewer+"/nodes/"+n.Metadata.Name, bearer(token)))
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
func testCompression(t *testing.T, i *instance) {
	token := i.login(t).AccessToken
	for path, large := range map[string]bool{viewer + "/pods?sortBy=name": true, viewer + "/pods?limit=1&sortBy=name": false} {
		plain := i.get(t, path, bearer(token), header("Accept-Encoding", "gzip;q=0, identity"))
		got := i.get(t, path, bearer(token), header("Accept-Encoding", "deflate, gzip"))
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

// testPlatformStatistics: the numbers of the platform are those of the lists.
func testPlatformStatistics(t *testing.T, i *instance) {
	admin := i.as(t, "admin", adminPassword)
	platform := statistics(t, admin, "/kubesphere")
	users := decode[list](t, admin.must(t, 200, http.MethodGet, viewer+"/users?limit=0", nil))
	workspaces := decode[list](t, admin.must(t, 200, http.MethodGet, viewer+"/workspaces?limit=0", nil))
	if platform["kubesphere_cluser_count"] != 1 || platform["kubesphere_user_count"] != *users.TotalItems || platform["kubesphere_workspace_count"] != *workspaces.TotalItems || len(platform) != 4 {
		t.Errorf("the platform %v, %d users, %d workspaces", platform, *users.TotalItems, *workspaces.TotalItems)
	}
}

// testLegacyLists: the lists of version v1alpha2 are those of v1alpha3.
func testLegacyLists(t *testing.T, i *instance) {
	admin := i.as(t, "admin", adminPassword)
	got := decode[struct {
		Items []object
		Total int `json:"total_count"`
	}](t, admin.must(t, 200, http.MethodGet, older+"/nodes?conditions=name~node&paging=limit=2,page=1&orderBy=name", nil))
	if got.Total != 3 || len(got.Items) != 2 || got.Items[0].Metadata.Name != "node-0" || got.Items[0].Kind != "Node" {
		t.Errorf("got %+v", got)
	}
}

// testComponents: the health of a service of the system is that of its pods.
func testComponents(t *testing.T, i *instance) {
	c := kubernetes(t, i.kubeconfig)
	create(t, c, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "component"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "component"}, Ports: []corev1.ServicePort{{Port: 80}}},
	})
	template := podTemplate("component")
	create(t, c, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "component"},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	})
	type component struct {
		Name, Namespace                string
		Label                          map[string]string
		StartedAt                      time.Time
		TotalBackends, HealthyBackends int
	}
	admin := i.as(t, "admin", adminPassword)
	for _, base := range []string{older, viewer} {
		wait.For(t, "the component to be healthy", func() error {
			r := admin.call(t, http.MethodGet, base+"/components/component", nil)
			if r.code != 200 {
				return fmt.Errorf("%d %s", r.code, r.body)
			}
			if got := decode[component](t, r); got.Namespace != "kube-system" || got.TotalBackends != 2 || got.HealthyBackends != 2 || got.Label["app"] != "component" || got.StartedAt.IsZero() {
				return fmt.Errorf("got %+v", got)
			}
			return nil
		})
		all := decode[[]component](t, admin.must(t, 200, http.MethodGet, base+"/components", nil))
		if !slices.ContainsFunc(all, func(c component) bool { return c.Name == "component" }) {
			t.Errorf("%s lists %+v", base, all)
		}
		health := decode[struct {
			KubesphereStatus []component
			NodeStatus       struct{ TotalNodes, HealthyNodes int }
		}](t, admin.must(t, 200, http.MethodGet, base+"/componenthealth", nil))
		if len(health.KubesphereStatus) != len(all) || health.NodeStatus.TotalNodes != 3 || health.NodeStatus.HealthyNodes != 3 {
			t.Errorf("health %+v", health)
		}
		admin.must(t, 404, http.MethodGet, base+"/components/none", nil)
	}
}
