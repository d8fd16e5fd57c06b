package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestReplaceVersions: a client that guessed the next version of an object had its write
// checked on one state and written over another.
func TestReplaceVersions(t *testing.T) {
	for name, test := range map[string]struct {
		version  string
		attempts int
		conflict bool
	}{
		"no version":       {"", 2, false},
		"the one read":     {"7", 1, false},
		"an old one":       {"6", 1, true},
		"the one after it": {"8", 1, true},
	} {
		attempts, wanted := 0, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: test.version}}
		err := RetryReplace(wanted, func() error {
			attempts++
			read := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: "7"}}
			if err := CheckVersion(corev1.Resource("namespaces"), read, wanted); err != nil || test.version != "" || attempts > 1 {
				return err
			}
			return apierrors.NewConflict(corev1.Resource("namespaces"), "n", errModified)
		})
		if apierrors.IsConflict(err) != test.conflict || attempts != test.attempts {
			t.Errorf("%s: %v after %d attempts", name, err, attempts)
		}
	}
}
