package mirror

import "k8s.io/apimachinery/pkg/types"

// fairness says which bindings that differ are changed in one call.
type fairness struct {
	state *State
	taken map[string]int  // by workspace
	full  map[string]bool // workspaces of which some are left
	// giving are the roles of bindings that are left, and still give them.
	giving           map[string]bool
	partial, refused bool
}

func newFairness(s *State) *fairness {
	return &fairness{state: s, taken: make(map[string]int), full: make(map[string]bool), giving: make(map[string]bool)}
}

// take reports whether a binding is changed now.
func (f *fairness) take(key types.NamespacedName) bool {
	home, can := f.state.pending(key)
	if !can {
		return false
	}
	if f.state.Refused != nil && f.state.Refused(key) && !f.state.Retry(key) {
		f.refused = true
		f.leave(key)
		return false
	}
	if f.taken[home]++; f.state.Fair > 0 && f.taken[home] > f.state.Fair {
		f.partial, f.full[home] = true, true
	}
	if f.full[home] {
		f.leave(key)
		return false
	}
	return true
}

func (f *fairness) leave(key types.NamespacedName) {
	if is := f.state.present[key]; is != nil {
		f.giving[is.RoleRef.Name] = true
	}
}
