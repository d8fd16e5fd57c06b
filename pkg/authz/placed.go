package authz

import (
	"iter"
	"slices"
)

// fewPlaces is the number of places up to which they are looked through. Nearly everybody
// has roles in a few, and maps of them would take most of the memory for rights.
const fewPlaces = 8

// placed are what bindings give in places: workspaces or namespaces.
type placed struct {
	few  []place
	many map[string][]grant // by name, nil while there are few
}

type place struct {
	name   string
	grants []grant
}

// get returns what is given in a place.
func (p *placed) get(name string) []grant {
	if p.many != nil {
		return p.many[name]
	}
	for n := range p.few {
		if p.few[n].name == name {
			return p.few[n].grants
		}
	}
	return nil
}

// set changes what is given in a place.
func (p *placed) set(name string, grants []grant) {
	if p.many != nil {
		put(p.many, name, grants)
		return
	}
	at := slices.IndexFunc(p.few, func(one place) bool { return one.name == name })
	switch {
	case at >= 0 && len(grants) == 0:
		p.few = slices.Delete(p.few, at, at+1)
	case at >= 0:
		p.few[at].grants = grants
	case len(grants) == 0:
	case len(p.few) < fewPlaces:
		p.few = append(p.few, place{name, grants})
	default:
		p.many = make(map[string][]grant, len(p.few)+1)
		for _, one := range p.few {
			p.many[one.name] = one.grants
		}
		p.few, p.many[name] = nil, grants
	}
}

// all returns all places with what is given there, in no order.
func (p *placed) all() iter.Seq2[string, []grant] {
	return func(yield func(string, []grant) bool) {
		for n := range p.few {
			if !yield(p.few[n].name, p.few[n].grants) {
				return
			}
		}
		for name, grants := range p.many {
			if !yield(name, grants) {
				return
			}
		}
	}
}

func (p *placed) len() int { return len(p.few) + len(p.many) }

// clipped returns a copy that can be changed, and whose lists can be appended to.
func (p *placed) clipped() placed {
	next := placed{few: slices.Clone(p.few)}
	for n := range next.few {
		next.few[n].grants = slices.Clip(next.few[n].grants)
	}
	if p.many != nil {
		next.many = clipped(p.many)
	}
	return next
}
