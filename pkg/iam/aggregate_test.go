package iam

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestTemplatesOfRoles(t *testing.T) {
	for text, want := range map[string][]string{"": nil, "[]": {}, `["a","b"]`: {"a", "b"}} {
		role := &metav1.ObjectMeta{Annotations: map[string]string{"iam.kubesphere.io/aggregation-roles": text}}
		if got, err := Templates(role); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"a", `{"a":1}`, `[1]`, `"a"`} {
		role := &metav1.ObjectMeta{Annotations: map[string]string{"iam.kubesphere.io/aggregation-roles": text}}
		if _, err := Templates(role); !apierrors.IsBadRequest(err) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for name, want := range map[string]bool{"platform-admin": true, "mine": false} {
		if BuiltIn(&metav1.ObjectMeta{Name: name}) != want {
			t.Errorf("%s is built in: %v", name, !want)
		}
	}
	if !BuiltIn(&metav1.ObjectMeta{Name: "w-admin", Annotations: map[string]string{"kubesphere.io/creator": "system"}}) {
		t.Error("what the system created came with the platform")
	}
}

func TestAggregate(t *testing.T) {
	rule := func(verb string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{"pods"}}
	}
	known := map[string][]rbacv1.PolicyRule{"a": {rule("get"), rule("list")}, "b": {rule("list"), rule("watch")}, "none": nil}
	find := func(name string) ([]rbacv1.PolicyRule, bool) {
		rules, found := known[name]
		return rules, found
	}
	rules, missing := Aggregate([]string{"b", "x", "a", "none"}, find)
	if want := []rbacv1.PolicyRule{rule("list"), rule("watch"), rule("get")}; !reflect.DeepEqual(rules, want) || !slices.Equal(missing, []string{"x"}) {
		t.Errorf("got %v, missing %v", rules, missing)
	}
	if rules, missing := Aggregate(nil, find); rules == nil || len(rules)+len(missing) != 0 {
		t.Errorf("of nothing: %v, %v", rules, missing)
	}
}

func TestGiven(t *testing.T) {
	for name, test := range map[string]struct {
		role  map[string]any
		rules int
		fails bool
	}{
		"none":                     {map[string]any{}, 0, false},
		"one":                      {map[string]any{"rules": []any{map[string]any{"verbs": []any{"get"}}}}, 1, false},
		"what others are gathered": {map[string]any{"aggregationRule": map[string]any{}}, 2, false},
		"what is no list of rules": {map[string]any{"rules": "all"}, 0, true},
		"a rule that is no object": {map[string]any{"rules": []any{"all"}}, 0, true},
		"null":                     {map[string]any{"rules": nil}, 0, false},
	} {
		rules, err := Given(&unstructured.Unstructured{Object: test.role})
		if len(rules) != test.rules || (err != nil) != test.fails {
			t.Errorf("%s: %v, %v", name, rules, err)
		}
	}
}

// TestTemplatesOnce: a template that is named many times counts once.
func TestTemplatesOnce(t *testing.T) {
	role := &metav1.ObjectMeta{Annotations: map[string]string{"iam.kubesphere.io/aggregation-roles": `["a","b","a"` + strings.Repeat(`,"b"`, 10000) + `]`}}
	if names, err := Templates(role); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("%d names, %v", len(names), err)
	}
}
