package authz

import (
	"slices"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/policies"
)

// TestPolicyKnowsPowers: the policy own-account refuses the verbs that are powers
// here, and no others.
func TestPolicyKnowsPowers(t *testing.T) {
	listed := policies.List(t, "own-account", "powers")
	for _, verb := range listed {
		if !isPowerVerb(verb) {
			t.Errorf("%s is no power", verb)
		}
	}
	for _, verb := range []string{"impersonate", verbEscalate, verbBind, "approve", "sign", "attest", "use", "unsafe-delete-ignore-read-errors"} {
		if !isPowerVerb(verb) || !strings.Contains(" "+strings.Join(listed, " ")+" ", " "+verb+" ") {
			t.Errorf("the policy own-account does not know the power %s", verb)
		}
	}
	if !isPowerVerb("impersonate:user-info") || isPowerVerb("get") {
		t.Error("powers are others than the policy own-account takes them for")
	}
}

// TestPolicyKnowsSubresources: the policy powers is about the subresources of types in
// namespaces that are powers here. A service account with the role of a project's
// administrator wrote the addresses of pods and services.
func TestPolicyKnowsSubresources(t *testing.T) {
	known := make(map[string]bool)
	for _, rule := range policies.Load(t, "powers").Spec.MatchConstraints.ResourceRules {
		for _, resource := range rule.Resources {
			known[rule.APIGroups[0]+"/"+resource] = true
		}
	}
	// Roles of namespaces give nothing of these. Not among them, since it has no status, is
	// csistoragecapacities: drivers write those by roles of their own namespaces.
	ofCluster := []string{"nodes", "namespaces", "persistentvolumes", "volumeattachments", "csinodes", "servicecidrs", "certificatesigningrequests",
		"customresourcedefinitions", "apiservices", "storageversions", "storageversionmigrations"}
	for resource, writes := range componentTypes {
		if !writes.status || slices.Contains(ofCluster, resource.Resource) {
			continue
		}
		if !known[resource.Group+"/"+resource.Resource+"/status"] {
			t.Errorf("the policy powers does not know %s/status", resource)
		}
	}
	for _, resource := range []string{"/serviceaccounts/token", "/pods/ephemeralcontainers", "/pods/binding", "/bindings", "/services", "/secrets", "certificates.k8s.io/podcertificaterequests"} {
		if !known[resource] {
			t.Errorf("the policy powers does not know %s", resource)
		}
	}
}

// TestPolicyKnowsEverybody: the policy platform-objects refuses the subjects that only
// administrators of the platform add here.
func TestPolicyKnowsEverybody(t *testing.T) {
	want := slices.Sorted(slices.Values(everybody))
	if listed := policies.List(t, "platform-objects", "everybody"); !slices.Equal(listed, want) {
		t.Errorf("the policy platform-objects knows %q, this package %q", listed, want)
	}
}
