package authz

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// maxRememberedNames bounds the names that are remembered of all users, which takes some
// 60 MB. Beyond, all are forgotten.
const maxRememberedNames = 1 << 20

// rememberedNames are the namespaces in which users may do something in one state of
// rights: one list, and one event for a hundred watches, works them out once.
type rememberedNames struct {
	sets sync.Map // of Visible by namesKey
	size atomic.Int64
}

// get returns what is remembered under a key, or else what list returns.
func (r *rememberedNames) get(key string, list func() sets.Set[string]) Visible {
	if known, found := r.sets.Load(key); found {
		return known.(Visible) //nolint:forcetypeassert // nothing else is stored
	}
	made := Visible{Names: list(), only: &rememberedOnly{}}
	size := int64(made.Names.Len() + 8) // the key and the set take memory as well
	if r.size.Add(size) > maxRememberedNames {
		r.sets.Clear()
		r.size.Store(size)
	}
	r.sets.Store(key, made)
	return made
}

// namesKey is the same for users with the same name and groups and for the same actions.
// Texts are preceded by their length: users have any name.
func namesKey(who user.Info, actions []Action, hides bool) string {
	var key strings.Builder
	add := func(texts ...string) {
		for _, text := range texts {
			key.WriteString(strconv.Itoa(len(text)))
			key.WriteByte(':')
			key.WriteString(text)
		}
	}
	if hides {
		key.WriteByte('-')
	}
	if who != nil {
		add(who.GetName())
		key.WriteString(strconv.Itoa(len(who.GetGroups())))
		key.WriteByte(',')
		add(who.GetGroups()...)
	}
	for _, a := range actions {
		add(a.Verb, a.Group, a.Resource, a.Subresource, a.Name)
	}
	return key.String()
}

// rememberedOnly is the restriction of lists to names, made once.
type rememberedOnly struct {
	once sync.Once
	only *objects.Only
}

// Only returns the restriction of a list to what is visible, nil for all of it.
func (v Visible) Only() *objects.Only {
	switch {
	case v.All && len(v.Except) > 0:
		return objects.NewExcept(v.Except)
	case v.All:
		return nil
	case v.only == nil:
		return objects.NewOnly(v.Names.UnsortedList())
	}
	v.only.once.Do(func() { v.only.only = objects.NewOnly(v.Names.UnsortedList()) })
	return v.only.only
}
