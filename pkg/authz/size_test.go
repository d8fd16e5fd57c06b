package authz

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
)

// TestCheckSize: roles and bindings of users stay small, for they are in the memory of
// each replica and cost time in requests of others.
func TestCheckSize(t *testing.T) {
	with := func(field string, n int) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{field: make([]any, n)}}
	}
	long := func(field string, n int) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{field: []any{map[string]any{"name": strings.Repeat("x", n)}}}}
	}
	noted := func(object *unstructured.Unstructured, size int) *unstructured.Unstructured {
		object.SetAnnotations(map[string]string{"a": strings.Repeat("x", size)})
		return object
	}
	regular, administrator := &RBAC{Source: &directory{}}, &RBAC{All: true}
	for _, test := range []struct {
		name          string
		rights        *RBAC
		before, after *unstructured.Unstructured
		want          bool
	}{
		{"rules at the maximum", regular, nil, with("rules", MaxRules), true},
		{"rules above it", regular, nil, with("rules", MaxRules+1), false},
		{"rules that become more", regular, with("rules", MaxRules+1), with("rules", MaxRules+2), false},
		{"rules that were more", regular, with("rules", MaxRules+2), with("rules", MaxRules+1), true},
		{"rules of an administrator", administrator, nil, with("rules", MaxRules+1), true},
		{"long rules", regular, nil, long("rules", MaxRulesBytes/2), true},
		{"rules that are too long", regular, nil, long("rules", MaxRulesBytes), false},
		{"long rules that become longer", regular, long("rules", MaxRulesBytes), long("rules", MaxRulesBytes+1), false},
		{"long rules that were longer", regular, long("rules", MaxRulesBytes+1), long("rules", MaxRulesBytes), true},
		{"long rules of an administrator", administrator, nil, long("rules", MaxRulesBytes), true},
		{"subjects that are too long", regular, nil, long("subjects", MaxSubjectsBytes), false},
		{"subjects at the maximum", regular, with("subjects", 1), with("subjects", MaxSubjects), true},
		{"a copy of the subjects, as kubectl apply has it", regular, nil, noted(long("subjects", 100<<10), 130<<10), true},
		{"annotations beside few subjects", regular, nil, noted(with("subjects", 1), 100<<10), false},
		{"as they were", regular, noted(with("subjects", 1), 100<<10), noted(with("subjects", 1), 100<<10), true},
		{"annotations of an administrator", administrator, nil, noted(with("subjects", 1), 100<<10), true},
		{"subjects above it", regular, with("subjects", 1), with("subjects", MaxSubjects+1), false},
	} {
		err := CheckSize(t.Context(), test.rights, &user.DefaultInfo{Name: "jane"}, schema.GroupResource{Resource: "roles"}, test.before, test.after)
		if got := err == nil; got != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestIncludesServiceAccounts: service accounts act at kube-apiserver by whatever kind of
// subject they are given a role.
func TestIncludesServiceAccounts(t *testing.T) {
	for subject, want := range map[rbacv1.Subject]bool{
		{Kind: "ServiceAccount", Namespace: "n", Name: "a"}: true,
		{Kind: "User", Name: "system:serviceaccount:n:a"}:   true,
		{Kind: "User", Name: "jane"}:                        false,
		{Kind: "Group", Name: "system:serviceaccounts"}:     true,
		{Kind: "Group", Name: "system:serviceaccounts:n"}:   true,
		{Kind: "Group", Name: "system:authenticated"}:       true,
		{Kind: "Group", Name: "system:unauthenticated"}:     true,
		{Kind: "Group", Name: "developers"}:                 false,
	} {
		if got := IncludesServiceAccounts(subject); got != want {
			t.Errorf("%+v: %v", subject, got)
		}
	}
}
