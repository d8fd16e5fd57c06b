package objects

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// relation is a filter that depends on objects of other types.
type relation struct {
	// from are the types it looks at.
	from []string
	// find says which objects match, and which annotations tell why; either
	// may be nil. A relation without it only adds to another.
	find func(question) finding
}

// question is what a relation is asked for.
type question struct {
	ctx       context.Context //nolint:containedctx // of the request the question is part of
	namespace string          // of the list; empty for all
	value     string          // of the parameter
	filters   []query.Filter
	views     map[string]View // those the cluster has
	failed    *error          // why what was found is not all
}

type finding struct {
	match       func(*Item) bool
	annotations func(*Item) map[string]string
}

// filter is the value of another filter, empty when there is none.
func (q question) filter(key string) string {
	for _, f := range q.filters {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// items are the objects of a type that match filters, in the order of names.
func (q question) items(resource, namespace string, filters ...query.Filter) []*Item {
	view, found := q.views[resource]
	if !found {
		return nil
	}
	key := "related"
	for _, f := range filters {
		key += "\x00" + f.Key + "\x00" + f.Value
	}
	page, err := view.List(q.ctx, namespace, &query.Query{Page: 1, Limit: query.Unlimited, SortBy: orderName, Ascending: true, Filters: filters, Raw: key})
	if err != nil { // there was no turn in time
		*q.failed = err
		return nil
	}
	return page.Items
}

// relate resolves the filters of a selection that depend on other types. It
// waits for those types as View does; one the cluster does not have matches
// nothing. What it returns annotates the objects of a page; nil for nothing.
func (c *Cache) relate(ctx context.Context, catalog *Catalog, kind *Type, selection *Selection) (func(*Item) map[string]string, error) {
	var annotations []func(*Item) map[string]string
	for _, f := range selection.Filters {
		related := kind.related[f.Key]
		if related == nil || related.find == nil {
			continue
		}
		asked := question{ctx: ctx, namespace: selection.Namespace, value: f.Value, filters: selection.Filters, views: make(map[string]View), failed: new(error)}
		for _, resource := range related.from {
			view, err := c.View(ctx, catalog.Type(resource))
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, err
			}
			if err == nil {
				asked.views[resource] = view
				selection.Key += "\x00" + view.Tag()
			}
		}
		found := related.find(asked)
		if *asked.failed != nil {
			return nil, *asked.failed
		}
		selection.Match = both(selection.Match, found.match)
		if found.annotations != nil {
			annotations = append(annotations, found.annotations)
		}
	}
	if len(annotations) == 0 {
		return nil, nil
	}
	return func(i *Item) map[string]string {
		all := make(map[string]string)
		for _, annotate := range annotations {
			for key, value := range annotate(i) {
				all[key] = value
			}
		}
		return all
	}, nil
}

// addRelations adds the filters that depend on other types.
func (c *Catalog) addRelations() {
	c.types["pods"].related = map[string]*relation{"serviceName": {from: []string{"services"}, find: podsOfService}}
	for _, resource := range []string{"globalroles", "workspaceroles", "clusterroles", "roles"} {
		c.types[resource].related = map[string]*relation{"aggregateTo": {from: []string{resource}, find: aggregated(resource)}}
	}
	member := func(resource, companion string, boundIn func(question) []*Item) *relation {
		return &relation{from: []string{resource}, find: func(q question) finding {
			return members(boundIn(q), q.filter(companion), "iam.kubesphere.io/"+companion)
		}}
	}
	c.types["users"].related = map[string]*relation{
		"namespace": member("rolebindings", "role", func(q question) []*Item { return q.items("rolebindings", q.value) }),
		"workspace": member("workspacerolebindings", "workspacerole", func(q question) []*Item {
			return q.items("workspacerolebindings", "", query.Filter{Key: "workspace", Value: q.value})
		}),
		"cluster": member("clusterrolebindings", "clusterrole", func(q question) []*Item {
			if q.value != "true" {
				return nil
			}
			return q.items("clusterrolebindings", "")
		}),
		"globalrole": {from: []string{"globalrolebindings"}, find: func(q question) finding {
			return members(q.items("globalrolebindings", ""), q.value, "iam.kubesphere.io/globalrole")
		}},
		"role": {}, "workspacerole": {}, "clusterrole": {},
		"ingroup":    {from: []string{"groupbindings"}, find: func(q question) finding { return finding{match: inGroup(q, true)} }},
		"notingroup": {from: []string{"groupbindings"}, find: func(q question) finding { return finding{match: inGroup(q, false)} }},
	}
}

// podsOfService are the pods a service sends requests to. A service without
// selector selects nothing.
func podsOfService(q question) finding {
	selectors := make(map[string]map[string]string)
	selector := func(namespace string) map[string]string {
		known, found := selectors[namespace]
		if view, exists := q.views["services"]; !found && exists {
			known = make(map[string]string)
			if service := view.Get(namespace, q.value); service != nil {
				eachOf(service.Field("spec.selector"), func(key, value gjson.Result) bool {
					known[key.String()] = value.String()
					return true
				})
			}
			selectors[namespace] = known
		}
		return known
	}
	return finding{match: func(pod *Item) bool {
		wanted := selector(pod.Namespace())
		for key, value := range wanted {
			if found, exists := pod.Labels().Lookup(key); !exists || found != value {
				return false
			}
		}
		return len(wanted) > 0
	}}
}

// aggregated are the role templates a role is made of.
func aggregated(resource string) func(question) finding {
	return func(q question) finding {
		names := make(map[string]bool)
		if view, found := q.views[resource]; found {
			if role := view.Get(q.namespace, q.value); role != nil {
				list := role.Field(`metadata.annotations.iam\.kubesphere\.io/aggregation-roles`).String()
				if json.Valid([]byte(list)) { // bounds how deep it is nested, as gjson does not
					eachOf(gjson.Parse(list), func(_, name gjson.Result) bool {
						names[name.String()] = true
						return true
					})
				}
			}
		}
		return finding{match: func(i *Item) bool { return names[i.Name()] }}
	}
}

// members are the users bindings name, with the role each was given as an
// annotation. An empty role stands for all.
func members(bindings []*Item, role, annotation string) finding {
	roles := make(map[string]string)
	for _, binding := range bindings {
		given := binding.Field("roleRef.name").String()
		if role != "" && role != given {
			continue
		}
		eachOf(binding.Field("subjects"), func(_, subject gjson.Result) bool {
			if subject.Get("kind").Str == "User" {
				roles[strings.Clone(subject.Get("name").String())] = given
			}
			return true
		})
	}
	return finding{
		match:       func(user *Item) bool { _, found := roles[user.Name()]; return found },
		annotations: func(user *Item) map[string]string { return map[string]string{annotation: roles[user.Name()]} },
	}
}

func inGroup(q question, wanted bool) func(*Item) bool {
	users := make(map[string]bool)
	for _, binding := range q.items("groupbindings", "") {
		if binding.Field("groupRef.name").String() == q.value {
			eachOf(binding.Field("users"), func(_, name gjson.Result) bool {
				users[name.String()] = true
				return true
			})
		}
	}
	return func(user *Item) bool { return users[user.Name()] == wanted }
}
