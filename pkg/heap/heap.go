package heap

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Bounds of the GOGC percentage, and how often it is set.
const (
	least    = 10
	most     = 100 // what Go does by itself
	interval = 2 * time.Second
)

// liveBytes is the heap the last collection found to be in use.
const liveBytes = "/gc/heap/live:bytes"

// Keep sets the garbage collector's target (GOGC) so that about headroom bytes
// of garbage gather between collections, whatever is alive, until the context
// ends: a cache of a gigabyte needs no second one for garbage, while a small one
// is not collected all the time. Much of a cache are texts, which cost the
// collector nothing. It returns when the context ends.
func Keep(ctx context.Context, headroom uint64) {
	before := debug.SetGCPercent(most)
	defer debug.SetGCPercent(before)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	set := most
	for {
		if wanted := percent(live(), headroom); wanted != set {
			set = wanted
			debug.SetGCPercent(set)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func live() uint64 {
	sample := []metrics.Sample{{Name: liveBytes}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

// percent is what GOGC has to be for the headroom, in steps so that it does not
// change all the time: each change is a collection.
func percent(live, headroom uint64) int {
	const step = 5
	if live <= headroom {
		return most
	}
	return max(least, int(headroom*100/live/step*step)) //nolint:gosec // at most 100
}
