package kubeproxy

import (
	"slices"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/policies"
)

// TestPoliciesLookIntoTheSame: the policies decide about writes that go to
// kube-apiserver directly as the proxy does about those it forwards.
func TestPoliciesLookIntoTheSame(t *testing.T) {
	limited := policies.List(t, "owned-objects", "limitedCounts")
	want := append([]string{"resourcequotas"}, countsOfServer...) // the first is the type of the object
	slices.Sort(want)
	if !slices.Equal(limited, want) {
		t.Errorf("the policy owned-objects knows the counts %q, the proxy %q", limited, want)
	}
	for _, group := range policies.List(t, "platform-objects", "decidingGroups") {
		if !selectsPlatform([]string{group}, nil, nil) {
			t.Errorf("the policy platform-objects takes webhooks for %s for interceptors, the proxy does not", group)
		}
	}
	for _, group := range policies.List(t, "platform-objects", "addOnGroups") {
		if isKubernetesGroup(group) {
			t.Errorf("the policy platform-objects takes %s for a group of add-ons, the proxy does not", group)
		}
	}
	for _, group := range []string{"*", "rbac.authorization.k8s.io", groupAdmission, groupAggregation, groupDefinitions, "certificates.k8s.io", "authentication.k8s.io", "authorization.k8s.io"} {
		if !slices.Contains(policies.List(t, "platform-objects", "decidingGroups"), group) {
			t.Errorf("the policy platform-objects does not know the group %s", group)
		}
	}
}
