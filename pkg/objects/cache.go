package objects

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Options configure a Cache. All fields but Config have usable zero values.
type Options struct {
	// Config reaches kube-apiserver. Required.
	Config *rest.Config
	// SyncTimeout bounds how long a request waits for a type that is read for
	// the first time. 10 seconds when zero.
	SyncTimeout time.Duration
	// IdleTimeout is how long a type is kept that nobody asks for. Types are
	// kept for ever when zero.
	IdleTimeout time.Duration
	// Now is the clock. time.Now when nil.
	Now func() time.Time
}

// Cache holds the stores of all types. A type is read from Kubernetes when it
// is first asked for, and kept up to date from then on.
type Cache struct {
	options Options

	mu    sync.RWMutex
	run   context.Context // nil until Run
	feeds map[schema.GroupVersionResource]*feed
}

// NewCache returns a cache that reads nothing before Run is called.
func NewCache(options Options) (*Cache, error) {
	if options.Config == nil {
		return nil, errors.New("objects: mandatory field Config not set")
	}
	if options.SyncTimeout == 0 {
		options.SyncTimeout = 10 * time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Cache{options: options, feeds: make(map[schema.GroupVersionResource]*feed)}, nil
}

// Run keeps the stores up to date until the context ends, then waits for all
// reflectors to stop.
func (c *Cache) Run(ctx context.Context) {
	c.mu.Lock()
	c.run = ctx
	for _, f := range c.feeds {
		c.start(f) //nolint:contextcheck // it is kept in c.run
	}
	c.mu.Unlock()
	c.tend(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.feeds {
		if f.stopped != nil {
			<-f.stopped
		}
	}
}

// tend lets go of the past that nobody needs any more and stops the types
// nobody asked for in a while, until the context ends.
func (c *Cache) tend(ctx context.Context) {
	trim := time.NewTicker(keptAge)
	defer trim.Stop()
	var idle <-chan time.Time
	if c.options.IdleTimeout > 0 {
		ticker := time.NewTicker(c.options.IdleTimeout / 4)
		defer ticker.Stop()
		idle = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-trim.C:
			c.mu.RLock()
			for _, f := range c.feeds {
				f.store.trim(c.options.Now())
			}
			c.mu.RUnlock()
		case <-idle:
			c.stopIdle(ctx)
		}
	}
}

// stopIdle stops the types nobody has asked for since long ago. Requests note
// that they asked, and the first call after them when that was, so that none of
// them looks at the clock: a type stays for up to two calls longer.
func (c *Cache) stopIdle(ctx context.Context) {
	now := c.options.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, f := range c.feeds {
		switch {
		case f.asked.Swap(false) || f.watchers.Load() > 0:
			f.lastUse = now
		case !f.pinned && now.Sub(f.lastUse) > c.options.IdleTimeout:
			slog.InfoContext(ctx, "nobody asks for this type any more", "resource", key.String())
			c.stopFeed(f)
		}
	}
}

// Pin starts a type and keeps it, whether it is asked for or not.
func (c *Cache) Pin(kind *Type) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.feed(kind).pinned = true
}

// feed returns the feed of a type, which it creates and starts if needed.
func (c *Cache) feed(kind *Type) *feed {
	f, found := c.feeds[kind.GroupVersionResource]
	if found && !f.store.kind.same(kind) { // it was deleted and installed anew
		c.stopFeed(f)
		found = false
	}
	if !found {
		f = &feed{store: newStore(kind), synced: make(chan struct{})}
		c.feeds[kind.GroupVersionResource] = f
		if c.run != nil {
			c.start(f)
		}
	}
	f.ask()
	return f
}

// used returns the feed of a type and notes that somebody asked for it.
func (c *Cache) used(kind *Type) *feed {
	c.mu.RLock()
	f, found := c.feeds[kind.GroupVersionResource]
	found = found && f.store.kind.same(kind)
	if found {
		f.ask()
	}
	c.mu.RUnlock()
	if found {
		return f
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.feed(kind)
}

// View is the state of a type as far as it is known.
type View struct {
	*Snapshot
	// Stale says why the state may be old; empty when it is up to date.
	Stale string

	feed *feed
}

// View returns the present state of a type. It waits, for a bounded time, for
// a type that is read for the first time. It fails with status 404 when
// Kubernetes does not have the type, and with 503 when it does not answer.
func (c *Cache) View(ctx context.Context, kind *Type) (View, error) {
	f := c.used(kind) //nolint:contextcheck // a type outlives who asked for it first
	select {
	case <-f.synced:
	default:
		if err := c.wait(ctx, f); err != nil {
			return View{}, err
		}
	}
	if floor := f.floor.Load(); f.store.version.Load() < floor {
		// Somebody wrote through this server and reads again. Should that
		// version never come, what there is has to do.
		if err := f.store.reach(ctx, floor, ownWriteTimeout); err != nil {
			if ctx.Err() != nil {
				return View{}, err
			}
			f.floor.CompareAndSwap(floor, 0) // or everybody would wait for it
		}
	}
	return c.view(f)
}

// view is the state of a feed that has been read.
func (c *Cache) view(f *feed) (View, error) {
	view := View{Snapshot: f.store.Snapshot(), feed: f}
	if err := f.failure(); err != nil {
		if apierrors.IsNotFound(err) {
			c.forget(f)
			return View{}, status.NotFound("the cluster does not have the resource type %s", f.store.kind.GroupResource())
		}
		view.Stale = "Kubernetes does not answer, the list may be out of date"
	}
	return view, nil
}

// Synced reports why a type has not been read yet; nil when it has.
func (c *Cache) Synced(kind *Type) error {
	c.mu.RLock()
	f, found := c.feeds[kind.GroupVersionResource]
	c.mu.RUnlock()
	if !found {
		return fmt.Errorf("%s: not started", kind.Resource)
	}
	select {
	case <-f.synced:
		return nil
	default:
	}
	if err := f.failure(); err != nil {
		return fmt.Errorf("%s: %w", kind.Resource, err)
	}
	return fmt.Errorf("%s: not read yet", kind.Resource)
}

func (c *Cache) wait(ctx context.Context, f *feed) error {
	timeout := time.NewTimer(c.options.SyncTimeout)
	defer timeout.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-f.synced:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout.C:
			return status.Unavailable(5, "%s cannot be read from Kubernetes at the moment", f.store.kind.Resource)
		case <-poll.C:
			if err := f.failure(); apierrors.IsNotFound(err) {
				c.forget(f)
				return status.NotFound("the cluster does not have the resource type %s", f.store.kind.GroupResource())
			}
		}
	}
}

// forget gives back the memory of a type the cluster does not have any more.
// Should it come back, it is read anew.
func (c *Cache) forget(f *feed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key := f.store.kind.GroupVersionResource; !f.pinned && c.feeds[key] == f {
		c.stopFeed(f)
	}
}

func (c *Cache) stopFeed(f *feed) {
	if f.stop != nil {
		f.stop()
	}
	f.store.close()
	delete(c.feeds, f.store.kind.GroupVersionResource)
}

// feed keeps one store up to date.
type feed struct {
	store    *Store
	synced   chan struct{} // closed when the store has been filled once
	once     sync.Once
	stop     context.CancelFunc
	stopped  chan struct{}
	pinned   bool
	asked    atomic.Bool   // by somebody since lastUse
	lastUse  time.Time     // when it is known to have been asked for; guarded by Cache.mu
	watchers atomic.Int64  // how many follow it
	floor    atomic.Uint64 // the version somebody wrote through this server

	err atomic.Pointer[error] // of the last attempt to read; nil while it works
}

// ask notes that somebody asked for the type. A write each time would move its
// memory from one processor to another for every request.
func (f *feed) ask() {
	if !f.asked.Load() {
		f.asked.Store(true)
	}
}

func (f *feed) failure() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *feed) note(err error) {
	// A watch that is too old is answered with a new list: nothing is wrong.
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || errors.Is(err, context.Canceled) {
		return
	}
	if err == nil {
		f.err.Store(nil)
		return
	}
	f.err.Store(&err)
}

// start runs the reflector of a feed.
func (c *Cache) start(f *feed) {
	ctx, cancel := context.WithCancel(c.run)
	f.stop, f.stopped = cancel, make(chan struct{})
	client, err := newClient(c.options.Config, f.store.kind)
	if err != nil {
		f.note(err)
		close(f.stopped)
		return
	}
	note := func(err error) {
		f.note(err)
		if apierrors.IsNotFound(err) {
			select {
			case <-f.synced: // the type is gone: so is what there was of it
				c.forget(f)
			default: // whoever waits for it learns that there is none
			}
		}
	}
	reflector := cache.NewReflectorWithOptions(&listWatch{ctx: ctx, client: client, resource: f.store.kind.Resource, note: note}, nil,
		sink{store: f.store, synced: func() { f.once.Do(func() { close(f.synced) }) }},
		cache.ReflectorOptions{Name: f.store.kind.GroupResource().String(), TypeDescription: f.store.kind.Resource})
	go func() {
		defer close(f.stopped)
		reflector.RunWithContext(ctx)
	}()
}
