package objects

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// TestNeverKept: what a type never reveals is not in its JSON, however legal
// JSON writes it.
func TestNeverKept(t *testing.T) {
	for _, test := range []struct {
		name, resource, object string
	}{
		{"managed fields", "pods", `{"metadata":{"name":"a","managedFields":[{"manager":"SECRET"}],"uid":"1"}}`},
		{"managed fields first", "pods", `{"metadata":{"managedFields":[{"fieldsV1":{"f:a":{"k:{\"x\":\"}]SECRET\"}":{}}}}],"name":"a"}}`},
		{"password of a user", "users", `{"metadata":{"name":"a"},"spec":{"email":"a@b","password":"SECRET"}}`},
		{"password that is all of the spec", "users", `{"metadata":{"name":"a"},"spec":{"password":"SECRET"}}`},
		{"password with quotes and braces", "users", `{"metadata":{"name":"a"},"spec":{"password":"}\\\"}SECRET{\"","lang":"zh"}}`},
		{"password with an escaped key", "users", `{"metadata":{"name":"a"},"spec":{"pass\u0077ord":"SECRET"}}`},
		{"password in an escaped spec", "users", `{"metadata":{"name":"a"},"\u0073pec":{"password":"SECRET"}}`},
		{"password after a decoy in a string", "users", `{"metadata":{"name":"a"},"decoy":"\"spec\":{\"password\":\"x\"}","spec":{"password":"SECRET"}}`},
		{"password after unicode", "users", `{"metadata":{"name":"a"},"spec":{"описание":"日本語 😀 \ud83d\ude00","password":"SECRET"}}`},
		{"password as an object", "users", `{"metadata":{"name":"a"},"spec":{"password":{"a":["SECRET"]}}}`},
		{"user applied by kubectl", "users", `{"metadata":{"name":"a","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{\"password\":\"SECRET\"}}"}}}`},
		{"secret applied by kubectl", "secrets", `{"metadata":{"name":"a","annotations":{"b":"c","kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"k\":\"SECRET\"}}\n"}}}`},
		{"hash of a session", "sessions", `{"metadata":{"name":"a"},"spec":{"user":"u","refreshTokenHash":"SECRET"}}`},
		{"earlier hash of a session", "sessions", `{"metadata":{"name":"a"},"spec":{"previousTokenHash":"SECRET","user":"u"}}`},
		{"nonce of a session", "sessions", `{"metadata":{"name":"a"},"spec":{"rotationNonce":"SECRET"}}`},
		{"key of a session", "sessions", `{"metadata":{"name":"a"},"spec":{"refreshTokenKey":"SECRET"}}`},
		// A backup that is restored with kubectl apply brings this annotation.
		{"session applied by kubectl", "sessions", `{"metadata":{"name":"a","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{\"rotationNonce\":\"SECRET\"}}"}}}`},
		{"kubeconfig of KubeSphere 3.x", "configmaps", `{"metadata":{"name":"kubeconfig-admin","namespace":"kubesphere-controls-system"},"data":{"config":"client-key-data: SECRET"}}`},
		{"kubeconfig in binary", "configmaps", `{"metadata":{"name":"kubeconfig-admin","namespace":"kubesphere-controls-system"},"binaryData":{"config":"SECRET"}}`},
		{"kubeconfig applied by kubectl", "configmaps", `{"metadata":{"name":"kubeconfig-a","namespace":"kubesphere-controls-system","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"SECRET"}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := mustItem(t, NewCatalog().Type(test.resource), test.object)
			for _, text := range []string{got.JSON(), got.Shown(false), got.Shown(true)} {
				if strings.Contains(text, "SECRET") {
					t.Errorf("revealed: %s", text)
				}
				if !json.Valid([]byte(text)) {
					t.Errorf("not JSON: %s", text)
				}
			}
			if got.Name() == "" {
				t.Errorf("the name is lost: %s", got.JSON())
			}
		})
	}
}

// TestSecretsMasked: who may not read secrets learns their keys only.
func TestSecretsMasked(t *testing.T) {
	kind := NewCatalog().Type("secrets")
	for _, test := range []struct {
		name, object string
		keys         []string
	}{
		{"plain", `{"metadata":{"name":"a"},"data":{"password":"SECRET","user":"SECRET"},"type":"Opaque"}`, []string{"password", "user"}},
		{"keys with dots and slashes", `{"metadata":{"name":"a"},"data":{".dockerconfigjson":"SECRET","tls.crt":"SECRET"}}`, []string{".dockerconfigjson", "tls.crt"}},
		{"escaped names", `{"metadata":{"name":"a"},"d\u0061ta":{"p\u0061ss":"SECRET"}}`, []string{"pass"}},
		{"braces and quotes in values", `{"metadata":{"name":"a"},"data":{"a":"}\"SECRET","b":"\\"}}`, []string{"a", "b"}},
		{"stringData", `{"metadata":{"name":"a"},"stringData":{"a":"SECRET"}}`, []string{"a"}},
		{"no data", `{"metadata":{"name":"a"}}`, nil},
		{"empty data", `{"metadata":{"name":"a"},"data":{}}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := mustItem(t, kind, test.object)
			masked := got.Shown(false)
			if strings.Contains(masked, "SECRET") || !json.Valid([]byte(masked)) {
				t.Errorf("masked as %s", masked)
			}
			var decoded struct{ Data, StringData map[string]string }
			if err := json.Unmarshal([]byte(masked), &decoded); err != nil {
				t.Fatal(err)
			}
			for _, key := range test.keys {
				if value, found := decoded.Data[key]; !found && decoded.StringData[key] != "" || value != "" {
					t.Errorf("key %s: %q", key, value)
				}
			}
			if len(test.keys) > 0 && !strings.Contains(got.Shown(true), "SECRET") {
				t.Errorf("who may read it sees %s", got.Shown(true))
			}
		})
	}
}

// TestFiltersDoNotRevealSecrets: filters see what a caller without rights
// sees. They used to see the values, so that anybody who could list secrets
// could read them character by character from the totals of filtered lists.
func TestFiltersDoNotRevealSecrets(t *testing.T) {
	kind := NewCatalog().Type("secrets")
	store := newStore(kind)
	store.put(mustItem(t, kind, `{"metadata":{"name":"a","namespace":"n"},"data":{"password":"c2VjcmV0"},"type":"Opaque"}`))
	for _, test := range []struct {
		name, selector string
		want           int
	}{
		{"the whole value", "data.password=c2VjcmV0", 0},
		{"another value", "data.password!=c2VjcmV0", 1},
		{"part of the value", `data.@values.#(%"c2*")#|#=1`, 0},
		{"the type", "type=Opaque", 1},
		{"another type", "type=kubernetes.io/tls", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			selector, err := fields.ParseSelector(test.selector)
			if err != nil {
				t.Fatal(err)
			}
			if page, err := store.Snapshot().List(t.Context(), "", &query.Query{Page: 1, Fields: selector, Raw: test.selector}); err != nil || page.Total != test.want {
				t.Errorf("%d objects, %v, want %d", page.Total, err, test.want)
			}
		})
	}
}

// TestColumnsOfSecrets: a column of a masked field was the value.
func TestColumnsOfSecrets(t *testing.T) {
	kind := *NewCatalog().Type("secrets")
	kind.Columns = append(slices.Clone(kind.Columns), pathColumn("password", "data.password"))
	item := mustItem(t, &kind, `{"metadata":{"name":"a"},"data":{"password":"c2VjcmV0"},"type":"Opaque"}`)
	if got := item.column(kind.column("password")).Text; got != "" {
		t.Errorf("the column is %q", got)
	}
	if got := item.column(kind.column("type")).Text; got != "Opaque" || !strings.Contains(item.Shown(true), "c2VjcmV0") {
		t.Errorf("the type is %q of %s", got, item.Shown(true))
	}
}

// TestItem: objects have kind and apiVersion and their metadata however they
// arrive.
func TestItem(t *testing.T) {
	catalog := NewCatalog()
	for _, test := range []struct {
		name, resource, object, want string
	}{
		{"from a list, without kind", "pods", `{"metadata":{"name":"a"}}`, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}`},
		{"from a watch, with kind", "pods", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}`, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}`},
		{"with a group", "deployments", `{"metadata":{"name":"a"}}`, `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a"}}`},
		{"empty", "pods", `{}`, `{"kind":"Pod","apiVersion":"v1"}`},
		{"without managed fields", "pods", `{"metadata":{"managedFields":[],"name":"a"},"spec":{}}`, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{}}`},
		{"config map of the same name elsewhere", "configmaps", `{"metadata":{"name":"kubeconfig-a","namespace":"b"},"data":{"c":"d"}}`,
			`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"kubeconfig-a","namespace":"b"},"data":{"c":"d"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := mustItem(t, catalog.Type(test.resource), test.object).JSON(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	t.Run("metadata", func(t *testing.T) {
		got := mustItem(t, catalog.Type("pods"), `{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7","creationTimestamp":"2026-01-02T03:04:05Z","labels":{"k":"v\u0061","":"\"{"}}}`)
		if got.Name() != "a" || got.Namespace() != "n" || got.UID() != "u" || got.ResourceVersion() != "7" || got.created != 1767323045 {
			t.Errorf("got %+v", got)
		}
		if labels := labelsOf(got); !slices.Equal(labels, []string{"k", "va", "", `"{`}) || got.Labels().Get("k") != "va" || !got.Labels().Has("") || got.Labels().Has("v") {
			t.Errorf("labels %q", labels)
		}
	})
	t.Run("null is nothing", func(t *testing.T) { // gjson visits a null as one element
		got := mustItem(t, catalog.Type("pods"), `{"metadata":{"name":"a","labels":null,"annotations":null,"creationTimestamp":null}}`)
		if len(labelsOf(got)) != 0 || annotations(got).Has("") || got.created != 0 {
			t.Errorf("labels %q, annotations %v, created %d", labelsOf(got), annotations(got), got.created)
		}
	})
	t.Run("what the JSON does not have in one piece", func(t *testing.T) {
		kind := catalog.Type("pods")
		got := mustItem(t, kind, `{"metadata":{"name":"a"},"spec":{"nodeName":"n\u0031","containers":[{"image":"one","resources":{"requests":{"cpu":"1"}}},{"image":"tw\u006f"}]}}`)
		if images := got.column(kind.column(columnImages)).Text; images != "one"+separator+"two" {
			t.Errorf("images %q", images)
		}
		demanded, amounts := got.demand()
		if node := got.column(kind.column("nodeName")).Text; node != "n1" || demanded != "n1" || amounts.cpuRequests != 1000 {
			t.Errorf("node %q, of the demand %q: %+v", node, demanded, amounts)
		}
		later := got.at(77)
		if later.ResourceVersion() != "77" || later.Field("metadata.resourceVersion").String() != "77" || later.column(kind.column("nodeName")).Text != "n1" || got.ResourceVersion() != "" {
			t.Errorf("at a later version: %+v", later)
		}
	})
}

// TestManyLabels: Kubernetes has no bound on their number but the size of an
// object. Each was looked for from the beginning of the JSON, which took seconds
// for each change of such an object.
func TestManyLabels(t *testing.T) {
	const few, many = 10_000, 80_000
	object := func(labels int) string {
		var object strings.Builder
		object.WriteString(`{"metadata":{"name":"a","labels":{`)
		for n := range labels {
			if n > 0 {
				object.WriteByte(',')
			}
			fmt.Fprintf(&object, `"key-%07d":"v%d"`, n, n)
		}
		object.WriteString(`}}}`)
		return object.String()
	}
	took := func(labels int) (*Item, time.Duration) {
		text, began := object(labels), time.Now()
		return mustItem(t, NewCatalog().Type("configmaps"), text), time.Since(began)
	}
	// In proportion it is 8 times as long, and 64 times with their square. The best of
	// several pairs counts: the machine may be busy with something else.
	least, got := math.MaxFloat64, (*Item)(nil)
	for try := 0; try < 20 && least > 30; try++ {
		_, ofFew := took(few)
		item, ofMany := took(many)
		least, got = min(least, float64(ofMany)/float64(ofFew)), item
	}
	if least > 30 {
		t.Errorf("%d labels took %.0f times as long as %d", many, least, few)
	}
	if got.Labels().Get("key-0079999") != "v79999" || len(labelsOf(got)) != 160_000 {
		t.Errorf("%d labels", len(labelsOf(got))/2)
	}
}

func labelsOf(i *Item) []string {
	var found []string
	i.eachLabel(func(key, value string) bool { found = append(found, key, value); return true })
	return found
}

// TestItemsOwnTheirMemory: an item must not keep the answer alive it came in.
func TestItemsOwnTheirMemory(t *testing.T) {
	kind := NewCatalog().Type("configmaps")
	whole := []byte(`{"kind":"ConfigMap","metadata":{"name":"a"}}`)
	decoded, _, err := codec{kind: kind}.Decode(whole, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		whole[n] = 'x'
	}
	if got := decoded.(*object).item; got.Name() != "a" || got.JSON() != `{"kind":"ConfigMap","metadata":{"name":"a"}}` {
		t.Errorf("changed with the buffer: %s", got.JSON())
	}
}

// FuzzItem: no object makes newItem panic, and an object that is accepted is
// valid JSON with no managed fields left.
func FuzzItem(f *testing.F) {
	f.Add(`{"metadata":{"name":"a","labels":{"a":"b"},"managedFields":[{}]},"spec":{"password":"x"},"data":{"a":"b"}}`)
	f.Add(`{"metadata":null,"spec":[],"status":{"conditions":{},"initContainerStatuses":[null,{"state":{"terminated":1}}]}}`)
	f.Add(`{"kind":1,"metadata":{"labels":["a"],"annotations":7},"data":[],"stringData":"x"}`)
	catalog := NewCatalog()
	resources := catalog.Resources()
	f.Fuzz(func(t *testing.T, text string) {
		var fields map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &fields) != nil || fields == nil {
			t.Skip()
		}
		compact, err := json.Marshal(fields) // as kube-apiserver sends it: compact, no key twice at the top
		if err != nil {
			t.Skip()
		}
		for _, resource := range resources {
			got, err := newItem(catalog.Type(resource), string(compact))
			if err != nil {
				continue
			}
			if !json.Valid([]byte(got.JSON())) || !json.Valid([]byte(got.Shown(false))) {
				t.Fatalf("%s %s became %s and %s", resource, compact, got.JSON(), got.Shown(false))
			}
			if got.Field("metadata.managedFields").Exists() && !twice(fields["metadata"]) {
				t.Fatalf("%s %s became %s", resource, compact, got.JSON())
			}
		}
	})
}

// twice reports whether some key may be there twice, which Kubernetes never sends.
func twice(metadata json.RawMessage) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(metadata, &fields) != nil {
		return false
	}
	compact, err := json.Marshal(fields)
	return err == nil && len(compact) != len(strings.Join(strings.Fields(string(metadata)), ""))
}

// FuzzTexts: whatever an object holds, what an item says of it is what the JSON
// says.
func FuzzTexts(f *testing.F) {
	f.Add(realPod(1, false))
	f.Add(`{"metadata":{"name":"a\u0062","namespace":"","labels":{"k":"v\"","":"k"}},"spec":{"nodeName":1},"status":null}`)
	f.Add(`{"metadata":[{"name":"a"}],"spec":{"containers":{"image":"x"}}}`)
	kinds := []*Type{NewCatalog().Type("pods"), NewCatalog().Type("secrets"), NewCatalog().Type("deployments")}
	f.Fuzz(func(t *testing.T, object string) {
		if !gjson.Valid(object) || !gjson.Parse(object).IsObject() {
			t.Skip()
		}
		for _, kind := range kinds {
			item, err := newItem(kind, object)
			if err != nil {
				continue
			}
			if !gjson.Valid(item.JSON()) {
				t.Fatalf("%s became %s", object, item.JSON())
			}
			want := map[string]string{} // as said last: JSON may repeat itself
			item.Field("metadata").ForEach(func(key, value gjson.Result) bool {
				want[key.String()] = value.String()
				return true
			})
			if item.Name() != want["name"] || item.Namespace() != want["namespace"] || item.UID() != want["uid"] || item.ResourceVersion() != want["resourceVersion"] {
				t.Fatalf("%s is of %q %q %q %q", item.JSON(), item.Namespace(), item.Name(), item.UID(), item.ResourceVersion())
			}
			for n, column := range kind.Columns {
				if got, want := item.column(n), column.Derive(gjson.Parse(item.JSON())); got != want {
					t.Fatalf("%s: %s is %+v, want %+v", item.JSON(), column.Name, got, want)
				}
			}
			item.eachLabel(func(key, _ string) bool { return item.Labels().Has(key) })
			item.at(5)
		}
	})
}
