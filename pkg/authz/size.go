package authz

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// MaxRules and MaxSubjects are how many rules a role and how many subjects a binding may
// have that a user without all rights writes. Every replica keeps them in memory, and
// the requests of those who have the role are compared with each of its rules.
const (
	MaxRules    = 1000
	MaxSubjects = 1000
)

// CheckSize returns a forbidden error when a write gives a role or a binding of a
// resource more rules or subjects than users may write. What is larger already may stay
// as large. before is nil for a new object.
func CheckSize(ctx context.Context, rights Coverer, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	for _, list := range []struct {
		field   string
		maximum int
	}{{"rules", MaxRules}, {"subjects", MaxSubjects}} {
		wanted := length(after, list.field)
		if wanted <= list.maximum || before != nil && wanted <= length(before, list.field) {
			continue
		}
		held, err := holds(ctx, rights, who, reserved.Cluster)
		if err != nil || held {
			return err
		}
		return status.Forbidden(resource, reserved.NameOf(after.GetName(), after.GetGenerateName()), "exceeded quota: it has %d %s, the maximum is %d", wanted, list.field, list.maximum)
	}
	return nil
}

// length returns how many elements a list of an object has, 0 when it has no such list.
func length(object *unstructured.Unstructured, field string) int {
	list, _ := object.Object[field].([]any)
	return len(list)
}
