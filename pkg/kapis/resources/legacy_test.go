package resources

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestLegacyLists(t *testing.T) {
	var pods []string
	for n := range 12 {
		pods = append(pods, fmt.Sprintf(`{"metadata":{"name":"p-%02d","namespace":"n","uid":"u%d","resourceVersion":"%d","labels":{"app":"a%d"},"creationTimestamp":"2026-01-01T00:00:%02dZ"},"spec":{"nodeName":"node-%d"}}`,
			n, n, n+1, n%2, 30-n, n%3))
	}
	door := newDoor(t, map[string][]string{
		"pods":       pods,
		"namespaces": {`{"metadata":{"name":"n"}}`, `{"metadata":{"name":"m"}}`},
		"nodes":      {`{"metadata":{"name":"node-a"}}`, `{"metadata":{"name":"node-b"}}`, `{"metadata":{"name":"other"}}`},
	})
	for _, test := range []struct {
		target string
		code   int
		names  string
		total  int
	}{
		{"/namespaces/n/pods?paging=limit=1,page=1&orderBy=name", 200, "p-00", 12},
		{"/namespaces/n/pods?paging=limit=5,page=3&orderBy=name", 200, "p-10 p-11", 12},
		{"/namespaces/n/pods?paging=limit=-1,page=1&orderBy=name&reverse=true", 200, "p-11 p-10 p-09 p-08 p-07 p-06 p-05 p-04 p-03 p-02 p-01 p-00", 12},
		{"/pods?paging=limit=2,page=1", 200, "p-11 p-10", 12}, // the oldest first
		{"/pods?paging=foo&orderBy=name", 200, "p-00 p-01 p-02 p-03 p-04 p-05 p-06 p-07 p-08 p-09", 12},
		{"/pods?paging=limit=3,page=1&reverse=true", 200, "p-00 p-01 p-02", 12},
		{"/pods?orderBy=name&conditions=name=p-03", 200, "p-03", 1},
		{"/pods?orderBy=name&conditions=name~p-0,nodeName=node-1", 200, "p-01 p-04 p-07", 3},
		{"/pods?orderBy=name&conditions=app=a1,nodeName=node-0", 200, "p-03 p-09", 2},
		{"/pods?orderBy=name&conditions=app=a1&labelSelector=app!=a1", 200, "", 0},
		{"/pods?orderBy=name&conditions=no-such-label=x", 200, "", 0},
		{"/nodes?conditions=name~node&paging=limit=2,page=1&orderBy=name", 200, "node-a node-b", 2},
		{"/nodes?conditions=keyword~oth", 200, "other", 1},
		// Newer parameters work as well.
		{"/pods?sortBy=name&limit=2&page=2&ascending=true", 200, "p-02 p-03", 12},
		{"/nodes?conditions=%3D%3D", 400, "", 0},
		{"/nodes?conditions=name", 400, "", 0},
		{"/nodes?conditions=a~b", 400, "", 0},
		{"/nodes?conditions=a/b/c=d", 400, "", 0},
		{"/nodes?paging=limit=-7,page=1", 400, "", 0},
		{"/nodes?conditions=" + strings.Repeat("a=b,", 40) + "a=b", 400, "", 0},
		{"/dragons", 404, "", 0},
		{"/namespaces/n/nodes", 404, "", 0},
	} {
		t.Run(test.target, func(t *testing.T) {
			path, parameters, _ := strings.Cut(test.target, "?")
			values, err := url.ParseQuery(strings.ReplaceAll(parameters, "paging=limit=", "paging=limit%3D"))
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/kapis/resources.kubesphere.io/v1alpha2"+path+"?"+values.Encode(), nil)
			w := httptest.NewRecorder()
			door.ServeHTTP(w, r.WithContext(kuberequest.WithUser(r.Context(), &user.DefaultInfo{Name: "admin"})))
			if w.Code != test.code {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if test.code != http.StatusOK {
				return
			}
			var got struct {
				Items []struct{ Metadata struct{ Name string } }
				Total *int `json:"total_count"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Items == nil || got.Total == nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			names := make([]string, len(got.Items))
			for n := range got.Items {
				names[n] = got.Items[n].Metadata.Name
			}
			if strings.Join(names, " ") != test.names || *got.Total != test.total {
				t.Errorf("got %v of %d", names, *got.Total)
			}
		})
	}
}
