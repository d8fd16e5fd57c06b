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
	// releases is how long to wait before memory is given back again, which
	// takes a collection.
	releases = 30 * time.Second
)

// What the runtime tells.
const (
	liveBytes = "/gc/heap/live:bytes" // found to be in use by the last collection
	freeBytes = "/memory/classes/heap/free:bytes"
	usedBytes = "/memory/classes/heap/objects:bytes"
)

// Keep sets the garbage collector's target (GOGC) so that about headroom bytes
// of garbage gather between collections, whatever is alive, until the context
// ends: a cache of a gigabyte needs no second one for garbage, while a small one
// is not collected all the time. Much of a cache are texts, which cost the
// collector nothing. Now and then what is not alive is given back to the system,
// so that a server nobody asks is as large as what it holds. It returns when the
// context ends.
func Keep(ctx context.Context, headroom uint64) {
	before := debug.SetGCPercent(most)
	defer debug.SetGCPercent(before)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	set, released := most, time.Now()
	for {
		now := read()
		if wanted := percent(now.live, headroom); wanted != set {
			set = wanted
			debug.SetGCPercent(set)
		}
		if now.surplus() > headroom/4 && time.Since(released) > releases {
			debug.FreeOSMemory()
			released = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// state is what the runtime tells, in bytes.
type state struct{ live, free, used uint64 }

func read() state {
	samples := []metrics.Sample{{Name: liveBytes}, {Name: freeBytes}, {Name: usedBytes}}
	metrics.Read(samples)
	var values [3]uint64
	for n, sample := range samples {
		if sample.Value.Kind() == metrics.KindUint64 {
			values[n] = sample.Value.Uint64()
		}
	}
	return state{live: values[0], free: values[1], used: values[2]}
}

// surplus is what is held and was not alive when that was last found out.
func (s state) surplus() uint64 { return max(s.used+s.free, s.live) - s.live }

// percent is what GOGC has to be for the headroom, in steps so that it does not
// change all the time: each change is a collection.
func percent(live, headroom uint64) int {
	const step = 5
	if live <= headroom {
		return most
	}
	return max(least, int(headroom*100/live/step*step)) //nolint:gosec // at most 100
}
