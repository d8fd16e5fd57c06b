package policies

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"
)

// Dir is the directory of the policies.
func Dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "deploy", "kustomize", "policies")
}

// Names are the names of all policies, without the suffix they share.
var Names = []string{"connect", "owned-labels", "owned-objects", "own-account", "platform-namespace", "platform-objects", "powers"}

// Load returns the policy of a name.
func Load(t testing.TB, name string) *admissionv1.ValidatingAdmissionPolicy {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(Dir(), name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	policy := &admissionv1.ValidatingAdmissionPolicy{}
	if err := yaml.UnmarshalStrict(content, policy); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return policy
}

var literal = regexp.MustCompile(`'([^']*)'`)

// Literals returns the string literals of an expression, sorted.
func Literals(expression string) []string {
	var values []string
	for _, match := range literal.FindAllStringSubmatch(expression, -1) {
		values = append(values, match[1])
	}
	slices.Sort(values)
	return values
}

// List returns the values of a variable of a policy that is a list of strings,
// sorted.
func List(t testing.TB, policy, variable string) []string {
	t.Helper()
	for _, one := range Load(t, policy).Spec.Variables {
		if one.Name == variable {
			return Literals(one.Expression)
		}
	}
	t.Fatalf("the policy %s has no variable %s", policy, variable)
	return nil
}
