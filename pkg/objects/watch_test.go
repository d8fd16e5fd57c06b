package objects

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"pgregory.net/rapid"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// follower is a watch and the state its events add up to.
type follower struct {
	*Watcher
	selects func(*Item) bool
	state   map[string]*Item
}

func (f *follower) see(items ...*Item) {
	for _, item := range items {
		if f.selects(item) {
			f.state[item.Namespace()+"/"+item.Name()] = item
		}
	}
}

// TestWatchEqualsList: whatever happens, the state a watch began with and its
// events add up to what a list shows, for any filter, for watches from now and
// for those that go on from the version of an earlier list.
func TestWatchEqualsList(t *testing.T) {
	kind := NewCatalog().Type("pods")
	rapid.Check(t, func(t *rapid.T) {
		store, model := newStore(kind), stored{}
		store.replace(nil, 0) // nobody watches before there is a state
		version := 0
		next := func(t *rapid.T) *Item {
			s := anySample(t)
			version++
			s.version = strconv.Itoa(version)
			return item(kind, s.json())
		}
		filters := []func(*Item) bool{
			func(*Item) bool { return true },
			func(i *Item) bool { return i.Namespace() == "a" },
			func(i *Item) bool { return i.Field("status.phase").Str == "Running" },
		}
		var followers []*follower
		var lists []*Snapshot
		var versions []uint64
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				added := next(t)
				store.put(added)
				model[added.Namespace()+"/"+added.Name()] = added
			},
			"remove": func(t *rapid.T) {
				gone := next(t)
				store.remove(gone)
				delete(model, gone.Namespace()+"/"+gone.Name())
			},
			"replace": func(t *rapid.T) {
				fresh := stored{}
				for key, known := range model {
					if rapid.IntRange(0, 3).Draw(t, "keep") > 0 {
						fresh[key] = known
					}
				}
				for range rapid.IntRange(0, 3).Draw(t, "added") {
					added := next(t)
					fresh[added.Namespace()+"/"+added.Name()] = added
				}
				version++
				store.replace(slices.Collect(maps.Values(fresh)), uint64(version)) //nolint:gosec // a test
				model = fresh
			},
			"bookmark": func(*rapid.T) {
				version++
				store.advanced(uint64(version)) //nolint:gosec // a test
			},
			"list": func(*rapid.T) {
				s := store.Snapshot()
				lists, versions = append(lists, s), append(versions, s.Version())
			},
			"watch from now": func(t *rapid.T) {
				initial, watcher := store.watchFromNow()
				f := &follower{watcher, rapid.SampledFrom(filters).Draw(t, "filter"), map[string]*Item{}}
				f.see(slices.Collect(initial.All)...)
				followers = append(followers, f)
			},
			"watch from a list": func(t *rapid.T) {
				if len(lists) == 0 {
					t.Skip()
				}
				n := rapid.IntRange(0, len(lists)-1).Draw(t, "list")
				watcher, err := store.watch(versions[n])
				if err != nil {
					if !apierrors.IsResourceExpired(err) {
						t.Fatal(err)
					}
					return
				}
				f := &follower{watcher, rapid.SampledFrom(filters).Draw(t, "filter"), map[string]*Item{}}
				f.see(slices.Collect(lists[n].All)...)
				followers = append(followers, f)
			},
			"": func(t *rapid.T) {
				size := 0
				for _, item := range model {
					size += len(item.text)
				}
				if store.history.store != size {
					t.Fatalf("the store holds %d bytes, it counts %d", size, store.history.store)
				}
				for _, f := range followers {
					for {
						events, _, wake, err := f.Poll(f.selects)
						if err != nil {
							t.Fatal(err)
						}
						for _, event := range events {
							key := event.Item.Namespace() + "/" + event.Item.Name()
							known := f.state[key]
							// A list may know more than its version says; what it
							// knew comes again then.
							switch {
							case event.Type == Deleted:
								delete(f.state, key)
								continue
							case event.Type == Modified && known == nil:
								t.Fatalf("%s is modified and was never there", key)
							}
							f.state[key] = event.Item
						}
						if wake != nil {
							break
						}
					}
					want := map[string]*Item{}
					for key, item := range model {
						if f.selects(item) {
							want[key] = item
						}
					}
					if !maps.EqualFunc(f.state, want, func(a, b *Item) bool { return a.ResourceVersion() == b.ResourceVersion() }) {
						t.Fatalf("the events add up to %v, want %v", slices.Sorted(maps.Keys(f.state)), slices.Sorted(maps.Keys(want)))
					}
				}
			},
		})
	})
}

func podAt(name string, version int) string { return podJSON(name, strconv.Itoa(version)) }

func parse(t *testing.T, text string) *query.Query {
	t.Helper()
	values, err := url.ParseQuery(text)
	if err != nil {
		t.Fatal(err)
	}
	parameters, err := request.ParseParameters(values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := query.Parse(parameters, pods.Filters)
	if err != nil {
		t.Fatal(err)
	}
	return &q
}

func TestWatchTooOld(t *testing.T) {
	empty := newStore(pods)
	empty.replace(nil, 10)
	if _, err := empty.watch(9); !apierrors.IsResourceExpired(err) {
		t.Errorf("what went before the first list, which was empty, is not known: %v", err)
	}
	store := newStore(pods)
	store.replace([]*Item{item(pods, podAt("a", 5))}, 10)
	if _, err := store.watch(9); !apierrors.IsResourceExpired(err) {
		t.Errorf("what happened before the first list is not known: %v", err)
	}
	watcher, err := store.watch(10)
	if err != nil {
		t.Fatal(err)
	}
	for n := range historyChanges + 1 {
		store.put(item(pods, podAt("a", 11+n)))
	}
	if _, _, _, err := watcher.Poll(func(*Item) bool { return true }); !apierrors.IsResourceExpired(err) {
		t.Errorf("a watch that fell behind: %v", err)
	}
	if len(store.history.changes) > historyChanges || store.history.bytes > store.history.limit() {
		t.Errorf("%d changes are kept", len(store.history.changes))
	}
	store.trim(time.Now()) // a first time notes where it is
	store.trim(time.Now())
	if len(store.history.changes) != 0 || store.history.bytes != 0 {
		t.Errorf("%d changes, %d bytes are kept for ever", len(store.history.changes), store.history.bytes)
	}
	if _, err := store.watch(store.version.Load()); err != nil {
		t.Errorf("a watch from the present version: %v", err)
	}
}

// TestWatchWakes: one who waits learns of changes, of the end, and of nothing
// else.
func TestWatchWakes(t *testing.T) {
	store := newStore(pods)
	watcher := store.watcher()
	all := func(*Item) bool { return true }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := watcher.Next(ctx, all); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing happened, and yet: %v", err)
	}
	go store.put(item(pods, podAt("a", 1)))
	if events, version, err := watcher.Next(t.Context(), all); err != nil || len(events) != 1 || version != 1 || events[0].Type != Added {
		t.Errorf("%v %d %v", events, version, err)
	}
	gone := podAt("a", 2)
	store.remove(item(pods, gone))
	events, _, err := watcher.Next(t.Context(), all)
	if err != nil || len(events) != 1 || events[0].Type != Deleted || events[0].Item.ResourceVersion() != "2" || !strings.Contains(events[0].Item.JSON(), `"resourceVersion":"2"`) {
		t.Errorf("what goes is told with the version at which it went: %v, %v", events, err)
	}
	go store.close()
	if _, _, err := watcher.Next(t.Context(), all); !errors.Is(err, ErrEnded) {
		t.Errorf("the end: %v", err)
	}
}

// TestVersions: a list can be asked for by its version.
func TestVersions(t *testing.T) {
	apiserver := newAPIServer(t, podAt("a", 5), podAt("b", 7))
	c := runCache(t, Options{Config: &rest.Config{Host: apiserver.URL}})
	catalog := NewCatalog()
	list := func(text string) (Listed, error) {
		selection := Selection{Query: parse(t, text)}
		found, err := c.State(t.Context(), pods, selection.Query)
		if err == nil {
			err = c.Fill(t.Context(), catalog, pods, selection, &found)
		}
		return found, err
	}
	first, err := list("limit=1&sortBy=name&ascending=true&stable=true")
	if err != nil || first.Version() != 10 || len(first.Items) != 1 {
		t.Fatalf("version %d, %v", first.Version(), err)
	}
	t.Run("read your own write", func(t *testing.T) {
		time.AfterFunc(50*time.Millisecond, func() { apiserver.send(t, "ADDED", podAt("aa", 12)) })
		found, err := list("resourceVersion=12")
		if err != nil || found.Total != 3 {
			t.Errorf("%d pods, %v", found.Total, err)
		}
	})
	t.Run("pages of a state", func(t *testing.T) {
		page, err := list("limit=1&page=2&sortBy=name&ascending=true&resourceVersion=10&resourceVersionMatch=Exact")
		if err != nil || page.Total != 2 || page.Items[0].Name() != "b" {
			t.Errorf("%d, %v: aa came later", page.Total, err)
		}
		// Sorted in a way nobody had asked for while it was the present state.
		page, err = list("limit=1&page=2&sortBy=status,-name&resourceVersion=10&resourceVersionMatch=Exact")
		if err != nil || page.Total != 2 || page.Items[0].Name() != "a" {
			t.Errorf("%v, %v", page.Items, err)
		}
	})
	// Who was told that nothing changed asks for further pages as well.
	t.Run("pages of a state whose first page the client had", func(t *testing.T) {
		state, err := c.State(t.Context(), pods, parse(t, "limit=1&stable=true"))
		if err != nil || state.Items != nil {
			t.Fatal(err)
		}
		apiserver.send(t, "ADDED", podAt("ab", 13))
		if _, err := list("resourceVersion=13"); err != nil {
			t.Fatal(err)
		}
		page, err := list("limit=1&page=2&sortBy=name&ascending=true&resourceVersionMatch=Exact&resourceVersion=" + state.VersionText())
		if err != nil || page.Total != 3 || page.Items[0].Name() != "aa" {
			t.Errorf("%d, %v", page.Total, err)
		}
	})
	t.Run("a state nobody listed", func(t *testing.T) {
		if _, err := list("limit=1&resourceVersion=9&resourceVersionMatch=Exact"); !apierrors.IsResourceExpired(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a version that does not come", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), wait.Timeout)
		defer cancel()
		began := time.Now()
		_, err := c.State(ctx, pods, parse(t, "resourceVersion=1000"))
		var carried apierrors.APIStatus
		if !errors.As(err, &carried) || carried.Status().Code != http.StatusGatewayTimeout || !apierrors.HasStatusCause(err, "ResourceVersionTooLarge") {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took < versionTimeout || took > wait.Timeout/2 {
			t.Errorf("after %v", took)
		}
	})
	t.Run("what was written and never comes", func(t *testing.T) {
		c.Wrote(pods, "15")
		for range 2 {
			if _, err := list("limit=1"); err != nil {
				t.Error(err)
			}
		}
		if c.running(pods).floor.Load() != 0 {
			t.Error("everybody waits for it")
		}
	})
	t.Run("what was written through us", func(t *testing.T) {
		c.Wrote(pods, "20")
		time.AfterFunc(50*time.Millisecond, func() { apiserver.send(t, "ADDED", podAt("c", 20)) })
		if found, err := list("name=c"); err != nil || found.Total != 1 {
			t.Errorf("%d, %v", found.Total, err)
		}
	})
	t.Run("what was deleted through us", func(t *testing.T) {
		time.AfterFunc(50*time.Millisecond, func() { apiserver.send(t, "DELETED", podAt("c", 21)) })
		c.Removed(t.Context(), pods, "n", "c")
		if found, err := list("name=c"); err != nil || found.Total != 0 {
			t.Errorf("%d, %v", found.Total, err)
		}
	})
}
