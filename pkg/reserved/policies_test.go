package reserved

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/super-kubenetes/ks-apiserver/test/policies"
)

// TestPoliciesKnowTheFields: the ValidatingAdmissionPolicies guard the reserved fields
// of Kubernetes' own types against callers of kube-apiserver. A field that is new here
// is new there.
func TestPoliciesKnowTheFields(t *testing.T) {
	var labels, prefixes, annotations []string
	for _, field := range fields[schema.GroupResource{Resource: "namespaces"}] {
		switch {
		case field.place == label && field.key == LabelManagedBy && field.value == ManagedByServer,
			field.place == annotation && field.key == "kubesphere.io/creator" && field.Right == OwnName,
			field.place == finalizers, field.place == ownerReferences:
			// These have expressions of their own.
			expression := field.key
			if expression == "" {
				expression = strings.TrimPrefix(field.String(), "the ")
			}
			if !mentions(t, "owned-labels", expression) {
				t.Errorf("the policy owned-labels does not know %s", field)
			}
		case field.place == label && field.value == "" && strings.HasSuffix(field.key, "*"):
			prefixes = append(prefixes, strings.TrimSuffix(field.key, "*"))
		case field.place == annotation && field.value == "" && strings.HasSuffix(field.key, "*"):
			annotations = append(annotations, strings.TrimSuffix(field.key, "*"))
		case field.place == label && field.value == "":
			labels = append(labels, field.key)
		default:
			t.Errorf("the policy owned-labels has no way to guard %s of namespaces", field)
		}
	}
	slices.Sort(labels)
	slices.Sort(prefixes)
	slices.Sort(annotations)
	if got := policies.List(t, "owned-labels", "reservedAnnotationPrefixes"); !slices.Equal(got, annotations) {
		t.Errorf("the policy owned-labels has the prefixes of annotations %q, the register %q", got, annotations)
	}
	if got := policies.List(t, "owned-labels", "reservedLabels"); !slices.Equal(got, labels) {
		t.Errorf("the policy owned-labels has the labels %q, the register %q", got, labels)
	}
	if got := policies.List(t, "owned-labels", "reservedLabelPrefixes"); !slices.Equal(got, prefixes) {
		t.Errorf("the policy owned-labels has the prefixes %q, the register %q", got, prefixes)
	}
	for resource, policy := range map[schema.GroupResource]string{
		{Resource: "resourcequotas"}:                                          "owned-objects",
		{Resource: "limitranges"}:                                             "owned-objects",
		{Group: "rbac.authorization.k8s.io", Resource: "roles"}:               "platform-objects",
		{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}:        "platform-objects",
		{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}: "platform-objects",
	} {
		for _, field := range fields[resource] {
			if field.place == finalizers || field.place == ownerReferences {
				// Controllers write them at roles of their own; what takes rights away does
				// not depend on it.
				continue
			}
			if key := strings.TrimSuffix(field.key, "*"); key == "" || !mentions(t, policy, key) {
				t.Errorf("the policy %s does not know %s of %s", policy, field, resource)
			}
		}
	}
	for resource, lists := range map[string][]string{"resourcequotas": {"partLabels", "protectingLabels"}, "limitranges": {"protectingLabels"}} {
		var labels []string
		for _, list := range lists {
			labels = append(labels, policies.List(t, "owned-objects", list)...)
		}
		if want := Default().LockingLabels(schema.GroupResource{Resource: resource}); !slices.Equal(labels, want) {
			t.Errorf("the policy owned-objects locks %s by %q, the register by %q", resource, labels, want)
		}
	}
	for resource := range fields {
		switch resource.Group {
		case "", "rbac.authorization.k8s.io", groupIAM, groupTenant, groupQuota:
		case "gateway.kubesphere.io": // in a namespace of the platform, see platform-namespace
		default:
			t.Errorf("no policy guards the reserved fields of %s", resource)
		}
	}
}

// TestPoliciesKnowTheNames of cluster roles and roles that take all rights on the
// platform; what needs less is not for them.
func TestPoliciesKnowTheNames(t *testing.T) {
	for _, kind := range []Kind{ClusterRole, Role, ClusterRoleBinding, RoleBinding} {
		for _, reserved := range names[kind] {
			if reserved.right < Platform {
				continue
			}
			text := "'" + reserved.pattern + "'"
			if prefix, found := strings.CutSuffix(reserved.pattern, "*"); found {
				text = "startsWith('" + prefix + "')"
			}
			if !mentions(t, "platform-objects", text) {
				t.Errorf("the policy platform-objects does not know the name %s of a %s", reserved.pattern, kind)
			}
		}
	}
}

// mentions reports whether a text is in an expression of a policy.
func mentions(t *testing.T, policy, text string) bool {
	t.Helper()
	spec := policies.Load(t, policy).Spec
	for _, variable := range spec.Variables {
		if strings.Contains(variable.Expression, text) {
			return true
		}
	}
	for _, validation := range spec.Validations {
		if strings.Contains(validation.Expression, text) {
			return true
		}
	}
	return false
}
