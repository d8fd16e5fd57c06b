package objects

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// discoverable is a cluster with some types of example.com, which answers when it may.
type discoverable struct {
	discovery.DiscoveryInterface
	mu    sync.Mutex
	types []string
	err   error
	asked atomic.Int64
	hangs chan struct{} // nil when it does not
}

func (d *discoverable) set(types ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.types = types
}

func (d *discoverable) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	d.asked.Add(1)
	if d.hangs != nil {
		<-d.hangs
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, nil, d.err
	}
	list := &metav1.APIResourceList{GroupVersion: "example.com/v1"}
	for _, name := range d.types {
		list.APIResources = append(list.APIResources, metav1.APIResource{Name: name, Kind: "K" + name, Verbs: []string{"list", "watch"}})
	}
	return nil, []*metav1.APIResourceList{list}, nil
}

func newResolver(cluster *discoverable) (*Resolver, *atomic.Int64) {
	var clock atomic.Int64 // seconds
	return &Resolver{Catalog: NewCatalog(), Discovery: cluster, Now: func() time.Time { return time.Unix(clock.Load(), 0) }}, &clock
}

// TestResolver: types are found from the moment they are installed, keep their identity, and
// go some time after they are removed.
func TestResolver(t *testing.T) {
	cluster := &discoverable{types: []string{"a"}}
	resolver, clock := newResolver(cluster)
	find := func(name string) *Type {
		t.Helper()
		kind, err := resolver.Type(t.Context(), name)
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		return kind
	}
	a := find("a")
	if a == nil || find("a.example.com") != a || find("b") != nil || find("a.other.com") != nil || find("pods") == nil {
		t.Fatal("the types of the cluster are not found")
	}
	exact, err := resolver.Exactly(t.Context(), schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "a"})
	if err != nil || exact != a {
		t.Errorf("by its version: %v, %v", exact, err)
	}
	if asked := cluster.asked.Load(); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	cluster.set("a", "b")
	if find("b") != nil {
		t.Error("it is asked more than once a second")
	}
	clock.Add(2)
	if find("b") == nil || find("a") != a {
		t.Error("a new type is not found, or another has changed")
	}
	cluster.set("b")
	clock.Add(100)
	wait.For(t, "the type to go", func() error {
		if find("a") != nil {
			return errors.New("it is there")
		}
		return nil
	})
}

// TestResolverDoesNotWait: while discovery hung, or the definition of one type was read,
// everybody waited for it, also for other types that were known.
func TestResolverDoesNotWait(t *testing.T) {
	cluster := &discoverable{types: []string{"a", "b"}}
	resolver, clock := newResolver(cluster)
	reading := make(chan struct{})
	resolver.Definition = func(ctx context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
		if name == "b.example.com" {
			close(reading)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, apierrors.NewNotFound(schema.GroupResource{}, name)
	}
	a, err := resolver.Type(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	cluster.hangs = make(chan struct{})
	defer close(cluster.hangs)
	clock.Add(100)
	ctx, cancel := context.WithCancel(t.Context())
	unknown := make(chan error)
	go func() {
		_, err := resolver.Type(ctx, "new")
		unknown <- err
	}()
	go func() { _, _ = resolver.Type(ctx, "b") }()
	<-reading
	wait.For(t, "the question", func() error {
		if asked := cluster.asked.Load(); asked != 2 {
			return fmt.Errorf("asked %d times", asked)
		}
		return nil
	})
	if kind, err := resolver.Type(t.Context(), "a"); kind != a || err != nil {
		t.Errorf("a known type: %v, %v", kind, err)
	}
	cancel()
	if err := <-unknown; !errors.Is(err, context.Canceled) {
		t.Errorf("a client that goes: %v", err)
	}
}

// TestResolverOfNothing: a cluster that does not say what it has is no cluster without types.
func TestResolverOfNothing(t *testing.T) {
	resolver, _ := newResolver(&discoverable{err: errors.New("not ready")})
	if _, err := resolver.Type(t.Context(), "a"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v", err)
	}
	if _, err := (&Resolver{Catalog: NewCatalog()}).Type(t.Context(), "a"); !apierrors.IsNotFound(err) {
		t.Errorf("without discovery: %v", err)
	}
}
