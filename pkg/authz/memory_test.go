package authz

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// TestManySubjects: 1,443 bindings of 1,000 users each, who need not exist, took 1.1 KB for
// each of them and twelve seconds, and each further binding copied what there was of all.
func TestManySubjects(t *testing.T) {
	const bindings, each = 300, 1000
	binding := func(n int) *iam.Binding {
		one := &iam.Binding{Name: fmt.Sprint("b", n), Namespace: "n", RoleRef: rbacv1.RoleRef{Kind: kindRole, Name: "viewer"}}
		for k := range each {
			one.Subjects = append(one.Subjects, rbacv1.Subject{Kind: rbacv1.UserKind, Name: fmt.Sprintf("u%06d-%06d", n, k)})
		}
		return one
	}
	var rights iam.Rights
	for n := range bindings {
		rights.RoleBindings.Items = append(rights.RoleBindings.Items, binding(n))
	}
	rights.RoleBindings.Revision = 1
	used := func() (heap, allocated uint64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.TotalAlloc
	}
	before, _ := used()
	first := compile(nil, rights, time.Now())
	after, _ := used()
	if per := float64(after-before) / (bindings * each); per > 350 {
		t.Errorf("%.0f bytes for each subject", per)
	}
	more := rights
	more.RoleBindings.Items = append(more.RoleBindings.Items[:bindings:bindings], binding(bindings))
	more.RoleBindings.Revision = 2
	_, allocated := used()
	started := time.Now()
	second := compile(first, more, time.Now())
	took := time.Since(started)
	if _, now := used(); now-allocated > 8<<20 {
		t.Errorf("a further binding allocates %d MiB, in %s", (now-allocated)>>20, took)
	}
	if second.users.get("u000000-000001") != first.users.get("u000000-000001") || second.users.get(fmt.Sprintf("u%06d-%06d", bindings, 1)) == nil {
		t.Error("the states do not share what is the same")
	}
}
