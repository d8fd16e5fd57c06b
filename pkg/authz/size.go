package authz

import (
	"context"
	"encoding/json"
	"math"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// MaxRules and MaxSubjects are how many rules a role and how many subjects a binding may
// have that a user without all rights writes, MaxRulesBytes and MaxSubjectsBytes how
// long these are in JSON. Every replica keeps them in memory, and
// the requests of those who have the role are compared with each word of its rules.
const (
	MaxRules         = 1000
	MaxSubjects      = 1000
	MaxRulesBytes    = 64 << 10
	MaxSubjectsBytes = 256 << 10
)

// CheckSize returns a forbidden error when a write gives a role or a binding of a
// resource more rules or subjects than users may write. What is larger already may stay
// as large. before is nil for a new object.
func CheckSize(ctx context.Context, rights Coverer, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	for _, list := range []struct {
		field, unit string
		maximum     int
		size        func(*unstructured.Unstructured, string) int
	}{
		{"rules", "rules", MaxRules, FieldLength}, {"subjects", "subjects", MaxSubjects, FieldLength},
		{"rules", "bytes of rules", MaxRulesBytes, FieldBytes}, {"subjects", "bytes of subjects", MaxSubjectsBytes, FieldBytes},
	} {
		wanted := list.size(after, list.field)
		if wanted <= list.maximum || before != nil && wanted <= list.size(before, list.field) {
			continue
		}
		held, err := holds(ctx, rights, who, reserved.Cluster)
		if err != nil || held {
			return err
		}
		return status.Forbidden(resource, reserved.NameOf(after.GetName(), after.GetGenerateName()), "exceeded quota: it has %d %s, the maximum is %d", wanted, list.unit, list.maximum)
	}
	var present metav1.Object
	if before != nil {
		present = before
	}
	// kubectl apply keeps the lists in an annotation as well.
	return checkMetadata(ctx, rights, who, resource, present, after, FieldBytes(after, "rules")+FieldBytes(after, "subjects"))
}

// MaxMetadataBytes is how many bytes the keys and values of the labels and annotations of a
// namespace, a role, a binding or a group have together that a user without all rights
// writes. They are in the memory of every replica, and no quota counts them; Kubernetes
// bounds the annotations of one object by 256 KiB, and labels not at all.
const MaxMetadataBytes = 64 << 10

// CheckMetadata returns a forbidden error when a write gives an object more bytes of labels
// and annotations than users may write. What is larger already may stay as large. before is
// nil for a new object.
func CheckMetadata(ctx context.Context, rights Coverer, who user.Info, resource schema.GroupResource, before, after metav1.Object) error {
	return checkMetadata(ctx, rights, who, resource, before, after, 0)
}

func checkMetadata(ctx context.Context, rights Coverer, who user.Info, resource schema.GroupResource, before, after metav1.Object, further int) error {
	wanted := metadataBytes(after)
	if wanted <= MaxMetadataBytes+further || before != nil && wanted <= metadataBytes(before) {
		return nil
	}
	held, err := holds(ctx, rights, who, reserved.Cluster)
	if err != nil || held {
		return err
	}
	return status.Forbidden(resource, reserved.NameOf(after.GetName(), after.GetGenerateName()), "exceeded quota: it has %d bytes of labels and annotations, the maximum is %d", wanted, MaxMetadataBytes+further)
}

func metadataBytes(object metav1.Object) int {
	size := 0
	for _, all := range []map[string]string{object.GetLabels(), object.GetAnnotations()} {
		for key, value := range all {
			size += len(key) + len(value)
		}
	}
	return size
}

// FieldBytes is how long a field of an object is in JSON.
func FieldBytes(object *unstructured.Unstructured, field string) int {
	if FieldLength(object, field) == 0 {
		return 0
	}
	text, err := json.Marshal(object.Object[field])
	if err != nil {
		return math.MaxInt
	}
	return len(text)
}

// FieldLength returns how many elements a list of an object has, 0 when it has no such list.
func FieldLength(object *unstructured.Unstructured, field string) int {
	list, _ := object.Object[field].([]any)
	return len(list)
}
