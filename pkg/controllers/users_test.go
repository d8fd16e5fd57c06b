package controllers

import (
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// The caches of users and bindings are not in step: neither may a member lose a
// group since the binding is not in the cache yet, nor get one back since the
// binding still is.
func TestMembershipsOfAnOldCache(t *testing.T) {
	group := func(name string) *iamv1alpha2.Group {
		g := &iamv1alpha2.Group{}
		g.Name, g.Finalizers = name, []string{iamv1alpha2.FinalizerGroup}
		return g
	}
	created := group("devs")
	created.Finalizers = nil
	binding := func(name string, labelled bool) *iamv1alpha2.GroupBinding {
		b := &iamv1alpha2.GroupBinding{Users: []string{"gina"}}
		b.Name, b.UID, b.GroupRef.Name = name, "uid-1", "devs"
		if labelled {
			b.Labels = map[string]string{iamv1alpha2.LabelUserReference: "gina"}
		}
		return b
	}
	for _, test := range []struct {
		name         string
		has          []string
		cached, live []client.Object
		want         []string
	}{
		{"a new binding is not in the cache", []string{"devs"}, []client.Object{group("devs")}, []client.Object{group("devs"), binding("new", true)}, []string{"devs"}},
		{"a deleted binding is in the cache", nil, []client.Object{group("devs"), binding("old", true)}, []client.Object{group("devs")}, nil},
		{"a deleted binding without a label is in the cache", nil, []client.Object{group("devs"), binding("old", false)}, []client.Object{group("devs")}, nil},
		{"a deleted group is in the cache", nil, []client.Object{group("devs"), binding("old", true)}, []client.Object{binding("old", true)}, nil},
		{"a new group is not in the cache", []string{"devs"}, nil, []client.Object{group("devs"), binding("new", true)}, []string{"devs"}},
		{"a binding is added by others", nil, []client.Object{group("devs"), binding("new", false)}, []client.Object{group("devs"), binding("new", false)}, []string{"devs"}},
		{"a group is created by others", []string{"devs"}, []client.Object{created}, []client.Object{created}, []string{"devs"}},
		{"a binding is deleted by others", []string{"devs", "external"}, []client.Object{group("devs")}, []client.Object{group("devs")}, []string{"external"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			user := &iamv1alpha2.User{Spec: iamv1alpha2.UserSpec{Groups: test.has}}
			user.Name = "gina"
			live := cluster(t, append(test.live, user)...)
			reconciler := &users{client: cluster(t, test.cached...), live: live, now: time.Now}
			got, err := reconciler.memberships(t.Context(), user)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
}
