package extensions

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
)

// service is an APIService; those with higher ages are older.
func service(name, group, version, url string, age int) v1alpha1.APIService {
	return v1alpha1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(int64(1000-age), 0))},
		Spec:       v1alpha1.APIServiceSpec{Group: group, Version: version, Endpoint: v1alpha1.Endpoint{URL: url}},
	}
}

func reverseProxy(name, path, method, url string) v1alpha1.ReverseProxy {
	return v1alpha1.ReverseProxy{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1000, 0))},
		Spec:       v1alpha1.ReverseProxySpec{Matcher: v1alpha1.Matcher{Path: path, Method: method}, Upstream: v1alpha1.Endpoint{URL: url}},
	}
}

func tableOf(t *testing.T, services []v1alpha1.APIService, proxies []v1alpha1.ReverseProxy) *table {
	t.Helper()
	claims, rejected := claimsOf(services, proxies)
	var backends []*backend
	for _, c := range claims {
		b, err := newBackend(c, nil, leftAlone)
		if err != nil {
			t.Fatal(err)
		}
		backends = append(backends, b)
	}
	return newTable(backends, rejected)
}

// TestFind: who serves what.
func TestFind(t *testing.T) {
	table := tableOf(t,
		[]v1alpha1.APIService{service("devops", "devops.kubesphere.io", "v1alpha3", "http://a", 0)},
		[]v1alpha1.ReverseProxy{
			reverseProxy("all", "/proxy/x/*", "*", "http://a"), reverseProxy("inner", "/proxy/x/y/*", "", "http://a"),
			reverseProxy("posts", "/proxy/x/*", "post", "http://a"), reverseProxy("exact", "/proxy/x", "", "http://a"),
		})
	for request, want := range map[string]string{
		"GET /kapis/devops.kubesphere.io/v1alpha3/pipelines": "APIService/devops", "GET /kapis/devops.kubesphere.io/v1alpha3": "APIService/devops",
		"GET /kapis/devops.kubesphere.io/v1alpha30/x": "", "GET /kapis/devops.kubesphere.io/v1alpha1/x": "", "GET /kapis/devops.kubesphere.io": "",
		"GET /proxy/x/a": "ReverseProxy/all", "POST /proxy/x/a": "ReverseProxy/posts", "GET /proxy/x/y/z": "ReverseProxy/inner", "POST /proxy/x/y/z": "ReverseProxy/inner",
		"GET /proxy/x": "ReverseProxy/exact", "GET /proxy/xy": "", "GET /": "", "GET /proxy/x/": "ReverseProxy/all",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ""
		if b := table.find(method, path); b != nil {
			got = b.id()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
}

// TestRejected: what is not used, and why.
func TestRejected(t *testing.T) {
	both := service("both", "b.io", "v1", "http://a", 0)
	both.Spec.Service = &v1alpha1.ServiceReference{Namespace: "a", Name: "b"}
	broken := service("broken", "c.io", "v1", "https://a", 0)
	broken.Spec.CABundle = []byte("no certificate")
	header := reverseProxy("header", "/proxy/h/*", "", "http://a")
	header.Spec.Directives.HeaderUp = []string{"X-A: b"}
	for name, test := range map[string]struct {
		services []v1alpha1.APIService
		proxies  []v1alpha1.ReverseProxy
		id, want string
	}{
		"the younger of two":           {[]v1alpha1.APIService{service("younger", "a.io", "v1", "http://a", 1), service("older", "a.io", "v1", "http://b", 2)}, nil, "APIService/younger", "belongs to APIService older"},
		"no address":                   {[]v1alpha1.APIService{service("none", "a.io", "v1", "", 1)}, nil, "APIService/none", "exactly one of url and service"},
		"two addresses":                {[]v1alpha1.APIService{both}, nil, "APIService/both", "exactly one of url and service"},
		"no HTTP":                      {[]v1alpha1.APIService{service("file", "a.io", "v1", "file:///etc/passwd", 1)}, nil, "APIService/file", "HTTP server"},
		"a password in the URL":        {[]v1alpha1.APIService{service("user", "a.io", "v1", "http://u:p@a", 1)}, nil, "APIService/user", "HTTP server"},
		"no certificates":              {[]v1alpha1.APIService{broken}, nil, "APIService/broken", "caBundle"},
		"the API of Kubernetes":        {nil, []v1alpha1.ReverseProxy{reverseProxy("api", "/api/*", "", "http://a")}, "ReverseProxy/api", "/api"},
		"the token service":            {nil, []v1alpha1.ReverseProxy{reverseProxy("oauth", "/oauth/token", "", "http://a")}, "ReverseProxy/oauth", "/oauth"},
		"an API group by its path":     {nil, []v1alpha1.ReverseProxy{reverseProxy("kapis", "/kapis/a.io/v1/*", "", "http://a")}, "ReverseProxy/kapis", "/kapis"},
		"everything":                   {nil, []v1alpha1.ReverseProxy{reverseProxy("all", "/*", "", "http://a")}, "ReverseProxy/all", "less than everything"},
		"a path no request has":        {nil, []v1alpha1.ReverseProxy{reverseProxy("dots", "/proxy/../api/*", "", "http://a")}, "ReverseProxy/dots", "not one a request can have"},
		"a header with a colon":        {nil, []v1alpha1.ReverseProxy{header}, "ReverseProxy/header", "no change of a header"},
		"the same path for one method": {nil, []v1alpha1.ReverseProxy{reverseProxy("a", "/p/*", "GET", "http://a"), reverseProxy("b", "/p/*", "get", "http://a")}, "ReverseProxy/b", "belongs to ReverseProxy a"},
	} {
		t.Run(name, func(t *testing.T) {
			claims, rejected := claimsOf(test.services, test.proxies)
			if len(rejected) != 1 || !strings.Contains(rejected[test.id], test.want) {
				t.Errorf("rejected %v, want %s: %s", rejected, test.id, test.want)
			}
			if len(claims) != len(test.services)+len(test.proxies)-1 {
				t.Errorf("%d are used", len(claims))
			}
		})
	}
}
