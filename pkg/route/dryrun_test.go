package route

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDryRun: dry runs and preconditions of a write that does not support them are
// refused. They used to be ignored, so that a dry run of a deletion deleted.
func TestDryRun(t *testing.T) {
	called := false
	handler := func(w http.ResponseWriter, _ *http.Request) error {
		called = true
		WriteSuccess(w)
		return nil
	}
	responses := []Response{{Code: 200, Description: "Done."}}
	supported := []Parameter{{In: InQuery, Name: "dryRun", Description: "All to validate only."}}
	name := Parameter{In: InPath, Name: "name", Description: "Name."}
	group := Group{Prefix: "/kapis/test.io/v1", Tag: "Test"}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		group.Routes = append(group.Routes,
			Route{Method: method, Path: "/plain", ID: method + "plain", Summary: "S", Responses: responses, Handler: handler},
			Route{Method: method, Path: "/dry", ID: method + "dry", Summary: "S", Responses: responses, Handler: handler, Parameters: supported},
			Route{Method: method, Path: "/a/{name}", ID: method + "a", Summary: "S", Responses: responses, Handler: handler, Parameters: []Parameter{name}},
			Route{Method: method, Path: "/a/within", ID: method + "within", Summary: "S", Responses: responses, Handler: handler})
	}
	container, err := NewContainer(group)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		request, body string
		code          int
	}{
		{"DELETE plain", "", 200},
		{"DELETE plain?dryRun=All", "", 400},
		{"DELETE plain?dryRun=", "", 400},
		{"DELETE plain?%64ryRun=All", "", 400},
		{"POST plain?dryRun=All", "{}", 400},
		{"PUT plain?dryRun=All", "{}", 400},
		{"PATCH plain?dryRun=All", "{}", 400},
		{"GET plain?dryRun=All", "", 200},
		{"DELETE a/within?dryRun=All", "", 400},
		{"DELETE a/other?dryRun=All", "", 400},
		{"DELETE dry?dryRun=All", "", 200},
		{"DELETE plain", `{"dryRun":["All"]}`, 400},
		{"DELETE plain", `{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"}`, 200},
		{"DELETE plain", `{"preconditions":{"uid":"1"}}`, 400},
		{"DELETE plain", `{"preconditions":{"resourceVersion":"1"}}`, 400},
		{"DELETE plain", `{"preconditions":{}}`, 200},
		{"DELETE plain", `["a"]`, 200},
		{"DELETE plain", `{`, 400},
		{"DELETE dry", `{"dryRun":["All"]}`, 200},
	} {
		t.Run(test.request+" "+test.body, func(t *testing.T) {
			called = false
			method, path, _ := strings.Cut(test.request, " ")
			w := httptest.NewRecorder()
			container.ServeHTTP(w, httptest.NewRequest(method, group.Prefix+"/"+path, strings.NewReader(test.body)))
			if w.Code != test.code || called != (test.code == 200) {
				t.Errorf("%d %s, called: %t", w.Code, w.Body, called)
			}
		})
	}
}

// TestEntries: lists in bodies were unbounded, 20,000 members took a minute.
func TestEntries(t *testing.T) {
	for _, test := range []struct {
		name, body string
		fails      string
	}{
		{"as many as allowed", "[" + strings.Repeat(`"a",`, MaxEntries-1) + `"a"]`, ""},
		{"one more", "[" + strings.Repeat(`"a",`, MaxEntries) + `"a"]`, "at most 200 entries, not 201"},
	} {
		var list []string
		err := ReadJSON(httptest.NewRequest("POST", "/", strings.NewReader(test.body)), &list)
		if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	key := func(s string) string { return s }
	if err := CheckDuplicates([]string{"a", "b", "", ""}, key); err != nil {
		t.Error(err)
	}
	if err := CheckDuplicates([]string{"a", "b", "a"}, key); err == nil || !strings.Contains(err.Error(), `"a" is in the list more than once`) {
		t.Errorf("got %v", err)
	}
}
