package policies

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"

	manifests "github.com/super-kubenetes/ks-apiserver/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// oldest is the first version of Kubernetes with policies in admissionregistration/v1.
var oldest = version.MajorMinor(1, 30)

// TestPoliciesCompile: Kubernetes refuses a policy whose expressions do not compile,
// and an older version does not know all functions.
func TestPoliciesCompile(t *testing.T) {
	for _, name := range Names {
		policy := Load(t, name)
		if want := name + ".kubesphere.io"; policy.Name != want {
			t.Errorf("%s has the name %s", name, policy.Name)
		}
		compiler, err := plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(oldest))
		if err != nil {
			t.Fatal(err)
		}
		with, without := plugincel.OptionalVariableDeclarations{HasAuthorizer: true}, plugincel.OptionalVariableDeclarations{}
		compile := func(what string, expression plugincel.ExpressionAccessor, options plugincel.OptionalVariableDeclarations) {
			if result := compiler.CompileCELExpression(expression, options, environment.NewExpressions); result.Error != nil {
				t.Errorf("%s: %s: %v", name, what, result.Error)
			}
		}
		for n := range policy.Spec.MatchConditions {
			condition := policy.Spec.MatchConditions[n]
			compile(condition.Name, &matchconditions.MatchCondition{Name: condition.Name, Expression: condition.Expression}, with)
		}
		for _, variable := range policy.Spec.Variables {
			if result := compiler.CompileAndStoreVariable(&validating.Variable{Name: variable.Name, Expression: variable.Expression}, with, environment.NewExpressions); result.Error != nil {
				t.Errorf("%s: %s: %v", name, variable.Name, result.Error)
			}
		}
		for _, validation := range policy.Spec.Validations {
			compile(validation.Message, &validating.ValidationCondition{Expression: validation.Expression}, with)
			compile("the message of "+validation.Message, &validating.MessageExpressionCondition{MessageExpression: validation.MessageExpression}, without)
		}
	}
}

// TestPoliciesRefuse with 403 and words, and fail closed: a policy without a reason
// answers 422, one that ignores failures is none.
func TestPoliciesRefuse(t *testing.T) {
	for _, name := range Names {
		policy := Load(t, name)
		if policy.Spec.FailurePolicy == nil || *policy.Spec.FailurePolicy != admissionv1.Fail {
			t.Errorf("%s does not fail closed", name)
		}
		for _, validation := range policy.Spec.Validations {
			if validation.Reason == nil || *validation.Reason != metav1.StatusReasonForbidden || validation.Message == "" || validation.MessageExpression == "" {
				t.Errorf("%s: %s: the reason is %v, the message %q", name, validation.Expression, validation.Reason, validation.Message)
			}
		}
	}
}

// TestExemptions: all policies but those about the verb of a connection and the
// account of the server exempt the same callers.
func TestExemptions(t *testing.T) {
	exempt := map[string]string{}
	for _, name := range Names {
		for _, condition := range Load(t, name).Spec.MatchConditions {
			if condition.Name == "caller-is-not-exempt" {
				exempt[name] = condition.Expression
			}
		}
	}
	if len(exempt) != len(Names)-2 || exempt["connect"] != "" || exempt["own-account"] != "" {
		t.Errorf("exempting are %v", exempt)
	}
	for name, expression := range exempt {
		if expression != exempt["owned-labels"] {
			t.Errorf("%s exempts others: %s", name, expression)
		}
	}
}

// TestPlatformNamespaces: those of a server as it is configured by default.
func TestPlatformNamespaces(t *testing.T) {
	c := config.Default()
	want := reserved.New(reserved.Options{CredentialNamespaces: []string{c.Terminal.Kubectl.Namespace, c.Gateway.Namespace}}).CredentialNamespaces()
	selector := Load(t, "platform-namespace").Spec.MatchConstraints.NamespaceSelector
	if got := selector.MatchExpressions[0].Values; !slices.Equal(got, want) {
		t.Errorf("platform-namespace is about %v, the server about %v", got, want)
	}
	if got := List(t, "platform-objects", "platformNamespaces"); !slices.Equal(got, want) {
		t.Errorf("platform-objects is about %v, the server about %v", got, want)
	}
}

// inProjects are the groups whose objects are written in projects, by whoever has
// the right there.
var inProjects = []string{"gateway.kubesphere.io", "network.kubesphere.io"}

// TestPlatformGroups: a group this server defines types of is one of the platform.
func TestPlatformGroups(t *testing.T) {
	files, err := manifests.CRDs.ReadDir("crds")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range files {
		group, _, _ := strings.Cut(file.Name(), "_")
		if !slices.Contains(want, group) && !slices.Contains(inProjects, group) {
			want = append(want, group)
		}
		if !authz.IsPlatformGroup(group) {
			t.Errorf("%s is no group of the platform", group)
		}
	}
	slices.Sort(want)
	if got := Load(t, "platform-objects").Spec.MatchConstraints.ResourceRules[0].APIGroups; !slices.Equal(got, want) {
		t.Errorf("platform-objects is about %v, want %v", got, want)
	}
}

// TestBindings: each policy is bound, by a binding of its name.
func TestBindings(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(Dir(), "bindings.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names {
		if want := "policyName: " + name + ".kubesphere.io\n"; bytes.Count(content, []byte(want)) != 1 {
			t.Errorf("%s is not bound once", name)
		}
	}
}

// TestChartHasThePolicies: helm reads nothing outside of a chart, so that it has
// copies.
func TestChartHasThePolicies(t *testing.T) {
	copies := filepath.Join(Dir(), "..", "..", "helm", "ks-apiserver", "policies")
	entries, err := os.ReadDir(copies)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(Names) {
		t.Errorf("the chart has %d policies, want %d", len(entries), len(Names))
	}
	for _, name := range Names {
		want, err := os.ReadFile(filepath.Join(Dir(), name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(copies, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("the chart's %s.yaml differs: run make generate", name)
		}
	}
}

// TestAccountOfTheServer: the account the policies know is the one the
// manifests make.
func TestAccountOfTheServer(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(Dir(), "..", "rights", "serviceaccount.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), "name: ks-apiserver\n") {
		t.Errorf("another name: %s", content)
	}
	condition := Load(t, "own-account").Spec.MatchConditions[0].Expression
	if !strings.Contains(condition, "'system:serviceaccount:kubesphere-system:ks-apiserver'") {
		t.Errorf("the condition is %s", condition)
	}
}
