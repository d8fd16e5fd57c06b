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

// TestPolicyKnowsEverybody: the policy platform-objects refuses the subjects that only
// administrators of the platform add here.
func TestPolicyKnowsEverybody(t *testing.T) {
	want := slices.Sorted(slices.Values(everybody))
	if listed := policies.List(t, "platform-objects", "everybody"); !slices.Equal(listed, want) {
		t.Errorf("the policy platform-objects knows %q, this package %q", listed, want)
	}
}
