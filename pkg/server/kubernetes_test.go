package server

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// What is below a proxy subresource gets there as it is, and nothing else past
// the mux.
func TestByteByByte(t *testing.T) {
	s := newServer(t, func(o *Options) {
		o.Kubernetes = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) })
	}, map[string]route.Handler{"a": text("a")})
	for target, code := range map[string]int{
		"/api/v1/namespaces/n/services/s/proxy/a//b": 200, "/api/v1/namespaces/n/pods/p:80/proxy/%2Fa;b//?c=//": 200, "/api/v1/nodes/n/proxy//": 200,
		"/api/v1/namespaces/n/services/s/proxy/a/../../b": 400, "/api/v1//pods": 400, "/api/v1/namespaces/n/services//s/proxy/a": 400, "/kapis/test.io//v1/a": 400,
	} {
		w := ask(s, http.MethodGet, target)
		if w.Code != code || code == 200 && w.Body.String() != target {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// Who is authorised is whom the request asks to be made as, after who sent it
// was authorised to ask.
func TestActingAs(t *testing.T) {
	var asked []string
	s := newServer(t, func(o *Options) {
		o.Kubernetes = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, _ := kuberequest.UserFrom(r.Context())
			_, _ = io.WriteString(w, who.GetName())
		})
		o.Authorizer = authorize(func(a authorizer.Attributes) (bool, error) {
			asked = append(asked, a.GetUser().GetName()+" "+a.GetVerb()+" "+a.GetResource()+" "+a.GetName())
			return a.GetVerb() != "impersonate" || a.GetUser().GetName() == "boss", nil
		})
	}, map[string]route.Handler{"a": text("a")})
	for _, test := range []struct {
		name, path, sender, as string
		code                   int
		body, asked            string
	}{
		{"oneself", "/api/v1/pods", "jane", "", 200, "jane", "jane list pods "},
		{"another", "/api/v1/pods", "boss", "jane", 200, "jane", "boss impersonate users jane,jane list pods "},
		{"another without the right", "/api/v1/pods", "jane", "boss", 403, "", "jane impersonate users boss"},
		{"elsewhere", "/kapis/test.io/v1/a", "boss", "jane", 400, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked = nil
			header := []string{"Authorization", test.sender}
			if test.as != "" {
				header = append(header, "Impersonate-User", test.as)
			}
			w := ask(s, http.MethodGet, test.path, header...)
			if w.Code != test.code || test.body != "" && w.Body.String() != test.body || !slices.Equal(asked, strings.FieldsFunc(test.asked, func(c rune) bool { return c == ',' })) {
				t.Errorf("%d %s, asked %q", w.Code, w.Body, asked)
			}
		})
	}
}
