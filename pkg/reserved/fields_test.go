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
	bindings := schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "rolebindings"}
	clusterRoles := schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}
	clusterBindings := schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}
	groups := schema.GroupResource{Group: "iam.kubesphere.io", Resource: "groups"}
	users := schema.GroupResource{Group: "iam.kubesphere.io", Resource: "users"}
	workspaces := schema.GroupResource{Group: "tenant.kubesphere.io", Resource: "workspaces"}
	templates := schema.GroupResource{Group: "tenant.kubesphere.io", Resource: "workspacetemplates"}
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
		{"a new role that stays when it is deleted", roles, nil, finalized, []string{"metadata.finalizers"}},
		{"a new binding that stays", bindings, nil, finalized, []string{"metadata.finalizers"}},
		{"a binding that stays from now on", bindings, object(nil, nil), finalized, []string{"metadata.finalizers"}},
		{"a cluster role that stays", clusterRoles, object(nil, nil), finalized, []string{"metadata.finalizers"}},
		{"a new binding of a cluster role that stays", clusterBindings, nil, finalized, []string{"metadata.finalizers"}},
		{"a binding that stays no more", bindings, finalized, object(nil, nil), nil},
		{"a binding that stayed", bindings, finalized, finalized, nil},
		{"a new binding with an owner", bindings, nil, owned, []string{"metadata.ownerReferences"}},
		{"a role with an owner", roles, object(nil, nil), owned, []string{"metadata.ownerReferences"}},
		{"an owner", groups, object(nil, nil), owned, []string{"metadata.ownerReferences"}},
		{"a parent", groups, nil, object(values{"iam.kubesphere.io/group-parent": "p"}, nil), []string{"the label iam.kubesphere.io/group-parent"}},
		{"a role of the platform", roles, nil, object(nil, values{"kubesphere.io/creator": "system"}), []string{"the annotation kubesphere.io/creator"}},
		{"no role of the platform any more", roles, object(nil, values{"kubesphere.io/creator": "system"}), object(nil, nil), []string{"the annotation kubesphere.io/creator"}},
		{"a role of a user", roles, nil, object(nil, values{"kubesphere.io/creator": "jane"}), nil},
		{"a part of a quota", quotas, nil, object(values{"quota.kubesphere.io/resourcequota": "q"}, nil), []string{"the label quota.kubesphere.io/resourcequota"}},
		{"a user of an identity provider", users, nil, object(values{"iam.kubesphere.io/identify-provider": "ldap", "iam.kubesphere.io/origin-uid": "jane"}, nil), []string{"the label iam.kubesphere.io/identify-provider", "the label iam.kubesphere.io/origin-uid"}},
		{"a user of this server", users, nil, object(values{"app.kubernetes.io/managed-by": "ks-apiserver"}, nil), []string{"the label app.kubernetes.io/managed-by"}},
		{"a user of another tool", users, nil, object(values{"app.kubernetes.io/managed-by": "helm"}, nil), nil},
		{"a group of this server", groups, nil, object(values{"app.kubernetes.io/managed-by": "ks-apiserver"}, nil), []string{"the label app.kubernetes.io/managed-by"}},
		{"what this server keeps at a workspace", workspaces, nil, object(nil, values{"ks-apiserver.kubesphere.io/applied": "x"}), []string{"the annotation ks-apiserver.kubesphere.io/applied"}},
		{"a workspace of this server", workspaces, nil, object(values{"app.kubernetes.io/managed-by": "ks-apiserver", "a": "b"}, nil), []string{"the label app.kubernetes.io/managed-by"}},
		{"another creator of a workspace", templates, object(nil, values{"kubesphere.io/creator": "c"}), object(nil, nil), []string{"the annotation kubesphere.io/creator"}},
		{"another resource", schema.GroupResource{Resource: "pods"}, nil, owned, nil},
	} {
		var got []string
		for _, field := range Default().Changed(test.resource, test.before, test.after) {
			got = append(got, field.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestWritten: what a client leaves out of the metadata that a handler keeps is no
// change of it, and what it names is.
func TestWritten(t *testing.T) {
	users := schema.GroupResource{Group: "iam.kubesphere.io", Resource: "users"}
	type values = map[string]string
	present := object(values{"iam.kubesphere.io/identify-provider": "ldap", "a": "b"}, values{"iam.kubesphere.io/identity-provider.oidc": "4711"})
	present.Finalizers = []string{"finalizers.kubesphere.io/users"}
	finalized := object(nil, nil)
	finalized.Finalizers = []string{"example.com/never"}
	keys := []string{"iam.kubesphere.io/identify-provider", "iam.kubesphere.io/identity-provider.*"}
	for _, test := range []struct {
		name   string
		wanted *metav1.ObjectMeta
		want   []string
	}{
		{"all left out", object(nil, nil), nil},
		{"the same", present, nil},
		{"another label", object(values{"a": "c"}, nil), nil},
		{"another provider", object(values{"iam.kubesphere.io/identify-provider": "oidc"}, nil), []string{"the label iam.kubesphere.io/identify-provider"}},
		{"one more provider", object(nil, values{"iam.kubesphere.io/identity-provider.github": "1"}), []string{"the annotation iam.kubesphere.io/identity-provider.github"}},
		{"a finalizer", finalized, []string{"metadata.finalizers"}},
	} {
		after := Written(present, test.wanted)
		KeepOmitted(users, present, after, keys...)
		var got []string
		for _, field := range (*Register)(nil).Changed(users, present, after) {
			got = append(got, field.String())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if Keep(users, present, after, keys...); test.name != "a finalizer" && len((*Register)(nil).Changed(users, present, after)) > 0 {
			t.Errorf("%s: kept %+v", test.name, after)
		}
	}
}

// TestUnreserved: what a template says of an object that is made of it does not
// include what is reserved there.
func TestUnreserved(t *testing.T) {
	type values = map[string]string
	labels, annotations := Unreserved(schema.GroupResource{Group: "tenant.kubesphere.io", Resource: "workspaces"},
		values{"app.kubernetes.io/managed-by": "ks-apiserver", "kubesphere.io/workspace": "w", "a": "b"}, values{"ks-apiserver.kubesphere.io/applied": "x", "c": "d"})
	if len(labels) != 1 || labels["a"] != "b" || len(annotations) != 1 || annotations["c"] != "d" {
		t.Errorf("left %v, %v", labels, annotations)
	}
	if labels, _ := Unreserved(schema.GroupResource{Group: "tenant.kubesphere.io", Resource: "workspaces"}, values{"app.kubernetes.io/managed-by": "helm"}, nil); len(labels) != 1 {
		t.Errorf("left %v", labels)
	}
}
