//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// forge is a GitLab whose codes are the numbers of its users.
func forge(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch code := r.PostFormValue("code"); {
		case r.URL.Path == "/token" && strings.Trim(code, "0123456789") == "" && code != "":
			_ = json.NewEncoder(w).Encode(map[string]string{"access_token": "token-" + code, "token_type": "Bearer"})
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		default:
			id := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer token-")
			_, _ = fmt.Fprintf(w, `{"id":%s,"username":"user%s","state":"active"}`, id, id)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// TestIdentities: a provider is added while the server runs, users link who
// they are there, and nobody takes what is somebody else's.
func TestIdentities(t *testing.T) {
	t.Parallel()
	const provider = "e2e.gitlab"
	server, cluster := forge(t), kubernetes(t, "")
	configuration := fmt.Sprintf("name: %s\ntype: GitlabIdentityProvider\nmappingMethod: manual\ndisplayName: The forge\nprovider:\n  clientID: us\n  clientSecret: e2e-client-secret\n  endpoint: {authURL: %[2]s/authorize, tokenURL: %[2]s/token, userInfoURL: %[2]s/user}\n", provider, server.URL)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "e2e-gitlab", Namespace: "kubesphere-system", Labels: map[string]string{"config.kubesphere.io/type": "identityprovider"}},
		Type:       "config.kubesphere.io/identityprovider", Data: map[string][]byte{"configuration.yaml": []byte(configuration)},
	}
	if err := cluster.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Delete(context.Background(), secret) })

	admin := shared.as(t, "admin", adminPassword)
	var shown struct {
		IdentityProviders []struct {
			Name, Title, Type, MappingMethod string
			Provider                         map[string]any
		} `json:"identityProviders"`
	}
	wait.For(t, "the provider to be shown", func() error {
		r := shared.get(t, "/kapis/config.kubesphere.io/v1alpha2/configs/oauth")
		if strings.Contains(string(r.body), "secret") {
			t.Fatalf("a secret is shown: %s", r.body)
		}
		if err := json.Unmarshal(r.body, &shown); err != nil || r.code != http.StatusOK {
			t.Fatalf("%d %s", r.code, r.body)
		}
		if len(shown.IdentityProviders) != 1 {
			return fmt.Errorf("%s", r.body)
		}
		return nil
	})
	one := shown.IdentityProviders[0]
	if endpoint, _ := one.Provider["endpoint"].(map[string]any); one.Name != provider || one.Title != "The forge" || one.MappingMethod != "manual" || one.Provider["clientID"] != "us" || endpoint["authURL"] != server.URL+"/authorize" {
		t.Errorf("shown %+v", one)
	}

	for _, name := range []string{"e2e-link-a", "e2e-link-b"} {
		admin.must(t, http.StatusOK, http.MethodPost, iamPath+"/users", newUser(name, ""))
	}
	a, b := shared.as(t, "e2e-link-a", passwordOf("e2e-link-a")), shared.as(t, "e2e-link-b", passwordOf("e2e-link-b"))
	of := func(p person) string { return iamPath + "/users/" + p.name + "/identities" }
	proof := func(code string) any {
		return map[string]any{"provider": provider, "parameters": map[string]string{"code": code, "state": "x"}}
	}
	a.must(t, http.StatusBadRequest, http.MethodPost, of(a), proof("wrong"))
	a.must(t, http.StatusBadRequest, http.MethodPost, of(a), map[string]any{"provider": "unknown"})
	a.must(t, http.StatusForbidden, http.MethodPost, of(a), map[string]any{"provider": provider, "subject": "7"})
	a.must(t, http.StatusForbidden, http.MethodPost, of(b), proof("7"))
	a.must(t, http.StatusForbidden, http.MethodGet, of(b), nil)
	a.must(t, http.StatusOK, http.MethodPost, of(a), proof("7"))
	a.must(t, http.StatusOK, http.MethodPost, of(a), proof("7"))
	a.must(t, http.StatusConflict, http.MethodPost, of(a), proof("8"))
	b.must(t, http.StatusConflict, http.MethodPost, of(b), proof("7"))
	admin.must(t, http.StatusConflict, http.MethodPost, of(b), map[string]any{"provider": provider, "subject": "7"})
	admin.must(t, http.StatusOK, http.MethodPost, of(b), map[string]any{"provider": provider, "subject": "8"})
	if got := a.must(t, http.StatusOK, http.MethodGet, of(a), nil).body; !strings.Contains(string(got), `{"items":[{"provider":"e2e.gitlab","subject":"7"}],"totalItems":1}`) {
		t.Errorf("linked: %s", got)
	}
	stored := &iamv1alpha2.User{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Name: a.name}, stored); err != nil || stored.Annotations["iam.kubesphere.io/identity-provider."+provider] != "7" {
		t.Errorf("stored %+v, %v", stored.ObjectMeta, err)
	}
	a.must(t, http.StatusForbidden, http.MethodDelete, of(b)+"/"+provider, nil)
	a.must(t, http.StatusOK, http.MethodDelete, of(a)+"/"+provider, nil)
	a.must(t, http.StatusNotFound, http.MethodDelete, of(a)+"/"+provider, nil)
	b.must(t, http.StatusOK, http.MethodDelete, of(b)+"/"+provider, nil)
	b.must(t, http.StatusOK, http.MethodPost, of(b), proof("7"))
	for _, p := range []person{a, b} {
		admin.must(t, http.StatusOK, http.MethodDelete, iamPath+"/users/"+p.name, nil)
	}
}
