//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Color Name, type: string, jsonPath: .spec.color}
    - {name: First, type: string, jsonPath: ".spec.parts[?(@.first==true)].name"}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
`

func widget(name string, size int, color, workspace string) string {
	return fmt.Sprintf(`{"apiVersion":"example.org/v1","kind":"Widget","metadata":{"name":%q,"labels":{"kubesphere.io/workspace":%q}},"spec":{"size":%d,"color":%q,"parts":[{"name":"a"},{"name":%q,"first":true}]}}`,
		name, workspace, size, color, "part-of-"+name)
}

// The dynamic API serves the objects of any group, and what its definition
// says of a type is how it is printed, sorted and filtered.
func TestDynamic(t *testing.T) {
	t.Parallel()
	token := shared.login(t).AccessToken
	admin := bearer(token)
	if output, err := kubectl(t, token, widgets, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Cleanup(func() { _, _ = kubectl(t, token, "", "delete", "crd", "widgets.example.org") })
	const path = "/kapis/example.org/v1/widgets"
	send := func(method, path, body string, options ...option) reply {
		return shared.do(t, method, path, strings.NewReader(body), append([]option{admin, header("Content-Type", "application/json")}, options...)...)
	}
	wait.For(t, "the new type to be served", func() error { return expect(shared.get(t, path, admin), 200) })
	for n, color := range []string{"red", "green", "blue"} {
		r := send(http.MethodPost, path, widget("w"+color, n+9, color, "ws"))
		if r.code != http.StatusCreated || decode[object](t, r).Metadata.UID == "" || decode[object](t, r).Metadata.ManagedFields != nil {
			t.Fatalf("%d %s", r.code, r.body)
		}
		// No waiting: what was written is there.
		if r := shared.get(t, path+"/w"+color, admin); r.code != 200 {
			t.Fatalf("read your own write: %d %s", r.code, r.body)
		}
	}
	t.Run("list", func(t *testing.T) {
		r := shared.get(t, path+"?limit=2&sortBy=name&ascending=true", admin)
		var l struct {
			Kind, APIVersion string
			Metadata         struct {
				ResourceVersion    string
				RemainingItemCount *int
			}
			Items []object
		}
		if err := json.Unmarshal(r.body, &l); err != nil || r.code != 200 {
			t.Fatalf("%d %v", r.code, err)
		}
		if l.Kind != "WidgetList" || l.APIVersion != "example.org/v1" || l.Metadata.ResourceVersion == "" || l.Metadata.RemainingItemCount == nil || *l.Metadata.RemainingItemCount != 1 || len(l.Items) != 2 || l.Items[0].Metadata.Name != "wblue" {
			t.Errorf("%s", r.body)
		}
	})
	t.Run("columns", func(t *testing.T) {
		lists := lister(t)
		for query, want := range map[string][]string{
			"?sortBy=-size,name":                            {"/wblue", "/wgreen", "/wred"}, // 11, 10, 9: numbers, not texts
			"?sortBy=size&ascending=true":                   {"/wred", "/wgreen", "/wblue"},
			"?sortBy=colorName&ascending=true":              {"/wblue", "/wgreen", "/wred"},
			"?colorName=green":                              {"/wgreen"},
			"?size=9":                                       {"/wred"},
			"?first=part-of-wred":                           {"/wred"},
			"?q=WRED":                                       {"/wred"},
			"?q=workspace%3Dws&sortBy=-size":                {"/wblue", "/wgreen", "/wred"},
			"?fieldSelector=spec.color!%3Dblue&sortBy=size": {"/wgreen", "/wred"},
		} {
			if got := names(lists("/widgets" + query)); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		r := shared.get(t, path+"?sortBy=name&ascending=true", admin, header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"))
		var table metav1.Table
		if err := json.Unmarshal(r.body, &table); err != nil || len(table.Rows) != 3 || table.Kind != "Table" {
			t.Fatalf("%d %s %v", r.code, r.body, err)
		}
		var titles []string
		for _, column := range table.ColumnDefinitions {
			titles = append(titles, column.Name)
		}
		if !slices.Equal(titles, []string{"Name", "Size", "Color Name", "First", "Age"}) {
			t.Errorf("columns %v", titles)
		}
		if cells := table.Rows[0].Cells; cells[0] != "wblue" || cells[1] != 11.0 || cells[2] != "blue" || cells[3] != "part-of-wblue" {
			t.Errorf("cells %v", cells)
		}
	})
	t.Run("patches", func(t *testing.T) {
		for media, body := range map[string]string{
			"application/merge-patch+json": `{"spec":{"color":"merged"}}`,
			"application/json-patch+json":  `[{"op":"replace","path":"/spec/color","value":"patched"}]`,
			"application/apply-patch+yaml": "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: wred}\nspec: {color: applied}\n",
		} {
			target := path + "/wred"
			if strings.Contains(media, "apply") {
				target += "?fieldManager=test&force=true"
			}
			r := send(http.MethodPatch, target, body, header("Content-Type", media))
			if r.code != 200 || !strings.Contains(string(r.body), `"color":"`) {
				t.Errorf("%s: %d %s", media, r.code, r.body)
			}
		}
		// Kubernetes merges its own types only.
		if r := send(http.MethodPatch, "/kapis/apps/v1/namespaces/kube-system/deployments/nobody", `{}`, header("Content-Type", "application/strategic-merge-patch+json")); r.code != 404 {
			t.Errorf("strategic merge of nothing: %d %s", r.code, r.body)
		}
	})
	t.Run("replace", func(t *testing.T) {
		stale := decode[object](t, shared.get(t, path+"/wred", admin)).Metadata.ResourceVersion
		body := strings.Replace(widget("wred", 1, "replaced", "ws"), `"metadata":{`, `"metadata":{"resourceVersion":"`+stale+`",`, 1)
		if r := send(http.MethodPut, path+"/wred", body); r.code != 200 || !strings.Contains(string(r.body), "replaced") {
			t.Errorf("%d %s", r.code, r.body)
		}
		if r := send(http.MethodPut, path+"/wred", body); r.code != http.StatusConflict {
			t.Errorf("a stale version: %d %s", r.code, r.body)
		}
	})
	t.Run("workspace", func(t *testing.T) {
		const below = "/kapis/example.org/v1/workspaces/other/widgets"
		if r := shared.get(t, below, admin); r.code != 200 || strings.Contains(string(r.body), "wred") {
			t.Errorf("%d %s", r.code, r.body)
		}
		if r := shared.get(t, below+"/wred", admin); r.code != 404 {
			t.Errorf("an object of another workspace: %d", r.code)
		}
		if r := send(http.MethodPost, below, widget("wother", 1, "x", "ws")); r.code != 201 || !strings.Contains(string(r.body), `"kubesphere.io/workspace":"other"`) {
			t.Errorf("it is made in the workspace of the path: %d %s", r.code, r.body)
		}
		move := `{"metadata":{"labels":{"kubesphere.io/workspace":"ws"}}}`
		if r := send(http.MethodPatch, below+"/wother", move, header("Content-Type", "application/merge-patch+json")); r.code != 400 {
			t.Errorf("it cannot leave the workspace: %d %s", r.code, r.body)
		}
		for _, method := range []string{http.MethodPatch, http.MethodDelete} {
			if r := send(method, below+"/wred", `{}`, header("Content-Type", "application/merge-patch+json")); r.code != 404 {
				t.Errorf("%s of an object of another workspace: %d", method, r.code)
			}
		}
		if r := send(http.MethodDelete, below+"/wother", ""); r.code != 200 {
			t.Errorf("%d %s", r.code, r.body)
		}
	})
	t.Run("delete", func(t *testing.T) {
		if r := send(http.MethodDelete, path+"/wblue", ""); r.code != 200 {
			t.Fatalf("%d %s", r.code, r.body)
		}
		if r := shared.get(t, path+"/wblue", admin); r.code != 404 {
			t.Errorf("it is still there: %d", r.code)
		}
	})
	t.Run("what is not served", func(t *testing.T) {
		for path, code := range map[string]int{
			"/kapis/example.org/v2/widgets": 404, "/kapis/nowhere.org/v1/things": 404, "/kapis/example.org/v1/namespaces/default/widgets": 404,
			// Their doors check what Kubernetes does not.
			"/kapis/iam.kubesphere.io/v1alpha2/globalrolebindings/none/none": 404,
		} {
			if r := shared.get(t, path, admin); r.code != code {
				t.Errorf("%s: %d %s", path, r.code, r.body)
			}
		}
	})
	t.Run("as the caller", func(t *testing.T) {
		nobody := bearer(user(t, "dynamic-without-rights"))
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if r := shared.do(t, method, path, strings.NewReader("{}"), nobody, header("Content-Type", "application/json")); r.code != 403 {
				t.Errorf("%s: %d", method, r.code)
			}
		}
	})
}

// What kubectl-like clients ask for: less of each object.
func TestForms(t *testing.T) {
	t.Parallel()
	admin := bearer(shared.login(t).AccessToken)
	r := shared.get(t, viewer+"/pods?limit=2", admin, header("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"))
	var l metav1.PartialObjectMetadataList
	if err := json.Unmarshal(r.body, &l); err != nil || l.Kind != "PartialObjectMetadataList" || len(l.Items) != 2 || l.RemainingItemCount == nil || strings.Contains(string(r.body), `"spec"`) {
		t.Errorf("%s %v", r.body, err)
	}
	if r := shared.get(t, viewer+"/pods?limit=1&fields=metadata.name,spec.containers.image", admin); r.code != 200 || strings.Contains(string(r.body), "namespace") || !strings.Contains(string(r.body), `"containers":[{"image":`) {
		t.Errorf("%d %s", r.code, r.body)
	}
	if r := shared.get(t, viewer+"/pods", admin, header("Accept", "application/json;as=Table;v=v9;g=meta.k8s.io")); r.code != http.StatusNotAcceptable {
		t.Errorf("%d", r.code)
	}
	r = shared.get(t, viewer+"/pods/summary", admin)
	var s struct {
		TotalItems int
		Status     map[string]int
	}
	if err := json.Unmarshal(r.body, &s); err != nil || s.TotalItems < 60 || s.Status["Running"] == 0 {
		t.Errorf("%d %s", r.code, r.body)
	}
	total := 0
	for _, n := range s.Status {
		total += n
	}
	if total != s.TotalItems {
		t.Errorf("the parts are %d of %d", total, s.TotalItems)
	}
	if r := shared.get(t, viewer+"/namespaces/kube-system/services/summary", admin); r.code != 200 {
		t.Errorf("%d %s", r.code, r.body)
	}
}
