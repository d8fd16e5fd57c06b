package objects

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	// Definition returns the definition of a custom resource by its name, such
	// as widgets.example.com; types have no columns of their own when nil.
	Definition func(ctx context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error)

	known     atomic.Pointer[discovered] // nil before the first answer
	discovery singleflight.Group

	mu        sync.Mutex
	described map[schema.GroupVersionResource]described
}

// discovered is an answer of discovery.
type discovered struct {
	at       time.Time
	found    map[schema.GroupResource]*Type        // in the version the cluster prefers
	versions map[schema.GroupVersionResource]*Type // in every version
}

// described is a type with the columns of its definition.
type described struct {
	plain, full *Type
	at          time.Time
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
	return r.ask(ctx, name, func(d *discovered) *Type { return d.lookup(resource, group, qualified) })
}

// Exactly returns the type of a group, version and plural name. It fails with
// status 404 when the cluster has none.
func (r *Resolver) Exactly(ctx context.Context, gvr schema.GroupVersionResource) (*Type, error) {
	if known := r.Catalog.Type(gvr.Resource); known != nil && known.GroupVersionResource == gvr {
		return known, nil
	}
	return r.ask(ctx, gvr.GroupResource().String(), func(d *discovered) *Type { return d.versions[gvr] })
}

// ask looks a type up among those discovered. One that is not there is asked for; nobody
// waits for a newer answer about one that is, and nobody else for who waits.
func (r *Resolver) ask(ctx context.Context, name string, lookup func(*discovered) *Type) (*Type, error) {
	if r.Discovery == nil {
		return nil, unknown(name)
	}
	var kind *Type
	known := r.known.Load()
	if known != nil {
		kind = lookup(known)
	}
	switch {
	case kind != nil:
		if r.Now().Sub(known.at) >= discoverAgain {
			r.discover(ctx)
		}
	case known == nil || r.Now().Sub(known.at) >= discoverAfter:
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case asked := <-r.discover(ctx):
			if asked.Err != nil {
				return nil, asked.Err
			}
		}
		kind = lookup(r.known.Load())
	}
	if kind == nil {
		return nil, unknown(name)
	}
	return r.describe(ctx, kind), nil
}

// describe adds the columns of the definition of a type, when it has one.
func (r *Resolver) describe(ctx context.Context, kind *Type) *Type {
	r.mu.Lock()
	known, found := r.described[kind.GroupVersionResource]
	r.mu.Unlock()
	if r.Definition == nil || found && known.plain == kind && r.Now().Sub(known.at) < discoverAgain {
		return known.or(kind)
	}
	definition, err := r.Definition(ctx, kind.GroupResource().String())
	next := described{plain: kind, full: kind, at: r.Now()}
	switch {
	case apierrors.IsNotFound(err): // a type of Kubernetes itself, or of an aggregated API
	case err != nil:
		slog.WarnContext(ctx, "the columns of a type are not known", "resource", kind.GroupResource().String(), "error", err)
		return known.or(kind)
	default:
		for _, version := range definition.Spec.Versions {
			if version.Name == kind.Version {
				next.full = kind.withColumns(version.AdditionalPrinterColumns)
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, found = r.described[kind.GroupVersionResource]; found && known.plain == kind && known.full.described == next.full.described {
		next.full = known.full // types that stay keep their identity
	}
	if r.described == nil {
		r.described = make(map[schema.GroupVersionResource]described)
	}
	r.described[kind.GroupVersionResource] = next
	return next.full
}

func (d described) or(kind *Type) *Type {
	if d.full != nil && d.plain == kind {
		return d.full
	}
	return kind
}

func unknown(name string) error {
	return status.NotFound("the resource type %q is not supported", name)
}

// lookup finds a type among those discovered. The same plural in several
// groups means the best known one: of Kubernetes itself, then of this
// platform, then the group that comes first in the alphabet, always.
func (d *discovered) lookup(resource, group string, qualified bool) *Type {
	if qualified {
		return d.found[schema.GroupResource{Group: group, Resource: resource}]
	}
	var result *Type
	for key, kind := range d.found {
		if key.Resource != resource {
			continue
		}
		if result == nil || cmp.Or(cmp.Compare(fame(key.Group), fame(result.Group)), cmp.Compare(key.Group, result.Group)) < 0 {
			result = kind
		}
	}
	return result
}

// fame orders groups: the smaller, the better known.
func fame(group string) int {
	switch {
	case group == "":
		return 0
	case !strings.Contains(group, "."): // apps, batch
		return 1
	case group == "metrics.k8s.io": // shows what others are, under their names
		return 5
	case strings.HasSuffix(group, ".k8s.io"):
		return 2
	case strings.HasSuffix(group, ".kubesphere.io"):
		return 3
	}
	return 4
}

// discover asks the cluster which types it has, once for all who ask meanwhile.
func (r *Resolver) discover(ctx context.Context) <-chan singleflight.Result {
	return r.discovery.DoChan("", func() (any, error) { return nil, r.read(ctx) })
}

// read asks the cluster which types it has. Types that stay keep their
// identity. One broken aggregated API does not hide the others (ks#4039).
func (r *Resolver) read(ctx context.Context) error {
	_, lists, err := r.Discovery.ServerGroupsAndResources()
	if len(lists) == 0 && err != nil {
		return status.Unavailable(5, "Kubernetes does not say which resource types it has")
	}
	if err != nil {
		slog.WarnContext(ctx, "some APIs of the cluster cannot be discovered", "error", err)
	}
	before := r.known.Load()
	next, versions := make(map[schema.GroupResource]*Type), make(map[schema.GroupVersionResource]*Type)
	for _, list := range lists { // the preferred version of a group comes first
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, resource := range list.APIResources {
			kind := r.typeOf(before, gv, &resource)
			if kind == nil {
				continue
			}
			versions[kind.GroupVersionResource] = kind
			if key := kind.GroupResource(); next[key] == nil {
				next[key] = kind
			}
		}
	}
	r.known.Store(&discovered{r.Now(), next, versions})
	return nil
}

// typeOf is the type discovery describes, nil when it is a subresource or
// cannot be listed and watched.
func (r *Resolver) typeOf(before *discovered, gv schema.GroupVersion, resource *metav1.APIResource) *Type {
	gvr := gv.WithResource(resource.Name)
	if strings.Contains(resource.Name, "/") || !slices.Contains(resource.Verbs, "list") || !slices.Contains(resource.Verbs, "watch") {
		return nil
	}
	known := r.Catalog.Type(resource.Name)
	if known != nil && known.GroupVersionResource == gvr {
		return known
	}
	if before != nil {
		if stays := before.versions[gvr]; stays != nil && stays.Kind == resource.Kind && stays.Namespaced == resource.Namespaced {
			return stays
		}
	}
	kind := &Type{GroupVersionResource: gvr, Kind: resource.Kind, Namespaced: resource.Namespaced, remove: neverKept}
	if known != nil && known.Group == gv.Group { // another version of it has the same secrets
		kind.remove, kind.clean, kind.mask = known.remove, known.clean, known.mask
	}
	return kind
}
