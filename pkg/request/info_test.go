package request

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, method, target string
		want                 Info
	}{
		{"health", "GET", "/healthz", Info{Verb: "get"}},
		{"token endpoint", "POST", "/oauth/token", Info{Verb: "post"}},
		{"version", "GET", "/kapis/version", Info{Verb: "get"}},
		{"core list", "GET", "/api/v1/pods", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "list", Resource: "pods", Scope: ScopeCluster}},
		{"core group discovery", "GET", "/api/v1", Info{Kubernetes: true, Verb: "get"}},
		{"named group list", "GET", "/apis/apps/v1/namespaces/a/deployments/b/scale", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "apis", APIGroup: "apps", APIVersion: "v1", Verb: "get", Namespace: "a", Resource: "deployments", Name: "b", Subresource: "scale", Scope: ScopeNamespace}},
		{"list of a viewer type", "GET", "/kapis/resources.kubesphere.io/v1alpha3/nodes", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "resources.kubesphere.io", APIVersion: "v1alpha3", Verb: "list", Resource: "nodes", Scope: ScopeCluster}},
		{"in a namespace", "GET", "/kapis/resources.kubesphere.io/v1alpha3/namespaces/a/pods/b", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "resources.kubesphere.io", APIVersion: "v1alpha3", Verb: "get", Namespace: "a", Resource: "pods", Name: "b", Scope: ScopeNamespace}},
		{"one namespace", "GET", "/kapis/resources.kubesphere.io/v1alpha3/namespaces/a", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "resources.kubesphere.io", APIVersion: "v1alpha3", Verb: "get", Namespace: "a", Resource: "namespaces", Name: "a", Scope: ScopeNamespace}},
		{"users are global", "GET", "/kapis/iam.kubesphere.io/v1alpha2/users/bob", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "iam.kubesphere.io", APIVersion: "v1alpha2", Verb: "get", Resource: "users", Name: "bob", Scope: ScopeGlobal}},
		{"workspace", "GET", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/w", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "tenant.kubesphere.io", APIVersion: "v1alpha2", Verb: "get", Workspace: "w", Resource: "workspaces", Name: "w", Scope: ScopeWorkspace}},
		{"workspaces", "GET", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "tenant.kubesphere.io", APIVersion: "v1alpha2", Verb: "list", Resource: "workspaces", Scope: ScopeGlobal}},
		{"workspace template", "PATCH", "/kapis/tenant.kubesphere.io/v1alpha2/workspacetemplates/w", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "tenant.kubesphere.io", APIVersion: "v1alpha2", Verb: "patch", Workspace: "w", Resource: "workspacetemplates", Name: "w", Scope: ScopeWorkspace}},
		{"sessions are global", "GET", "/apis/iam.kubesphere.io/v1alpha2/sessions", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "apis", APIGroup: "iam.kubesphere.io", APIVersion: "v1alpha2", Verb: "list", Resource: "sessions", Scope: ScopeGlobal}},
		{"users in the viewer are global", "GET", "/kapis/resources.kubesphere.io/v1alpha3/users", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "resources.kubesphere.io", APIVersion: "v1alpha3", Verb: "list", Resource: "users", Scope: ScopeGlobal}},
		{"groups of a workspace", "GET", "/kapis/iam.kubesphere.io/v1alpha2/workspaces/w/groups", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "iam.kubesphere.io", APIVersion: "v1alpha2", Verb: "list", Workspace: "w", Resource: "groups", Scope: ScopeWorkspace}},
		{"namespaces of a workspace", "POST", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/w/namespaces", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "tenant.kubesphere.io", APIVersion: "v1alpha2", Verb: "create", Workspace: "w", Resource: "namespaces", Scope: ScopeWorkspace}},
		{"members of a DevOps project", "GET", "/kapis/iam.kubesphere.io/v1alpha2/devops/d/members", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "iam.kubesphere.io", APIVersion: "v1alpha2", Verb: "list", DevOps: "d", Resource: "members", Scope: ScopeGlobal}},
		{"a role in a DevOps project", "PATCH", "/kapis/iam.kubesphere.io/v1alpha2/devops/d/roles/r", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "iam.kubesphere.io", APIVersion: "v1alpha2", Verb: "patch", DevOps: "d", Resource: "roles", Name: "r", Scope: ScopeGlobal}},
		{"no namespace in a DevOps project", "GET", "/kapis/iam.kubesphere.io/v1alpha2/devops/d/namespaces/n/members", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "iam.kubesphere.io", APIVersion: "v1alpha2", Verb: "get", DevOps: "d", Resource: "namespaces", Name: "n", Subresource: "members", Scope: ScopeGlobal}},
		{"DevOps projects of a workspace", "GET", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/w/devops", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "tenant.kubesphere.io", APIVersion: "v1alpha2", Verb: "list", Workspace: "w", Resource: "devops", Scope: ScopeWorkspace}},
		{"another cluster", "GET", "/kapis/clusters/c/resources.kubesphere.io/v1alpha3/nodes", Info{IsResourceRequest: true, APIPrefix: "kapis", Cluster: "c", APIGroup: "resources.kubesphere.io", APIVersion: "v1alpha3", Verb: "list", Resource: "nodes", Scope: ScopeCluster}},
		{"kubernetes of another cluster", "GET", "/api/clusters/c/v1/nodes", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", Cluster: "c", APIVersion: "v1", Verb: "list", Resource: "nodes", Scope: ScopeCluster}},
		// Upstream panicked on these (lessons §1.7).
		{"short cluster path", "GET", "/api/clusters/x/v1", Info{Kubernetes: true, Cluster: "x", Verb: "get"}},
		{"cluster path of an unknown prefix", "GET", "/clusters/x/kapi/v1", Info{Verb: "get"}},
		{"cluster without anything", "GET", "/kapis/clusters/x", Info{Cluster: "x", Verb: "get"}},
		{"watch by query", "GET", "/api/v1/pods?watch=true", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "watch", Resource: "pods", Scope: ScopeCluster}},
		{"no watch, in any case", "GET", "/api/v1/pods?watch=fAlse", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "list", Resource: "pods", Scope: ScopeCluster}},
		{"list of one by name", "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn,metadata.name%3Da", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "list", Resource: "pods", Name: "a", Scope: ScopeCluster}},
		{"list of all but one", "GET", "/api/v1/pods?fieldSelector=metadata.name%21%3Da", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "list", Resource: "pods", Scope: ScopeCluster}},
		{"delete all", "DELETE", "/api/v1/namespaces/a/pods", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "deletecollection", Namespace: "a", Resource: "pods", Scope: ScopeNamespace}},
		{"commands over a WebSocket", "GET", "/api/v1/namespaces/a/pods/b/exec", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "create", Namespace: "a", Resource: "pods", Name: "b", Subresource: "exec", Scope: ScopeNamespace}},
		{"files of a pod", "GET", "/kapis/terminal.kubesphere.io/v1alpha2/namespaces/a/pods/b/file", Info{IsResourceRequest: true, APIPrefix: "kapis", APIGroup: "terminal.kubesphere.io", APIVersion: "v1alpha2", Verb: "create", Namespace: "a", Resource: "pods", Name: "b", Subresource: "exec", Scope: ScopeNamespace}},
		{"a subresource of that name elsewhere", "GET", "/api/v1/namespaces/a/pods/b/file", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "get", Namespace: "a", Resource: "pods", Name: "b", Subresource: "file", Scope: ScopeNamespace}},
		{"a service behind the proxy", "POST", "/api/v1/namespaces/a/services/https:b:1/proxy/x//y%2Fz;q/", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "create", Namespace: "a", Resource: "services", Name: "https:b:1", Subresource: "proxy", Scope: ScopeNamespace, Below: true}},
		{"a node behind the proxy", "GET", "/api/v1/nodes/n/proxy/stats", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "get", Resource: "nodes", Name: "n", Subresource: "proxy", Scope: ScopeCluster, Below: true}},
		{"an object called proxy", "GET", "/api/v1/namespaces/proxy", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "get", Namespace: "proxy", Resource: "namespaces", Name: "proxy", Scope: ScopeNamespace}},
		{"trailing slash", "GET", "/api/v1/pods/", Info{IsResourceRequest: true, Kubernetes: true, APIPrefix: "api", APIVersion: "v1", Verb: "list", Resource: "pods", Scope: ScopeCluster}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(httptest.NewRequest(test.method, test.target, nil))
			if err != nil {
				t.Fatal(err)
			}
			got.Parts, got.Path = nil, ""
			if !equal(*got, test.want) {
				t.Errorf("got  %+v\nwant %+v", *got, test.want)
			}
		})
	}
}

// TestConnections: who may look at everything must not run anything.
func TestConnections(t *testing.T) {
	for _, test := range []struct{ target, upgrade, want string }{
		{"/api/v1/namespaces/a/pods/b/exec", "websocket", "create"},
		{"/api/v1/nodes/n/proxy/exec/a/b/c?command=id", "websocket", "create"},
		{"/api/v1/nodes/n:10250/proxy/exec/a/b/c?command=id", "SPDY/3.1", "create"},
		{"/api/v1/nodes/n/proxy/stats/summary", "", "get"},
		{"/api/v1/namespaces/a/services/b/proxy/events", "websocket", "get"},
		{"/api/v1/nodes?watch=1", "websocket", "watch"},
	} {
		r := httptest.NewRequest(http.MethodGet, test.target, nil)
		if test.upgrade != "" {
			r.Header.Set("Upgrade", test.upgrade)
		}
		if info, err := Parse(r); err != nil || info.Verb != test.want {
			t.Errorf("%s: %+v, %v", test.target, info, err)
		}
	}
}

func equal(a, b Info) bool {
	a.Parts, b.Parts = nil, nil
	a.Path, b.Path = "", ""
	return a.IsResourceRequest == b.IsResourceRequest && a.Verb == b.Verb && a.APIPrefix == b.APIPrefix && a.APIGroup == b.APIGroup &&
		a.APIVersion == b.APIVersion && a.Cluster == b.Cluster && a.Workspace == b.Workspace && a.Namespace == b.Namespace &&
		a.Resource == b.Resource && a.Subresource == b.Subresource && a.Name == b.Name && a.DevOps == b.DevOps && a.Below == b.Below && a.Scope == b.Scope && a.Kubernetes == b.Kubernetes
}

func TestParseRefusesAmbiguousPaths(t *testing.T) {
	for _, path := range []string{
		"/api/v1/../../healthz", "/kapis//v1/x", "/api/v1/namespaces/a%2Fb/pods", "/api/v1/namespaces/%2e%2e/pods",
		"/kapis/a/b/c%5Cd", "/api/v1/pods/a%00b", "/./api/v1/pods", "/api/v1//pods", "/api/v1/namespaces/a/pods/b%2fc/proxy/x",
		// Nobody climbs out of what is behind a proxied path.
		"/api/v1/namespaces/a/services/b/proxy/../../../secrets", "/api/v1/namespaces/a/services/b/proxy/x/%2e%2e/y", "/api/v1/namespaces/a/services/b/proxy/x%2f..%2f..%2fy",
		"/api/v1/nodes/n/proxy/..%5c..", "/api/v1/nodes/n/proxy/./x", "/apis/g/v/namespaces/a/r/b/proxy/..",
		// And there is no such thing elsewhere.
		"/api/v1/namespaces/a/proxy//x", "/kapis/g/v/nodes/n/proxy//x", "/api/v1/watch/pods/proxy//x", "/api/clusters/c/v1/nodes/n/proxy//x",
	} {
		r := &http.Request{Method: http.MethodGet}
		u, err := url.Parse("http://x" + path)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
		if info, err := Parse(r); !apierrors.IsBadRequest(err) {
			t.Errorf("%s: got %+v, %v, want 400", path, info, err)
		}
	}
}

// TestTrailingSlash: it changes nothing of an API's paths, and is part of all others.
func TestTrailingSlash(t *testing.T) {
	for target, want := range map[string]string{
		"/kapis/iam.kubesphere.io/v1alpha2/users/?a=b": "/kapis/iam.kubesphere.io/v1alpha2/users", "/api/v1/pods/": "/api/v1/pods", "/api/": "/api", "/apis/": "/apis",
		"/kapis/g/v1/things/a%20b/": "/kapis/g/v1/things/a%20b", "/api/v1/nodes/n/proxy/": "/api/v1/nodes/n/proxy/", "/api/v1/namespaces/a/services/b/proxy/x/": "/api/v1/namespaces/a/services/b/proxy/x/",
		"/proxy/grafana/": "/proxy/grafana/", "/": "/", "/kapis/g/v1/things": "/kapis/g/v1/things",
	} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		info, err := Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		served := info.WithoutTrailingSlash(r)
		if served.URL.EscapedPath() != want || served.URL.Path != info.Path || served.URL.RawQuery != r.URL.RawQuery {
			t.Errorf("%s: served %s, described %s", target, served.URL, info.Path)
		}
	}
}

// TestIgnoreWatch: a list that cannot be watched is authorized as a list.
func TestIgnoreWatch(t *testing.T) {
	info, err := Parse(httptest.NewRequest(http.MethodGet, "/kapis/iam.kubesphere.io/v1alpha2/users?watch=true", nil))
	if err != nil || info.Verb != "watch" {
		t.Fatal(info, err)
	}
	info.IgnoreWatch()
	if info.Verb != "list" || info.Parameters.Watch || !info.Parameters.WatchIgnored {
		t.Errorf("%s %+v", info.Verb, info.Parameters)
	}
}

// FuzzParse compares the description of Kubernetes requests with
// kube-apiserver's own: what we authorise must be what it serves.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"/api/v1/namespaces/a/pods/b/log", "/apis/apps/v1/deployments?watch=1", "/api/v1/namespaces/a/status", "/api/v1/watch/namespaces/a/pods",
		"/api/v1/proxy/nodes/x", "/kapis/clusters/x/y/z", "/api/clusters/host/v1", "/clusters/host/api/v1", "/apis/a/b/namespaces/c/finalize",
		"/api/v1/pods?fieldSelector=metadata.name=a", "/api/v1/pods?fieldSelector=spec.x%3Dy%2Cmetadata.name%3Da&watch=false", "/api/v1/pods?fieldSelector=metadata.name%3D..", "/apis/g/v/workspaces/w/namespaces/n/pods",
		"/api/v1/namespaces/a/services/https:b:1/proxy/x//y%2Fz", "/api/v1/nodes/n/proxy/", "/apis/g/v/namespaces/n/r/x/proxy/a", "/api/v1/namespaces/a/pods/b/exec?command=x",
		"/api/v1/pods?watch=False", "/api/v1/pods?watch=TRUE&limit=5&continue=x", "/api/v1/pods/?fieldSelector=metadata.name%3Da", "/api/v1/pods?fieldSelector=metadata.name%3Da&fieldSelector=", "/api/v1/pods?Watch=true", "/api/v1/pods?limit=x&watch=1",
		"/api/v1/namespaces/a/pods?watch", "/api/v1/pods?watch=True&labelSelector=a%3Db", "/api/v1/pods?watch=false&watch=true", "/api/v1/pods?watch=x;y", "/apis/g/v/r?fieldSelector=metadata.name%3D%3Da",
		"/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Da%2Cmetadata.name%3Db", "/api/v1/watch/namespaces/a/pods/b?watch=0", "/api/v1/watch/pods?fieldSelector=metadata.name%3Da", "/api/v1/namespaces?labelSelector=x",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete} {
			f.Add(method, seed)
		}
	}
	theirs := &kuberequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	f.Fuzz(func(t *testing.T, method, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Path == "" || u.Host != "" {
			t.Skip()
		}
		r := &http.Request{Method: method, URL: u}
		ours, err := Parse(r)
		if err != nil || !ours.Kubernetes || ours.Cluster != "" {
			return
		}
		switch method {
		case "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD":
		default:
			return
		}
		kube, err := theirs.NewRequestInfo(r)
		if err != nil {
			return
		}
		if kube.IsResourceRequest != ours.IsResourceRequest {
			t.Fatalf("%s %s: resource request %v, kube-apiserver says %v", method, target, ours.IsResourceRequest, kube.IsResourceRequest)
		}
		if !kube.IsResourceRequest {
			return
		}
		if kube.Resource == "pods" && connections[kube.Subresource] && kube.Verb == "get" {
			kube.Verb = "create" // on purpose, see refineVerb
		}
		if kube.Verb != ours.Verb || kube.APIGroup != ours.APIGroup || kube.APIVersion != ours.APIVersion || kube.Namespace != ours.Namespace ||
			kube.Resource != ours.Resource || kube.Subresource != ours.Subresource || kube.Name != ours.Name {
			t.Fatalf("%s %s:\nours %+v\ntheirs %+v", method, target, ours, kube)
		}
		// And so is what is forwarded of it.
		again, err := Parse(ours.WithoutTrailingSlash(r))
		if err != nil || again.Verb != ours.Verb || again.Path != ours.Path || again.Resource != ours.Resource || again.Name != ours.Name || again.Scope != ours.Scope {
			t.Fatalf("%s %s: forwarded %+v, %v", method, target, again, err)
		}
	})
}
