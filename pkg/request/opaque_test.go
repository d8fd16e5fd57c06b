package request

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestParseOpaque: a path that can be read in two ways is described in both.
func TestParseOpaque(t *testing.T) {
	for _, test := range []struct {
		target           string
		ok               bool
		written, decoded Info
	}{
		{"/proxy/x/a%2Fb", true, Info{Path: "/proxy/x/a%2Fb", Verb: "get"}, Info{Path: "/proxy/x/a/b", Verb: "get"}},
		{"/proxy/x//a/", true, Info{Path: "/proxy/x//a/", Verb: "get"}, Info{Path: "/proxy/x/a/", Verb: "get"}},
		{"/kapis/g.io/v1/namespaces/n/pods/x%2Fexec", true,
			Info{Verb: "get", Namespace: "n", Resource: "pods", Name: "x%2Fexec"}, Info{Verb: "create", Namespace: "n", Resource: "pods", Name: "x", Subresource: "exec"}},
		{"/kapis/g.io/v1/namespaces/n/pods%2flog", true,
			Info{Verb: "list", Namespace: "n", Resource: "pods%2Flog"}, Info{Verb: "get", Namespace: "n", Resource: "pods", Name: "log"}},
		{"/kapis/g.io/v1/namespaces%2Fother%2Fthings/x", true,
			Info{Verb: "get", Resource: "namespaces%2Fother%2Fthings", Name: "x"}, Info{Verb: "get", Namespace: "other", Resource: "things", Name: "x"}},
		{"/kapis/g.io/v1/namespaces//other/things", true,
			Info{Verb: "list", Namespace: "other", Resource: "things"}, Info{Verb: "list", Namespace: "other", Resource: "things"}},
		{"/proxy/x/a%2F..%2Fb", false, Info{}, Info{}},
		{"/proxy/x/..%2Fb", false, Info{}, Info{}},
		{"/proxy/x//../b", false, Info{}, Info{}},
		{"/proxy/x/a%5C..%5Cb//", false, Info{}, Info{}},
		{"/api/v1//pods", false, Info{}, Info{}},
		{"//api/v1/pods", false, Info{}, Info{}},
		{"/api%2Fv1/pods", false, Info{}, Info{}},
		{"/kapis/clusters/c/g.io/v1/a%2Fb", false, Info{}, Info{}},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://x"+test.target, nil)
		if !IsOpaque(r.URL) {
			t.Errorf("%s is not opaque", test.target)
		}
		if _, err := Parse(r); err == nil {
			t.Errorf("%s is read in one way", test.target)
		}
		info, err := ParseOpaque(r)
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.target, err)
		}
		if err != nil || !test.ok {
			continue
		}
		for n, want := range []Info{test.written, test.decoded} {
			got := info.Readings[n]
			if want.Path != "" && got.Path != want.Path || got.Verb != want.Verb || got.Namespace != want.Namespace || got.Resource != want.Resource || got.Name != want.Name || got.Subresource != want.Subresource {
				t.Errorf("%s, reading %d: %+v", test.target, n, got)
			}
		}
	}
	if r := httptest.NewRequest(http.MethodGet, "http://x/proxy/x/a%20b", nil); IsOpaque(r.URL) {
		t.Error("a space is opaque")
	}
}
