package authn

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// TestHasToken: passwords of browsers were told from tokens by the extra, which carries
// what a password is compared by as well.
func TestHasToken(t *testing.T) {
	extra := func(keys ...string) user.Info {
		all := make(map[string][]string)
		for _, key := range keys {
			all[key] = []string{"x"}
		}
		return &user.DefaultInfo{Name: "jane", Extra: all}
	}
	for name, test := range map[string]struct {
		who  user.Info
		want bool
	}{
		"no user":    {nil, false},
		"no extra":   {&user.DefaultInfo{Name: "jane"}, false},
		"a session":  {extra(ExtraSession, ExtraAccount), true},
		"a personal": {extra(ExtraPersonalToken), true},
		"a password": {extra(ExtraPasswordDigest, ExtraAccount), false},
	} {
		if got := HasToken(test.who); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestPasswordDigestIsInternal: the digest is in the extra of a user with a password, and
// Kubernetes is not told of it.
func TestPasswordDigestIsInternal(t *testing.T) {
	w := &world{}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth("admin", "right")
	response, _, err := New(w, w, w, w, (*personal)(w)).AuthenticateRequest(r)
	if err != nil || len(response.User.GetExtra()[ExtraPasswordDigest]) != 1 {
		t.Fatalf("%+v, %v", response, err)
	}
	for name, who := range map[string]user.Info{"the user": response.User, "an impersonated one": &kube.Another{DefaultInfo: user.DefaultInfo{Name: "jane", Extra: response.User.GetExtra()}, By: response.User}} {
		header := http.Header{}
		kube.Impersonate(t.Context(), header, who)
		for key := range header {
			if key != "Impersonate-User" && key != "Impersonate-Group" && key != "Impersonate-Extra-"+"ks-apiserver.kubesphere.io%2Fimpersonator" {
				t.Errorf("%s: Kubernetes is sent %s", name, key)
			}
		}
	}
}
