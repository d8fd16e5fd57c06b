package objects

import (
	"cmp"
	"context"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Client is a client whose writes are in the cache when they return, so that
// who writes reads it back from the same replica at once; and what it reads, or
// finds to be gone, is so in the cache, too: a writer that finds its work done by
// another replica or a reconciler returns with the same effect. A cache that is behind, since Kubernetes is
// busy, is waited for a bounded time only: the write has happened.
type Client struct {
	client.Client
	Cache   *Cache
	Catalog *Catalog
	// timeout is for the cache to have what was written; 0 means awaitTimeout.
	timeout time.Duration
}

// The cache gets what was written from the next event of its watch, mostly
// within milliseconds.
const (
	awaitTimeout  = time.Second
	awaitInterval = time.Millisecond
)

// Get implements client.Reader.
func (c *Client) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := c.Client.Get(ctx, key, object, options...)
	if err != nil {
		c.awaitGone(ctx, object, key, err)
		return err
	}
	c.awaitVersion(ctx, object)
	return nil
}

// Create implements client.Writer.
func (c *Client) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	if err := c.Client.Create(ctx, object, options...); err != nil {
		return err
	}
	c.awaitVersion(ctx, object)
	return nil
}

// Update implements client.Writer.
func (c *Client) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	if err := c.Client.Update(ctx, object, options...); err != nil {
		c.awaitGone(ctx, object, client.ObjectKeyFromObject(object), err)
		return err
	}
	c.awaitVersion(ctx, object)
	return nil
}

// Patch implements client.Writer.
func (c *Client) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	if err := c.Client.Patch(ctx, object, patch, options...); err != nil {
		c.awaitGone(ctx, object, client.ObjectKeyFromObject(object), err)
		return err
	}
	c.awaitVersion(ctx, object)
	return nil
}

// Delete implements client.Writer.
func (c *Client) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	if err := c.Client.Delete(ctx, object, options...); err != nil {
		c.awaitGone(ctx, object, client.ObjectKeyFromObject(object), err)
		return err
	}
	c.await(ctx, object, client.ObjectKeyFromObject(object), func(item *Item) bool {
		return item == nil || item.Field("metadata.deletionTimestamp").Exists() || object.GetUID() != "" && item.UID() != string(object.GetUID())
	})
	return nil
}

func (c *Client) awaitVersion(ctx context.Context, object client.Object) {
	written, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return
	}
	// An object whose last finalizer was taken away is gone.
	leaves := object.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) == 0
	c.await(ctx, object, client.ObjectKeyFromObject(object), func(item *Item) bool {
		if item == nil {
			return leaves
		}
		version, err := strconv.ParseUint(item.ResourceVersion(), 10, 64)
		return err != nil || version >= written && !leaves
	})
}

// awaitGone waits for an object to leave the cache when Kubernetes does not know
// it: whoever deleted it, or took its last finalizer away, was not this client.
func (c *Client) awaitGone(ctx context.Context, object client.Object, key client.ObjectKey, err error) {
	if !apierrors.IsNotFound(err) {
		return
	}
	var behind *Item
	c.await(ctx, object, key, func(item *Item) bool {
		if behind == nil {
			behind = item
		}
		return item == nil || item.UID() != behind.UID()
	})
}

// await waits until the cache has an object in the wanted state. Types that are
// not in the cache are not waited for: they are read when they are asked for.
func (c *Client) await(ctx context.Context, object client.Object, key client.ObjectKey, done func(*Item) bool) {
	gvk, err := c.GroupVersionKindFor(object)
	if err != nil {
		return
	}
	kind := c.Catalog.ofKind(gvk.GroupKind())
	if kind == nil || c.Cache.Synced(kind) != nil {
		return
	}
	timeout := time.NewTimer(cmp.Or(c.timeout, awaitTimeout))
	defer timeout.Stop()
	ticker := time.NewTicker(awaitInterval)
	defer ticker.Stop()
	for {
		view, err := c.Cache.View(ctx, kind)
		if err != nil || view.Stale != "" || done(view.Get(key.Namespace, key.Name)) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-timeout.C:
			return
		case <-ticker.C:
		}
	}
}

// ofKind returns the type of a kind, nil when there is none.
func (c *Catalog) ofKind(wanted schema.GroupKind) *Type {
	for _, kind := range c.types {
		if kind.Kind == wanted.Kind && kind.Group == wanted.Group {
			return kind
		}
	}
	return nil
}
