package objects

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Resolver finds resource types by name: those of the catalog, and every other
// type the cluster can list, from the moment it is installed.
type Resolver struct {
	Catalog   *Catalog
	Discovery discovery.DiscoveryInterface
	Now       func() time.Time

	mu    sync.Mutex
	read  time.Time
	found map[schema.GroupResource]*Type
}

// discoverAfter is how old an answer of discovery may be before a name that is
// not in it makes us ask again, and discoverAgain when it is asked anyway.
const (
	discoverAfter = time.Second
	discoverAgain = time.Minute
)

// Type returns the type with a plural name, or with a plural name and group
// such as "ingresses.extensions". It fails with status 404 when there is none.
func (r *Resolver) Type(ctx context.Context, name string) (*Type, error) {
	if known := r.Catalog.Type(name); known != nil {
		return known, nil
	}
	resource, group, qualified := strings.Cut(name, ".")
	if qualified {
		if known := r.Catalog.Type(resource); known != nil && known.Group == group {
			return known, nil
		}
	}
	if r.Discovery == nil {
		return nil, unknown(name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	age := r.Now().Sub(r.read)
	kind := r.lookup(resource, group, qualified)
	if kind != nil && age < discoverAgain {
		return kind, nil
	}
	if age >= discoverAfter {
		if err := r.discover(ctx); err != nil && kind == nil {
			return nil, err
		}
		kind = r.lookup(resource, group, qualified)
	}
	if kind == nil {
		return nil, unknown(name)
	}
	return kind, nil
}

func unknown(name string) error {
	return status.NotFound("the resource type %q is not supported", name)
}

// lookup finds a type among those discovered. The same plural in several
// groups means the group that comes first in the alphabet, always.
func (r *Resolver) lookup(resource, group string, qualified bool) *Type {
	if qualified {
		return r.found[schema.GroupResource{Group: group, Resource: resource}]
	}
	var result *Type
	for key, kind := range r.found {
		if key.Resource == resource && (result == nil || key.Group < result.Group) {
			result = kind
		}
	}
	return result
}

// discover asks the cluster which types it has. Types that stay keep their
// identity. One broken aggregated API does not hide the others (ks#4039).
func (r *Resolver) discover(ctx context.Context) error {
	_, lists, err := r.Discovery.ServerGroupsAndResources()
	if len(lists) == 0 && err != nil {
		return status.Unavailable(5, "Kubernetes does not say which resource types it has")
	}
	if err != nil {
		slog.WarnContext(ctx, "some APIs of the cluster cannot be discovered", "error", err)
	}
	next := make(map[schema.GroupResource]*Type)
	for _, list := range lists { // the preferred version of a group comes first
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, resource := range list.APIResources {
			r.add(next, gv, &resource)
		}
	}
	r.found, r.read = next, r.Now()
	return nil
}

func (r *Resolver) add(next map[schema.GroupResource]*Type, gv schema.GroupVersion, resource *metav1.APIResource) {
	key := schema.GroupResource{Group: gv.Group, Resource: resource.Name}
	known := r.Catalog.Type(resource.Name)
	if strings.Contains(resource.Name, "/") || !slices.Contains(resource.Verbs, "list") || !slices.Contains(resource.Verbs, "watch") ||
		next[key] != nil || known != nil && known.Group == gv.Group {
		return
	}
	if before := r.found[key]; before != nil && before.Version == gv.Version && before.Kind == resource.Kind && before.Namespaced == resource.Namespaced {
		next[key] = before
		return
	}
	next[key] = &Type{GroupVersionResource: gv.WithResource(resource.Name), Kind: resource.Kind, Namespaced: resource.Namespaced, remove: neverKept}
}
