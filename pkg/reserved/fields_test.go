package reserved

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func object(labels, annotations map[string]string) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{Name: "o", Labels: labels, Annotations: annotations}
}

func TestChanged(t *testing.T) {
	namespaces := schema.GroupResource{Resource: "namespaces"}
	roles := schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "roles"}
	groups := schema.GroupResource{Group: "iam.kubesphere.io", Resource: "groups"}
	quotas := schema.GroupResource{Resource: "resourcequotas"}
	type values = map[string]string
	before := object(values{"kubesphere.io/workspace": "w", "kubesphere.io/namespace": "o", "a": "b"}, values{"kubesphere.io/creator": "c"})
	finalized := object(nil, nil)
	finalized.Finalizers = []string{"example.com/never"}
	owned := object(nil, nil)
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: "WorkspaceTemplate", Name: "other"}}
	for _, test := range []struct {
		name          string
		resource      schema.GroupResource
		before, after metav1.Object
		want          []string
	}{
		{"nothing", namespaces, before, before, nil},
		{"another label", namespaces, before, object(values{"kubesphere.io/workspace": "w", "kubesphere.io/namespace": "o", "a": "c"}, values{"kubesphere.io/creator": "c", "d": "e"}), nil},
		{"another workspace", namespaces, before, object(values{"kubesphere.io/workspace": "v", "kubesphere.io/namespace": "o"}, values{"kubesphere.io/creator": "c"}), []string{"the label kubesphere.io/workspace"}},
		{"the creator's second turn", namespaces, before, object(values{"kubesphere.io/workspace": "w"}, values{"kubesphere.io/creator": "d"}), []string{"the annotation kubesphere.io/creator", "the label kubesphere.io/namespace"}},
		{"what pods may do", namespaces, nil, object(values{"pod-security.kubernetes.io/enforce": "privileged"}, nil), []string{"the label pod-security.kubernetes.io/enforce"}},
		{"a DevOps project", namespaces, nil, object(values{"kubesphere.io/devopsproject": "d"}, nil), []string{"the label kubesphere.io/devopsproject"}},
		{"a finalizer", namespaces, object(nil, nil), finalized, []string{"metadata.finalizers"}},
		{"a finalizer removed", namespaces, finalized, object(nil, nil), []string{"metadata.finalizers"}},
		{"an owner", groups, object(nil, nil), owned, []string{"metadata.ownerReferences"}},
		{"a parent", groups, nil, object(values{"iam.kubesphere.io/group-parent": "p"}, nil), []string{"the label iam.kubesphere.io/group-parent"}},
		{"a role of the platform", roles, nil, object(nil, values{"kubesphere.io/creator": "system"}), []string{"the annotation kubesphere.io/creator"}},
		{"no role of the platform any more", roles, object(nil, values{"kubesphere.io/creator": "system"}), object(nil, nil), []string{"the annotation kubesphere.io/creator"}},
		{"a role of a user", roles, nil, object(nil, values{"kubesphere.io/creator": "jane"}), nil},
		{"a part of a quota", quotas, nil, object(values{"quota.kubesphere.io/resourcequota": "q"}, nil), []string{"the label quota.kubesphere.io/resourcequota"}},
		{"another resource", schema.GroupResource{Resource: "pods"}, nil, owned, nil},
	} {
		var got []string
		for _, field := range Changed(test.resource, test.before, test.after) {
			got = append(got, field.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
