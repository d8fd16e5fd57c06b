package authz

import (
	"hash/maphash"
	"iter"
	"maps"
)

// shards is the number of maps that subjects are in, in as many groups: a change of a
// subject copies the map it is in and the group of that, and not those of all subjects.
const shards = 128

var shardSeed = maphash.MakeSeed()

type shardGroup [shards]map[string]*access

// subjects are accesses by name. A copy of them shares their maps until it is changed.
type subjects struct {
	groups [shards]*shardGroup
	owned  *ownedShards // what belongs to these subjects; nil when they do not change
}

type ownedShards struct {
	groups [shards]bool
	maps   map[uint64]bool
}

// changing returns a copy that may be changed.
func (s *subjects) changing() subjects {
	return subjects{groups: s.groups, owned: &ownedShards{maps: make(map[uint64]bool)}}
}

// shardOf returns the number of the map of a name, that of the group first.
func shardOf(name string) uint64 { return maphash.String(shardSeed, name) % (shards * shards) }

// get returns the access of a name, nil when it has none.
func (s *subjects) get(name string) *access {
	n := shardOf(name)
	group := s.groups[n/shards]
	if group == nil {
		return nil
	}
	return group[n%shards][name]
}

func (s *subjects) set(name string, one *access) { s.own(name)[name] = one }

func (s *subjects) remove(name string) { delete(s.own(name), name) }

// own returns the map of a name for writing.
func (s *subjects) own(name string) map[string]*access {
	n := shardOf(name)
	group := s.groups[n/shards]
	if !s.owned.groups[n/shards] {
		own := shardGroup{}
		if group != nil {
			own = *group
		}
		group = &own
		s.groups[n/shards], s.owned.groups[n/shards] = group, true
	}
	if !s.owned.maps[n] {
		group[n%shards], s.owned.maps[n] = copied(group[n%shards]), true
	}
	return group[n%shards]
}

// all returns all names with their accesses, in no order.
func (s *subjects) all() iter.Seq2[string, *access] {
	return func(yield func(string, *access) bool) {
		for _, group := range s.groups {
			if group == nil {
				continue
			}
			for _, shard := range group {
				for name, one := range shard {
					if !yield(name, one) {
						return
					}
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
