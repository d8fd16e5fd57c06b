package authz

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"pgregory.net/rapid"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// someServed is a part of what a cluster serves: types with powers beside others, in
// groups with them and without.
var someServed = func() []ServedResource {
	var served []ServedResource
	for line := range strings.Lines(`
 namespaces namespaces/finalize namespaces/status nodes nodes/proxy nodes/status persistentvolumes
+ pods pods/exec pods/log pods/proxy pods/status pods/binding pods/ephemeralcontainers pods/eviction bindings secrets services services/proxy serviceaccounts serviceaccounts/token
apps+ deployments deployments/scale deployments/status
batch+ jobs jobs/status
example.com+ widgets widgets/status
example.com globals
exposed.example.com+ pods pods/console
iam.kubesphere.io users globalroles
network.kubesphere.io ippools
network.kubesphere.io+ namespacenetworkpolicies
networking.k8s.io+ ingresses ingresses/status
networking.k8s.io ipaddresses
rbac.authorization.k8s.io+ roles rolebindings
rbac.authorization.k8s.io clusterroles
resource.k8s.io+ resourceclaims resourceclaims/driver resourceclaims/status
certificates.k8s.io certificatesigningrequests certificatesigningrequests/approval certificatesigningrequests/status
`) {
		group, names, _ := strings.Cut(line, " ")
		group, namespaced := strings.CutSuffix(group, "+")
		for name := range strings.FieldsSeq(names) {
			resource, subresource, _ := strings.Cut(name, "/")
			served = append(served, ServedResource{Group: group, Resource: resource, Subresource: subresource, Namespaced: namespaced})
		}
	}
	return served
}()

var everyVerb = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

// TestExpandedMeansTheSame: of what the cluster serves, Kubernetes permits by expanded
// rules what this server permits by their source, but for what this server writes itself.
func TestExpandedMeansTheSame(t *testing.T) {
	pick := func(values ...string) *rapid.Generator[[]string] {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(values), 1, 3, rapid.ID[string])
	}
	rule := rapid.Custom(func(t *rapid.T) rbacv1.PolicyRule {
		r := rbacv1.PolicyRule{
			Verbs:     pick("*", "get", "list", "create", "update", "delete", "impersonate", "escalate").Draw(t, "verbs"),
			APIGroups: pick("*", "", "apps", "example.com", "exposed.example.com", "networking.k8s.io", "rbac.authorization.k8s.io", "resource.k8s.io", "iam.kubesphere.io", "gone.example.com").Draw(t, "groups"),
			Resources: pick("*", "*/status", "*/proxy", "pods", "pods/exec", "pods/log", "widgets", "users", "namespaces", "namespaces/finalize", "serviceaccounts/token", "nodes/proxy", "ingresses", "ipaddresses", "secrets").Draw(t, "resources"),
		}
		if rapid.IntRange(0, 4).Draw(t, "named") == 0 {
			r.ResourceNames = []string{"a"}
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.SliceOfN(rule, 1, 3).Draw(t, "rules")
		namespaced := rapid.Bool().Draw(t, "namespaced")
		expanded := Expand(source, someServed, namespaced)
		for _, one := range someServed {
			if namespaced && !one.Namespaced && one.Resource != "namespaces" {
				continue // no request in a namespace is for it
			}
			for _, verb := range append(slices.Clone(everyVerb), "impersonate", "escalate") {
				for _, name := range []string{"a", "b"} {
					record := authorizer.AttributesRecord{ResourceRequest: true, Verb: verb, APIGroup: one.Group, Resource: one.Resource, Subresource: one.Subresource, Name: name}
					want := permits(source, record, false)
					switch {
					case isPowerVerb(verb):
						want = false
					case !isRead(verb) && slices.Contains(ownGroups, one.Group), namespaced && (verb == "create" || verb == "deletecollection") && one.Group == "" && one.Resource == "namespaces":
						want = false
					case isRead(verb) && one.Group == "" && slices.Contains(connections, one.Subresource):
						// Reading everything connects to nothing: the rule has to name it, or to
						// create it.
						want = slices.ContainsFunc(source, func(rule rbacv1.PolicyRule) bool {
							return permits([]rbacv1.PolicyRule{rule}, record, false) && (namesResource(&rule, one.Resource, one.Subresource) || matches(rule.Verbs, "create"))
						})
					}
					if got := allowedLiterally(expanded, record); got != want {
						t.Fatalf("%s %s %q of %q: Kubernetes %v, here %v, by\n%v", verb, one.combined(), name, one.Group, got, want, expanded)
					}
				}
			}
		}
	})
}

// allowedLiterally is what Kubernetes decides.
func allowedLiterally(rules []rbacv1.PolicyRule, a authorizer.Attributes) bool {
	return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool { return allows(&rule, a) })
}

// TestExpandedHasNoPowers: a "*" of resources and verbs gives no power and no verb "*".
func TestExpandedHasNoPowers(t *testing.T) {
	for _, namespaced := range []bool{true, false} {
		for _, rule := range Expand(Everything(), someServed, namespaced) {
			if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.APIGroups, "*") {
				t.Errorf("all verbs or all groups: %v", rule)
			}
			// Who may create a connection to a pod or service may open it by a read, too.
			rule.Resources = slices.DeleteFunc(rule.Resources, func(name string) bool { return name == "pods/proxy" || name == "services/proxy" })
			if namesPower(&rule) {
				t.Errorf("a power: %v", rule)
			}
			if slices.Contains(rule.Resources, "*") && slices.ContainsFunc(rule.APIGroups, func(group string) bool {
				return slices.Contains(powerGroups, group) || slices.Contains(listedGroups, group)
			}) {
				t.Errorf("all resources of a group with powers: %v", rule)
			}
		}
	}
}

// TestExpandIsStable: the same rules and resources give the same rules in the same order,
// so that nothing is written anew.
func TestExpandIsStable(t *testing.T) {
	want := fmt.Sprint(Expand(Everything(), someServed, false))
	other := slices.Clone(someServed)
	slices.Reverse(other)
	for range 10 {
		if got := fmt.Sprint(Expand(Everything(), other, false)); got != want {
			t.Fatalf("%s\n%s", got, want)
		}
	}
}

// TestExpandedPaths: methods are in lower case, as kube-apiserver compares them, and roles
// in namespaces give no paths.
func TestExpandedPaths(t *testing.T) {
	source := []rbacv1.PolicyRule{{Verbs: []string{"GET", "get"}, NonResourceURLs: []string{"/apis"}}, {Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}}
	if got := Expand(source, nil, true); len(got) != 0 {
		t.Errorf("in a namespace: %v", got)
	}
	got := Expand(source, nil, false)
	if len(got) != 2 || !slices.Equal(got[0].Verbs, []string{"get"}) || !slices.Equal(got[1].Verbs, methods) {
		t.Errorf("got %v", got)
	}
}

// TestExpandedWithoutDiscovery: types that are not known yet are named by their groups.
func TestExpandedWithoutDiscovery(t *testing.T) {
	for _, test := range []struct {
		name   string
		source []rbacv1.PolicyRule
		want   string
	}{
		{"a group that is not served", rules("*", "new.example.com", "*"), "[new.example.com] [*] 8 verbs"},
		{"a type of the core group by name", rules("get", "", "signers,pods"), "[] [pods signers] 1 verbs"},
		{"in all groups", rules("get", "*", "unknown"), ""},
	} {
		var got []string
		for _, rule := range Expand(test.source, nil, false) {
			got = append(got, fmt.Sprint(rule.APIGroups, " ", rule.Resources, " ", len(rule.Verbs), " verbs"))
		}
		if strings.Join(got, "; ") != test.want {
			t.Errorf("%s: %q, not %q", test.name, got, test.want)
		}
	}
	if verbs := iam.ExplicitVerbs(Everything())[0].Verbs; len(verbs) != len(everyVerb) {
		t.Errorf("verbs: %v", verbs)
	}
}
