package v1alpha2

import (
	"slices"
	"strings"
)

// Finalizers of this API group.
const (
	// FinalizerUser keeps a user until its bindings, sessions, records and
	// memberships are gone. KubeSphere 3.x uses the same.
	FinalizerUser = "finalizers.kubesphere.io/users"
	// FinalizerGroup keeps a group until its memberships and bindings are gone.
	FinalizerGroup = "finalizers.kubesphere.io/groups"
)

// WithoutFinalizers returns the finalizers of others: those that neither this
// server nor any version of KubeSphere left. What is being deleted must not
// wait for controllers that do not run any more.
func WithoutFinalizers(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return strings.HasPrefix(name, "finalizers.") && strings.Contains(name, "kubesphere.io")
	})
}
