package objects

import (
	"context"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// How long a read waits for a version: one that a client names, as
// kube-apiserver waits, and one that was written through this server.
const (
	versionTimeout  = 3 * time.Second
	ownWriteTimeout = time.Second
)

// Listed is a page of a list and the state it is of.
type Listed struct {
	Page
	View
	// Changing is true when the page shows what depends on other types, so that
	// the state of its own type does not identify it.
	Changing bool
	// Derive adds to an object what it shows of other types; nil for nothing. It is
	// called when an object is written, so that a list of them is never made whole.
	Derive func(*Item) *Item
}

// Item is an object of the page as it is shown.
func (l *Listed) Item(n int) *Item {
	item := l.Page.Item(n)
	if l.Derive == nil {
		return item
	}
	return l.Derive(item)
}

// State returns the state a list is of, without a page: whoever has that state
// already need not be looked for anything. It fails as View does, with 504 when
// the query names a version that does not come, and with 410 when it asks for
// exactly a version that is not kept any more.
func (c *Cache) State(ctx context.Context, kind *Type, q *query.Query) (Listed, error) {
	view, err := c.viewAt(ctx, kind, q)
	if err != nil {
		return Listed{}, err
	}
	if q.Stable { // for further pages, whether this one is sent or the client has it
		c.Keep(ctx, view)
	}
	return Listed{View: view, Changing: kind.Related() || kind.relates(q)}, nil
}

// Keep keeps a state for some time, so that further pages of a list can be asked
// for at its version. It counts for the user in the context, who has a share of all
// states that are kept.
func (c *Cache) Keep(ctx context.Context, view View) {
	view.store.keep(view.Snapshot, turns.HolderFrom(ctx), c.options.Now())
}

// Fill adds the page to the state it is of, and how the annotations that are
// derived from other types are added to its objects.
func (c *Cache) Fill(ctx context.Context, catalog *Catalog, kind *Type, selection Selection, result *Listed) error {
	annotations, err := c.relate(ctx, catalog, kind, &selection)
	if err != nil {
		return err
	}
	if result.Page, err = result.Select(ctx, selection); err != nil {
		return err
	}
	derive, err := c.Annotator(ctx, catalog, kind)
	if err != nil {
		return err
	}
	if result.Derive = derive; annotations != nil {
		result.Derive = func(item *Item) *Item {
			if derive != nil {
				item = derive(item)
			}
			return item.with(annotations(item))
		}
	}
	return nil
}

// Object returns one object, with the annotations that are derived from other
// types, of a state that is not older than the version, 0 for any. It fails
// with 404 when there is none, and as State does.
func (c *Cache) Object(ctx context.Context, catalog *Catalog, kind *Type, namespace, name string, version uint64) (*Item, View, error) {
	view, err := c.viewAt(ctx, kind, &query.Query{ResourceVersion: version})
	if err != nil {
		return nil, View{}, err
	}
	item := view.Get(namespace, name)
	if item == nil {
		return nil, View{}, apierrors.NewNotFound(kind.GroupResource(), name)
	}
	items, err := c.Annotate(ctx, catalog, kind, []*Item{item})
	if err != nil {
		return nil, View{}, err
	}
	return items[0], view, nil
}

// Counts counts the objects of a selection by a column; by nothing but the
// total when the type has no such column.
func (c *Cache) Counts(ctx context.Context, catalog *Catalog, kind *Type, selection Selection, column string) (total int, counts map[string]int, err error) {
	view, err := c.viewAt(ctx, kind, selection.Query)
	if err != nil {
		return 0, nil, err
	}
	if _, err := c.relate(ctx, catalog, kind, &selection); err != nil {
		return 0, nil, err
	}
	return view.counts(ctx, selection, column)
}

// relates reports whether a query has a filter that depends on other types.
func (t *Type) relates(q *query.Query) bool {
	for _, f := range q.Filters {
		if t.related[f.Key] != nil {
			return true
		}
	}
	return false
}

// viewAt returns the state a query asks for.
func (c *Cache) viewAt(ctx context.Context, kind *Type, q *query.Query) (View, error) {
	view, err := c.View(ctx, kind)
	if err != nil || q.ResourceVersion == 0 {
		return view, err
	}
	if err := view.store.reach(ctx, q.ResourceVersion, versionTimeout); err != nil {
		return View{}, err
	}
	if view, err = c.view(view.feed); err != nil || !q.Exact {
		return view, err
	}
	past := view.store.at(q.ResourceVersion, c.options.Now())
	if past == nil {
		return View{}, status.New(http.StatusGone, metav1.StatusReasonExpired, "the list at version %d is not kept any more, start again with the first page", q.ResourceVersion)
	}
	view.Snapshot = past
	return view, nil
}

// reach waits until every change up to a version is here.
func (s *Store) reach(ctx context.Context, version uint64, timeout time.Duration) error {
	var timer *time.Timer
	for {
		wake := s.await(version)
		if wake == nil {
			return nil
		}
		if timer == nil {
			timer = time.NewTimer(timeout)
			defer timer.Stop()
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			err := status.New(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "Too large resource version: %d, current: %d", version, s.version.Load())
			err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 1, Causes: []metav1.StatusCause{{
				Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version",
			}}}
			return err
		}
	}
}

// Wrote notes the version of an object that was written through this server,
// so that whoever reads the type next finds it.
func (c *Cache) Wrote(kind *Type, version string) {
	f := c.running(kind)
	if f == nil {
		return
	}
	for written := number(version); ; {
		known := f.floor.Load()
		if known >= written || f.floor.CompareAndSwap(known, written) {
			return
		}
	}
}

// Removed waits, for a short time, until an object that was deleted through
// this server is gone from here as well, or on its way with a finalizer.
func (c *Cache) Removed(ctx context.Context, kind *Type, namespace, name string) {
	f := c.running(kind)
	if f == nil {
		return
	}
	before := f.store.Snapshot().Get(namespace, name)
	if before == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ownWriteTimeout)
	defer cancel()
	watcher := f.store.watcher()
	for f.store.Snapshot().Get(namespace, name) == before {
		if _, _, err := watcher.Next(ctx, func(*Item) bool { return false }); err != nil {
			return
		}
	}
}

// Present returns the state of a type that is read, without waiting for it; false when
// it is not.
func (c *Cache) Present(kind *Type) (*Snapshot, bool) {
	f := c.running(kind)
	if f == nil {
		return nil, false
	}
	return f.store.Snapshot(), true
}

// running is the feed of a type, nil unless it has been read.
func (c *Cache) running(kind *Type) *feed {
	c.mu.RLock()
	defer c.mu.RUnlock()
	f := c.feeds[kind.GroupVersionResource]
	if f == nil {
		return nil
	}
	select {
	case <-f.synced:
		return f
	default:
		return nil
	}
}

// Watch is a running watch.
type Watch struct {
	*Watcher
	// Initial is the state it starts with, nil when it goes on from a version.
	Initial *Snapshot
	// Stale is as of View.
	Stale string

	feed *feed
}

// Watch follows a type from the version a query names, or from the present
// state. The type is kept as long as it is followed: Close has to be called.
// It fails as State does.
func (c *Cache) Watch(ctx context.Context, kind *Type, q *query.Query) (*Watch, error) {
	for _, f := range q.Filters {
		if kind.related[f.Key] != nil {
			return nil, status.BadRequest("%s cannot be watched by %s, which depends on objects of other types", kind.Resource, f.Key)
		}
	}
	view, err := c.viewAt(ctx, kind, q)
	if err != nil {
		return nil, err
	}
	result := &Watch{feed: view.feed, Stale: view.Stale}
	if q.Watch.Resumed && !q.Watch.Initial {
		result.Watcher, err = view.store.watch(q.ResourceVersion)
	} else {
		result.Initial, result.Watcher = view.store.watchFromNow()
	}
	if err != nil {
		return nil, err
	}
	view.feed.watchers.Add(1)
	return result, nil
}

// Close ends the watch.
func (w *Watch) Close() {
	w.feed.ask()
	w.feed.watchers.Add(-1)
}

func (s *Snapshot) counts(ctx context.Context, selection Selection, column string) (total int, counts map[string]int, err error) {
	all := *selection.Query
	all.Page, all.Limit = 1, query.Unlimited
	selection.Query = &all
	page, err := s.Select(ctx, selection)
	if err != nil {
		return 0, nil, err
	}
	n := s.store.kind.column(column)
	counts = make(map[string]int)
	if n >= 0 {
		for i := range page.Items {
			counts[page.Item(i).column(n).Text]++
		}
	}
	return page.Total, counts, nil
}

// VersionText is the version of the state, as Kubernetes writes it.
func (s *Snapshot) VersionText() string { return strconv.FormatUint(s.Version(), 10) }
