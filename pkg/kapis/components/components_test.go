package components

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

func TestHealth(t *testing.T) {
	object := func(namespace, name, labels, more string) string {
		return fmt.Sprintf(`{"metadata":{"namespace":%q,"name":%q,"uid":"%s-%s","labels":{%s},"creationTimestamp":"2026-01-02T03:04:05Z"},%s}`, namespace, name, namespace, name, labels, more)
	}
	pod := func(name, app, phase string, ready ...bool) string {
		var containers []string
		for _, one := range ready {
			containers = append(containers, fmt.Sprintf(`{"ready":%v}`, one))
		}
		return object("kube-system", name, `"app":"`+app+`"`, `"status":{"phase":"`+phase+`","containerStatuses":[`+strings.Join(containers, ",")+`]}`)
	}
	node := func(name, ready string) string {
		return object("", name, "", `"status":{"conditions":[{"type":"DiskPressure","status":"True"},{"type":"Ready","status":"`+ready+`"}]}`)
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{
		"services": {
			object("kube-system", "dns", "", `"spec":{"selector":{"app":"dns"}}`),
			object("kube-system", "headless", "", `"spec":{}`),
			object("default", "mine", "", `"spec":{"selector":{"app":"dns"}}`),
			object("kubesphere-system", "ks-apiserver", "", `"spec":{"selector":{"app":"ks-apiserver"}}`),
		},
		"pods": {
			pod("dns-1", "dns", "Running", true, true), pod("dns-2", "dns", "Running", true, false), pod("dns-3", "dns", "Pending"), pod("other", "other", "Running", true),
		},
		"nodes": {node("a", "True"), node("b", "False"), node("c", "Unknown")},
	})
	container, err := route.NewContainer((&Handler{Cache: cache, Catalog: objects.NewCatalog()}).Groups()...)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		container.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/kapis/resources.kubesphere.io/"+path, nil))
		return w.Code, w.Body.String()
	}
	const (
		server = `{"name":"ks-apiserver","namespace":"kubesphere-system","selfLink":"","label":{"app":"ks-apiserver"},"startedAt":"2026-01-02T03:04:05Z","totalBackends":0,"healthyBackends":0}`
		dns    = `{"name":"dns","namespace":"kube-system","selfLink":"","label":{"app":"dns"},"startedAt":"2026-01-02T03:04:05Z","totalBackends":3,"healthyBackends":1}`
	)
	for path, want := range map[string]string{
		"v1alpha2/components":              "[" + server + "," + dns + "]", // golden 175
		"v1alpha3/components":              "[" + server + "," + dns + "]",
		"v1alpha2/components/dns":          dns,
		"v1alpha2/componenthealth":         `{"kubesphereStatus":[` + server + "," + dns + `],"nodeStatus":{"totalNodes":3,"healthyNodes":1}}`,
		"v1alpha3/components/ks-apiserver": server,
	} {
		if code, body := get(path); code != http.StatusOK || !json.Valid([]byte(body)) || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	// Upstream answers 500.
	if code, body := get("v1alpha2/components/nope"); code != http.StatusNotFound {
		t.Errorf("one that is not there: %d %s", code, body)
	}
}
