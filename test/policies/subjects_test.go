package policies

import (
	"encoding/json"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
)

// binding returns a binding to groups, nil for none.
func binding(t *testing.T, kind string, groups []string) runtime.Object {
	t.Helper()
	if groups == nil {
		return nil
	}
	object := rbacv1.RoleBinding{TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: kind}, ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	for _, group := range groups {
		object.Subjects = append(object.Subjects, rbacv1.Subject{Kind: rbacv1.GroupKind, Name: group})
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	decoded := &unstructured.Unstructured{}
	if err := decoded.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// TestSubjectsOfBindings: the policy platform-objects refuses bindings to everybody and to
// groups of the platform, unless they had these subjects before.
func TestSubjectsOfBindings(t *testing.T) {
	policy := Load(t, "platform-objects")
	compiler, err := plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(oldest))
	if err != nil {
		t.Fatal(err)
	}
	options := plugincel.OptionalVariableDeclarations{HasAuthorizer: true}
	for _, variable := range policy.Spec.Variables {
		compiler.CompileAndStoreVariable(&validating.Variable{Name: variable.Name, Expression: variable.Expression}, options, environment.NewExpressions)
	}
	var expressions []plugincel.ExpressionAccessor
	for _, validation := range policy.Spec.Validations {
		expressions = append(expressions, &validating.ValidationCondition{Expression: validation.Expression})
	}
	evaluator := compiler.CompileCondition(expressions, options, environment.NewExpressions)
	const role = "kubesphere:global:anonymous"
	for _, test := range []struct {
		name          string
		before, after []string
		allowed       bool
	}{
		{"a group", nil, []string{"ops"}, true},
		{"visitors by their role", nil, []string{"ops", role}, false},
		{"visitors by their role in another case", nil, []string{"KubeSphere:global:anonymous"}, false},
		{"visitors by their role too", []string{"ops"}, []string{"ops", role}, false},
		{"another role of the platform", []string{role}, []string{"kubesphere:administrators"}, false},
		{"visitors by their role stay", []string{role}, []string{role, "ops"}, true},
		{"visitors by their role no more", []string{role, "ops"}, []string{"ops"}, true},
		{"a group named like the platform", nil, []string{"kubesphere"}, true},
		{"a binding without subjects", nil, []string{}, true},
	} {
		for kind, resource := range map[string]string{"RoleBinding": "rolebindings", "ClusterRoleBinding": "clusterrolebindings"} {
			before, after, operation := binding(t, kind, test.before), binding(t, kind, test.after), admission.Create
			if before != nil {
				operation = admission.Update
			}
			gvk, gvr := rbacv1.SchemeGroupVersion.WithKind(kind), rbacv1.SchemeGroupVersion.WithResource(resource)
			attributes := admission.NewAttributesRecord(after, before, gvk, "n", "b", gvr, "", operation, nil, false, &user.DefaultInfo{Name: "jane"})
			versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: gvk, VersionedObject: admission.NewLazyObject(after), VersionedOldObject: admission.NewLazyObject(before)}
			request := plugincel.CreateAdmissionRequest(attributes, metav1.GroupVersionResource(gvr), metav1.GroupVersionKind(gvk))
			results, _, err := evaluator.ForInput(compiler.CreateContext(t.Context()), versioned, request, plugincel.OptionalVariableBindings{}, nil, celconfig.RuntimeCELCostBudget)
			if err != nil {
				t.Fatal(err)
			}
			allowed := true
			for n := range results {
				if results[n].Error != nil {
					t.Fatalf("%s: %s: %v", test.name, policy.Spec.Validations[n].Message, results[n].Error)
				}
				allowed = allowed && results[n].EvalResult.Value() == true
			}
			if allowed != test.allowed {
				t.Errorf("%s by a %s: allowed %v", test.name, kind, allowed)
			}
		}
	}
}
