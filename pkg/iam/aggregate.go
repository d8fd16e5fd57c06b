package iam

import (
	"encoding/json"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// Templates are the names of the role templates a role is made of, nil when it
// has rules of its own. It fails with status 400 when the annotation that
// names them is no list.
func Templates(role metav1.Object) ([]string, error) {
	text := role.GetAnnotations()[iamv1alpha2.AnnotationAggregationRoles]
	if text == "" {
		return nil, nil
	}
	var names []string
	if err := json.Unmarshal([]byte(text), &names); err != nil {
		return nil, status.BadRequest("the annotation %s is not a JSON list of names", iamv1alpha2.AnnotationAggregationRoles)
	}
	return Unique(names), nil
}

// Unique returns names without those that are there already: a short annotation
// could name a large template thousands of times.
func Unique(names []string) []string {
	known := make(map[string]bool, len(names))
	return slices.DeleteFunc(names, func(name string) bool {
		repeated := known[name]
		known[name] = true
		return repeated
	})
}

// BuiltIn reports whether a role came with the platform. Such roles name the
// templates whose menus the console shows, and have wider rules of their own.
func BuiltIn(role metav1.Object) bool {
	switch role.GetName() {
	case iamv1alpha2.GlobalRolePlatformAdmin, iamv1alpha2.GlobalRolePlatformSelfProvisioner, iamv1alpha2.GlobalRolePlatformRegular:
		return true
	}
	return role.GetAnnotations()[iamv1alpha2.AnnotationCreator] == "system"
}

// Aggregate puts the rules of templates together, in the order of the names
// and each rule once. It also returns the names find does not know.
func Aggregate(names []string, find func(name string) ([]rbacv1.PolicyRule, bool)) (rules []rbacv1.PolicyRule, missing []string) {
	rules = []rbacv1.PolicyRule{}
	for _, name := range names {
		found, known := find(name)
		if !known {
			missing = append(missing, name)
			continue
		}
		for n := range found {
			if !slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(rule, found[n]) }) {
				rules = append(rules, found[n])
			}
		}
	}
	return rules, missing
}

// Given are the rules somebody gives who writes a role: its own and, of a role
// Kubernetes puts together from others by label, everything, since nobody
// knows which others there will be.
func Given(role *unstructured.Unstructured) ([]rbacv1.PolicyRule, error) {
	text, err := json.Marshal(role.Object["rules"])
	if err != nil {
		return nil, err
	}
	var rules []rbacv1.PolicyRule
	// As Kubernetes reads them: "ResourceNames" restricts nothing there.
	if err := strictjson.Unmarshal(text, &rules); err != nil {
		return nil, status.BadRequest("the rules are none: %v", err)
	}
	if role.Object["aggregationRule"] != nil {
		every := []string{rbacv1.VerbAll}
		rules = append(rules, rbacv1.PolicyRule{Verbs: every, APIGroups: every, Resources: every}, rbacv1.PolicyRule{Verbs: every, NonResourceURLs: every})
	}
	return rules, nil
}

// SameAggregation reports whether two states of a role take part in Kubernetes'
// aggregation alike: they select the same cluster roles, and are selected by the
// same. Labels of a ClusterRole say which others get its rules, and any label can
// be one that another role selects.
func SameAggregation(before, after *unstructured.Unstructured) bool {
	if !equality.Semantic.DeepEqual(before.Object["aggregationRule"], after.Object["aggregationRule"]) {
		return false
	}
	return after.GetKind() != "ClusterRole" || equality.Semantic.DeepEqual(before.GetLabels(), after.GetLabels())
}
