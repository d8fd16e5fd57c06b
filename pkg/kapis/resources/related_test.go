package resources

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Filters that depend on objects of other types.
func TestRelatedFilters(t *testing.T) {
	user := func(name string) string { return fmt.Sprintf(`{"metadata":{"name":%q}}`, name) }
	binding := func(name, namespace, workspace, role string, users ...string) string {
		subjects := make([]string, len(users))
		for n, user := range users {
			subjects[n] = fmt.Sprintf(`{"kind":"User","name":%q}`, user)
		}
		return fmt.Sprintf(`{"metadata":{"name":%q,"namespace":%q,"labels":{"kubesphere.io/workspace":%q}},"roleRef":{"name":%q},"subjects":[{"kind":"Group","name":"ann"},%s]}`,
			name, namespace, workspace, role, strings.Join(subjects, ","))
	}
	pod := func(name, namespace, app string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"namespace":%q,"labels":{"app":%q}}}`, name, namespace, app)
	}
	role := func(name, aggregated string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"annotations":{"iam.kubesphere.io/aggregation-roles":%q}}}`, name, aggregated)
	}
	door := newDoor(t, map[string][]string{
		"users":                 {user("ann"), user("bob"), user("cid"), user("dan")},
		"rolebindings":          {binding("a", "n", "", "admin", "ann"), binding("b", "n", "", "viewer", "bob"), binding("c", "m", "", "admin", "cid")},
		"workspacerolebindings": {binding("a", "", "ws", "ws-admin", "ann", "bob"), binding("b", "", "other", "other-admin", "cid")},
		"clusterrolebindings":   {binding("a", "", "", "cluster-admin", "ann")},
		"globalrolebindings":    {binding("a", "", "", "platform-admin", "ann"), binding("b", "", "", "platform-regular", "bob", "cid")},
		"groupbindings":         {`{"metadata":{"name":"g"},"groupRef":{"name":"g"},"users":["ann","dan"]}`},
		"services": {
			`{"metadata":{"name":"web","namespace":"n"},"spec":{"selector":{"app":"web"}}}`, `{"metadata":{"name":"web","namespace":"m"},"spec":{"selector":{"app":"other"}}}`,
			`{"metadata":{"name":"external","namespace":"n"},"spec":{}}`,
		},
		"pods":        {pod("p1", "n", "web"), pod("p2", "n", "db"), pod("p3", "m", "web"), pod("p4", "m", "other")},
		"globalroles": {role("whole", `["part-a","part-b","gone"]`), role("broken", `not json`), role("part-a", ""), role("part-b", ""), role("part-c", "")},
	})
	for _, test := range []struct{ target, want, annotation string }{
		{"/users?namespace=n", "ann bob", `"iam.kubesphere.io/role":"admin"`},
		{"/users?namespace=n&role=viewer", "bob", `"iam.kubesphere.io/role":"viewer"`},
		{"/users?namespace=nowhere", "", ""},
		{"/users?workspace=ws", "ann bob", `"iam.kubesphere.io/workspacerole":"ws-admin"`},
		{"/users?workspace=other&workspacerole=other-admin", "cid", ""},
		{"/users?workspace=ws&namespace=n&role=admin", "ann", `"iam.kubesphere.io/workspacerole":"ws-admin"`},
		{"/users?cluster=true&clusterrole=cluster-admin", "ann", `"iam.kubesphere.io/clusterrole":"cluster-admin"`},
		{"/users?globalrole=platform-regular", "bob cid", `"iam.kubesphere.io/globalrole":"platform-regular"`},
		{"/users?ingroup=g", "ann dan", ""},
		{"/users?notingroup=g", "bob cid", ""},
		{"/users?ingroup=g&name=an&limit=1&page=2", "dan", ""},
		{"/namespaces/n/pods?serviceName=web", "p1", ""},
		{"/pods?serviceName=web", "p1 p4", ""},
		{"/pods?serviceName=external", "", ""},
		{"/pods?serviceName=nobody", "", ""},
		{"/globalroles?aggregateTo=whole", "part-a part-b", ""},
		{"/globalroles?aggregateTo=broken", "", ""},
		{"/globalroles?aggregateTo=nobody", "", ""},
	} {
		w := ask(door, "admin", test.target+"&sortBy=name&ascending=true")
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s", test.target, w.Code, w.Body)
		}
		var names []string
		for _, item := range list.Items {
			names = append(names, item.Metadata.Name)
		}
		if !slices.Equal(names, strings.Fields(test.want)) || !strings.Contains(w.Body.String(), test.annotation) {
			t.Errorf("%s: %v, want %s with %s: %s", test.target, names, test.want, test.annotation, w.Body)
		}
		if w.Header().Get("ETag") != "" {
			t.Errorf("%s: it has an entity tag, and changes with others", test.target)
		}
	}
	if w := ask(door, "admin", "/users?watch=true&namespace=n"); w.Code != 400 {
		t.Errorf("a watch by what others say: %d", w.Code)
	}
}

func TestAccepted(t *testing.T) {
	for accept, want := range map[string]as{
		"": asObject, "*/*": asObject, "application/json": asObject, "text/html,application/xhtml+xml,*/*;q=0.8": asObject, "text/html": asObject,
		"application/json;as=Table;v=v1;g=meta.k8s.io,application/json":                                    asTable,
		"application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json":                               asObject,
		"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io":                                 asMetadata,
		"application/vnd.kubernetes.protobuf,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1": asMetadata,
		"application/json;as=Table;q=0,application/json":                                                   asObject,
	} {
		if got, _, err := accepted(accept); err != nil || got != want {
			t.Errorf("%q: %v, %v", accept, got, err)
		}
	}
	for _, accept := range []string{"application/json;as=Picture", "application/json;as=Table;v=v2;g=meta.k8s.io"} {
		if _, _, err := accepted(accept); err == nil {
			t.Errorf("%q is served", accept)
		}
	}
	if _, events, _ := accepted("text/event-stream"); !events {
		t.Error("no events")
	}
}
