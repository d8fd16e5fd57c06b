package extensions

import (
	"net/http"
	"net/http/httptest"
	"testing"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
)

// TestCookies: browsers take more lines than net/http does.
func TestCookies(t *testing.T) {
	for line, want := range map[string]string{
		"ks-login=x": "", `ks-login="a\b"`: "", " ks-visit =x": "", "=ks-visit=x": "", "__Secure-ks-return=x; Secure": "", "ks-login": "",
		"theme=dark; Partitioned": "theme=dark; Partitioned", "works-login=x": "works-login=x",
	} {
		back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Add("Set-Cookie", line) }))
		answer, _ := ask(t, http.MethodGet, front(t, proxyClaim(back.URL, v1alpha1.Directives{}), nil).URL+"/proxy", "", nil)
		if got := answer.Header.Get("Set-Cookie"); got != want {
			t.Errorf("%s: %q", line, got)
		}
		back.Close()
	}
}
