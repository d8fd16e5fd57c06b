package kube

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestActing: requests carry our own credentials and the name of the caller.
// client-go sets a token before it calls what a configuration wraps, so that it
// must not be taken for the caller's.
func TestActing(t *testing.T) {
	var got http.Header
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}`))
	}))
	defer cluster.Close()
	identify := func(_ *http.Request, who user.Info) (Identity, error) {
		return Identity{Groups: []string{"kubesphere:global:a"}, Own: who.GetName() == "shy"}, nil
	}
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(Acting(&rest.Config{Host: cluster.URL, BearerToken: "ours"}, identify), client.Options{Scheme: scheme, Mapper: mapper(scheme)})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		ctx    context.Context
		user   string
		groups []string
	}{
		{"nobody", t.Context(), "", nil},
		{"this server for somebody", AsServer(WithCaller(t.Context(), &user.DefaultInfo{Name: "jane"})), "", nil},
		{"somebody for whom this server acts", WithCaller(t.Context(), &user.DefaultInfo{Name: "shy", Groups: []string{"devs"}}), "", nil},
		{"somebody", WithCaller(t.Context(), &user.DefaultInfo{Name: "jane", Groups: []string{"devs", "system:masters", user.AllAuthenticated, "kubesphere:global:b"}}), "jane", []string{"devs", "kubesphere:global:a"}},
		{"somebody as another", WithCaller(t.Context(), &Another{DefaultInfo: user.DefaultInfo{Name: "jane", Groups: []string{"system:masters", "KubeSphere:global:b"}}, By: &user.DefaultInfo{Name: "boss"}}), "jane", []string{"kubesphere:global:a", "system:masters"}},
		{"nobody in particular", WithCaller(t.Context(), &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}), user.Anonymous, []string{"kubesphere:global:a", user.AllUnauthenticated}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := c.Get(test.ctx, client.ObjectKey{Namespace: "default", Name: "a"}, &corev1.ConfigMap{}); err != nil {
				t.Fatal(err)
			}
			if got.Get("Authorization") != "Bearer ours" || got.Get("Impersonate-User") != test.user || !slices.Equal(got.Values("Impersonate-Group"), test.groups) {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestAnother: Kubernetes is told everything of whom a request is made as, and
// who asked; what this server says of its users stays here.
func TestAnother(t *testing.T) {
	header := http.Header{"Impersonate-Extra-Old": {"a"}, "Impersonate-Uid": {"2"}}
	Impersonate(t.Context(), header, &Another{By: &user.DefaultInfo{Name: "boss"}, DefaultInfo: user.DefaultInfo{
		Name: "jane", UID: "1", Extra: map[string][]string{"example.com/a": {"b", "c"}, "with space%": {"d"}, ExtraPrefix + "scopes": {"read"}},
	}})
	want := http.Header{
		"Impersonate-User": {"jane"}, "Impersonate-Uid": {"1"}, "Impersonate-Extra-example.com%2Fa": {"b", "c"},
		"Impersonate-Extra-with%20space%25": {"d"}, "Impersonate-Extra-ks-apiserver.kubesphere.io%2Fimpersonator": {"boss"},
	}
	if !maps.EqualFunc(header, want, slices.Equal) {
		t.Errorf("got %v", header)
	}
}

// mapper knows the resources without asking a cluster.
func mapper(scheme *runtime.Scheme) meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(scheme.PrioritizedVersionsAllGroups())
	m.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	return m
}
