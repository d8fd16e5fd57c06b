package kube

import (
	"context"
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
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(Acting(&rest.Config{Host: cluster.URL, BearerToken: "ours"}), client.Options{Scheme: scheme, Mapper: mapper(scheme)})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		ctx    context.Context
		user   string
		groups []string
	}{
		{"nobody", t.Context(), FieldManager, []string{AuthorizedGroup}},
		{"somebody", WithCaller(t.Context(), &user.DefaultInfo{Name: "jane", Groups: []string{"devs", "system:masters"}}), "jane", []string{AuthorizedGroup, "devs"}},
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

// mapper knows the resources without asking a cluster.
func mapper(scheme *runtime.Scheme) meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(scheme.PrioritizedVersionsAllGroups())
	m.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	return m
}
