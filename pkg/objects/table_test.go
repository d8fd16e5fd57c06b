package objects

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// What kubectl prints of the same objects.
func TestTables(t *testing.T) {
	catalog := NewCatalog()
	for _, test := range []struct {
		resource, object string
		cells            string
	}{
		{"pods", `{"metadata":{"name":"a","creationTimestamp":"2026-11-23T11:00:00Z"},"spec":{"nodeName":"n1","containers":[{"name":"x"},{"name":"y"}]},"status":{"phase":"Running","podIP":"10.0.0.1","containerStatuses":[{"ready":true,"restartCount":2,"state":{"running":{}}},{"ready":false,"restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}`,
			"[a 1/2 CrashLoopBackOff 3 60m 10.0.0.1 n1]"},
		{"pods", `{"metadata":{"name":"b"},"spec":{},"status":{}}`, "[b 0/0 <none> 0 <unknown> <none> <none>]"},
		{"nodes", `{"metadata":{"name":"n","labels":{"node-role.kubernetes.io/worker":"","node-role.kubernetes.io/control-plane":""}},"spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],"nodeInfo":{"kubeletVersion":"v1.37.2"},"addresses":[{"type":"Hostname","address":"h"},{"type":"InternalIP","address":"1.2.3.4"}]}}`,
			"[n Ready,SchedulingDisabled control-plane,worker <unknown> v1.37.2 1.2.3.4 <none> <none> <none>]"},
		{"services", `{"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","clusterIP":"10.1.1.1","ports":[{"port":80,"nodePort":30080,"protocol":"TCP"},{"port":53,"protocol":"UDP"}],"selector":{"b":"2","a":"1"}}}`,
			"[s LoadBalancer 10.1.1.1 <pending> 80:30080/TCP,53/UDP <unknown> a=1,b=2]"},
		{"services", `{"metadata":{"name":"s"},"spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":[{"ip":"9.9.9.9"},{"hostname":"h"}]}}}`, "[s LoadBalancer <none> 9.9.9.9,h <none> <unknown> <none>]"},
		{"deployments", `{"metadata":{"name":"d"},"spec":{"replicas":3,"template":{"spec":{"containers":[{"image":"i:1"},{"image":"j:2"}]}}},"status":{"readyReplicas":2,"updatedReplicas":3,"availableReplicas":2}}`, "[d 2/3 3 2 <unknown> i:1,j:2]"},
		{"secrets", `{"metadata":{"name":"s"},"type":"Opaque","data":{"a":"","b":""}}`, "[s Opaque 2 <unknown>]"},
		{"jobs", `{"metadata":{"name":"j"},"spec":{"completions":2},"status":{"succeeded":1,"startTime":"2026-11-23T11:59:00Z"}}`, "[j Running 1/2 60s <unknown>]"},
		{"cronjobs", `{"metadata":{"name":"c"},"spec":{"schedule":"* * * * *"},"status":{"lastScheduleTime":"2026-11-23T11:59:30Z","active":[{}]}}`, "[c * * * * * <none> False 1 30s <unknown>]"},
		{"persistentvolumeclaims", `{"metadata":{"name":"p"},"spec":{"volumeName":"v","storageClassName":"fast"},"status":{"phase":"Bound","capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce","ReadOnlyMany"]}}`, "[p Bound v 1Gi RWO,ROX fast <unknown>]"},
		{"rolebindings", `{"metadata":{"name":"r"},"roleRef":{"kind":"Role","name":"x"}}`, "[r Role/x <unknown>]"},
		{"replicasets", `{"metadata":{"name":"r"}}`, "[r 0 0 0 <unknown>]"},
	} {
		kind := catalog.Type(test.resource)
		table := kind.Table([]*Item{item(kind, test.object)}, "", true, noon)
		if got := fmt.Sprint(table.Rows[0].Cells); got != test.cells {
			t.Errorf("%s: %s, want %s", test.resource, got, test.cells)
		}
		if len(table.Rows[0].Cells) != len(table.ColumnDefinitions) {
			t.Errorf("%s: %d cells, %d columns", test.resource, len(table.Rows[0].Cells), len(table.ColumnDefinitions))
		}
	}
	secrets := catalog.Type("secrets")
	secret := item(secrets, `{"metadata":{"name":"s"},"data":{"a":"aGlkZGVu"}}`)
	for include, want := range map[metav1.IncludeObjectPolicy]string{
		"": `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"s"}}`, metav1.IncludeNone: "",
		metav1.IncludeObject: `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"},"data":{"a":""}}`,
	} {
		if got := string(secrets.Table([]*Item{secret}, include, false, noon).Rows[0].Object.Raw); got != want {
			t.Errorf("%q: %s", include, got)
		}
	}
}

func TestPrinter(t *testing.T) {
	object := gjson.Parse(`{"metadata":{"name":"o","annotations":{"example.com/a.b":"x"},"creationTimestamp":"2026-11-23T11:00:00Z"},"spec":{"n":7,"f":-2.5,"b":true,"list":[{"k":"a","v":1},{"k":"b","v":2}],"odd-name":"y"}}`)
	for path, want := range map[string]string{
		".spec.n": "7", ".spec.odd-name": "y", `.metadata.annotations.example\.com/a\.b`: "x",
		`.spec.list[?(@.k=="b")].v`: "2", ".spec.list[*].v": "1 2", ".spec.list[0].k": "a", ".spec.missing": "", ".spec.missing[0].x": "",
	} {
		p := newPrinter(path)
		if p == nil {
			t.Errorf("%s: not understood", path)
			continue
		}
		if got := p.value(object).String(); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if newPrinter(".spec[") != nil {
		t.Error("what is no path prints nothing")
	}
	kind := (&Type{Kind: "Thing"}).withColumns([]apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "N", Type: "integer", JSONPath: ".spec.n"}, {Name: "F", Type: "number", JSONPath: ".spec.f"}, {Name: "B", Type: "boolean", JSONPath: ".spec.b"},
		{Name: "Wrong", Type: "integer", JSONPath: ".spec.b"}, {Name: "Since", Type: "date", JSONPath: ".metadata.creationTimestamp", Priority: 1}, {Name: "Name", Type: "string", JSONPath: ".metadata.name"},
	})
	table := kind.Table([]*Item{item(kind, object.Raw)}, metav1.IncludeNone, true, noon)
	if got := fmt.Sprint(table.Rows[0].Cells); got != "[o 7 -2.5 true <nil> 60m o]" || table.ColumnDefinitions[5].Priority != 1 {
		t.Errorf("%s", got)
	}
	if kind.column("name") >= 0 || !kind.Sorts("since") || kind.Filters("since") || !kind.Filters("n") {
		t.Errorf("columns %v", kind.FilterNames())
	}
}

// TestPathsThatCostTooMuch: a column of a few recursive descents took 13 s and 2 GB for an
// object of 1 KB.
func TestPathsThatCostTooMuch(t *testing.T) {
	for _, test := range []struct {
		path string
		want bool
	}{
		{`.status.conditions[?(@.type=="Ready")].status`, true}, {".spec.rules[*].host", true}, {".status.addresses[0].value", true},
		{".spec.items[0:2].name", true}, {".metadata.labels['a']", true}, {".spec.*", true},
		{"..a", false}, {".spec..a", false}, {".spec..a..a..a", false}, {".spec[0,0,0,0][0,0]", false}, {".spec['a','a'].b", false},
		{".spec[?(@..a==1)].b", false}, {`.spec[?(@.a[0,0]=="1")]`, false}, {".a}{.b", false}, {"range .a[*]}{.b}{end", false},
		{".a" + strings.Repeat("[*]", 2*maxPathNodes), false},
	} {
		if got := newPrinter(test.path) != nil; got != test.want {
			t.Errorf("%s: %v", test.path, got)
		}
	}
	many := make([]apiextensionsv1.CustomResourceColumnDefinition, 10*maxColumns)
	for n := range many {
		many[n] = apiextensionsv1.CustomResourceColumnDefinition{Name: fmt.Sprint("c", n), Type: "string", JSONPath: ".spec.a"}
	}
	if got := len((&Type{Kind: "Thing"}).withColumns(many).printed); got > maxColumns+1 {
		t.Errorf("%d columns", got)
	}
}

func TestOrdered(t *testing.T) {
	numbers := []float64{math.Inf(-1), -1e300, -2.5, -1, -1e-300, 0, 1e-300, 1, 2.5, 9, 10, 1e300, math.Inf(1)}
	if !slices.IsSortedFunc(numbers, func(a, b float64) int { return Value{Number: ordered(a)}.compare(Value{Number: ordered(b)}) }) {
		t.Error("the order is lost")
	}
}

func TestColumnKey(t *testing.T) {
	for name, want := range map[string]string{"Ready": "ready", "Last Schedule": "lastSchedule", "READY": "ready", "Up-to-date": "upToDate", "CPU Usage": "cpuUsage", "minPods": "minPods", "Größe Änderung": "größeÄnderung", "大小": "大小", " ": ""} {
		if got := columnKey(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
