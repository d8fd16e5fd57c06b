package authz

import (
	"hash/maphash"
	"iter"
	"maps"
)

// shards is the number of maps that subjects are in: a change of one subject copies the
// map it is in, and not those of all subjects.
const shards = 256

var shardSeed = maphash.MakeSeed()

// subjects are accesses by name. A copy of them shares their maps until it is changed.
type subjects struct {
	shards [shards]map[string]*access
	owned  *[shards]bool // the maps that belong to these subjects; nil when they do not change
}

// changing returns a copy that may be changed.
func (s *subjects) changing() subjects {
	return subjects{shards: s.shards, owned: new([shards]bool)}
}

func shardOf(name string) uint64 { return maphash.String(shardSeed, name) % shards }

// get returns the access of a name, nil when it has none.
func (s *subjects) get(name string) *access { return s.shards[shardOf(name)][name] }

func (s *subjects) set(name string, one *access) { s.own(name)[name] = one }

func (s *subjects) remove(name string) { delete(s.own(name), name) }

// own returns the map of a name for writing.
func (s *subjects) own(name string) map[string]*access {
	n := shardOf(name)
	if !s.owned[n] {
		s.owned[n] = true
		s.shards[n] = copied(s.shards[n])
	}
	return s.shards[n]
}

// all returns all names with their accesses, in no order.
func (s *subjects) all() iter.Seq2[string, *access] {
	return func(yield func(string, *access) bool) {
		for _, shard := range s.shards {
			for name, one := range shard {
				if !yield(name, one) {
					return
				}
			}
		}
	}
}

func copied[K comparable, V any](all map[K]V) map[K]V {
	if all == nil {
		return make(map[K]V)
	}
	return maps.Clone(all)
}
