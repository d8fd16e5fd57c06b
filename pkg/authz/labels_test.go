package authz

import (
	"context"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// rightsOf holds all rights for a user called admin.
type rightsOf struct{}

func (rightsOf) Covers(_ context.Context, who user.Info, _ Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if who.GetName() == "admin" {
		return nil, nil
	}
	return rules, nil
}

// TestCheckMetadata: namespaces of 1.4 MB of labels made lists of them, which every replica
// keeps and puts together for each client, 37 MB long, and bindings with 248 KB of
// annotations took all memory in minutes.
func TestCheckMetadata(t *testing.T) {
	labelled := func(count int) *metav1.ObjectMeta {
		meta := &metav1.ObjectMeta{Name: "n", Labels: make(map[string]string)}
		for n := range count {
			meta.Labels[fmt.Sprintf("example.com/%s-%05d", strings.Repeat("k", 50), n)] = strings.Repeat("v", 60)
		}
		return meta
	}
	annotated := func(size int) *metav1.ObjectMeta {
		return &metav1.ObjectMeta{Name: "n", Annotations: map[string]string{"a": strings.Repeat("x", size)}}
	}
	few, many, more := labelled(100), labelled(600), labelled(601)
	for _, test := range []struct {
		name          string
		who           string
		before, after *metav1.ObjectMeta
		refused       bool
	}{
		{"a few", "jane", nil, few, false},
		{"many", "jane", nil, many, true},
		{"more than before", "jane", few, many, true},
		{"as many as before", "jane", many, many, false},
		{"one more", "jane", many, more, true},
		{"fewer", "jane", more, many, false},
		{"annotations", "jane", nil, annotated(60 << 10), false},
		{"many annotations", "jane", nil, annotated(70 << 10), true},
		{"of an administrator", "admin", nil, many, false},
	} {
		var before metav1.Object
		if test.before != nil {
			before = test.before
		}
		if err := CheckMetadata(t.Context(), rightsOf{}, &user.DefaultInfo{Name: test.who}, rbacv1.Resource("roles"), before, test.after); apierrors.IsForbidden(err) != test.refused {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
