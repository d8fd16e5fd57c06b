package authz

import (
	"hash/maphash"
	"sync"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

const (
	// fewGrants is the number of grants in a place up to which a decision is made anew.
	// Nearly everybody has one or two.
	fewGrants = 8
	// maxDecisions bounds the decisions that are remembered of a subject.
	maxDecisions = 4096
)

// decisions are what a subject with many grants in a place may do there. States share
// them: a decision counts in those that have the same grants and roles in the place.
type decisions struct {
	mu  sync.RWMutex
	all map[decisionKey]decision
}

type decisionKey struct {
	place   placeKey
	request requestKey
}

// placeKey is a workspace or a namespace: grants in it are of the kind.
type placeKey struct{ kind, name string }

// requestKey is what decides of a request; the zero value asks whether there is any role.
type requestKey struct {
	verb, group, resource, subresource, name, path string
	isResource                                     bool
}

func requestKeyOf(a authorizer.Attributes) requestKey {
	if !a.IsResourceRequest() {
		return requestKey{verb: a.GetVerb(), path: a.GetPath()}
	}
	return requestKey{
		verb: a.GetVerb(), group: a.GetAPIGroup(), resource: a.GetResource(), subresource: a.GetSubresource(), name: a.GetName(), isResource: true,
	}
}

// decision is one with what it was made from.
type decision struct {
	// first and count tell lists of grants apart, which do not change.
	first   *grant
	count   int
	version roleVersion
	allowed bool
}

// remember returns a decision about a subject in a place, which decide makes when it is
// not known.
func (c *compiled) remember(one *access, place placeKey, grants []grant, request requestKey, decide func() bool) bool {
	if len(grants) <= fewGrants || one.decisions == nil {
		return decide()
	}
	key := decisionKey{place: place, request: request}
	made := decision{first: &grants[0], count: len(grants), version: c.versions.of(place)}
	one.decisions.mu.RLock()
	known, found := one.decisions.all[key]
	one.decisions.mu.RUnlock()
	made.allowed = known.allowed
	if found && known == made {
		return known.allowed
	}
	made.allowed = decide()
	one.decisions.mu.Lock()
	defer one.decisions.mu.Unlock()
	if one.decisions.all == nil || len(one.decisions.all) >= maxDecisions {
		one.decisions.all = make(map[decisionKey]decision)
	}
	one.decisions.all[key] = made
	return made.allowed
}

// allowedIn reports whether one of the grants of a subject in a place permits a request.
func (c *compiled) allowedIn(one *access, place placeKey, grants []grant, query *ruleQuery) bool {
	if len(grants) <= fewGrants {
		return c.allowedBy(grants, query)
	}
	return c.remember(one, place, grants, requestKeyOf(query.request), func() bool { return c.allowedBy(grants, query) })
}

// existsIn reports whether one of the grants of a subject in a place is of a role that is
// there.
func (c *compiled) existsIn(one *access, place placeKey, grants []grant) bool {
	return c.remember(one, place, grants, requestKey{}, func() bool { return c.exists(grants) })
}

// roleVersion is the same while the roles that count in a place are.
type roleVersion struct{ shared, place uint64 }

// roleVersions are those of all places. Places share them, so that there are never more.
type roleVersions struct {
	last   uint64
	shared uint64 // of roles that count in all places
	places [1024]uint64
}

func (v *roleVersions) of(place placeKey) roleVersion {
	return roleVersion{shared: v.shared, place: v.places[versionOf(place)]}
}

func versionOf(place placeKey) uint64 {
	return maphash.Comparable(wordSeed, place) % uint64(len(roleVersions{}.places))
}

// changing returns the versions after a change of roles.
func (v *roleVersions) changing() *roleVersions {
	next := &roleVersions{}
	if v != nil {
		*next = *v
	}
	next.last++
	return next
}

// change says that a role of a kind has changed.
func (v *roleVersions) change(kind string, role *iam.Role) {
	switch {
	case kind == kindWorkspaceRole && role.Workspace != "":
		v.places[versionOf(placeKey{kind, role.Workspace})] = v.last
	case kind == kindRole:
		v.places[versionOf(placeKey{kind, role.Namespace})] = v.last
	default:
		v.shared = v.last
	}
}
