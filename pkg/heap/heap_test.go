package heap

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

func TestPercent(t *testing.T) {
	const headroom = 64 << 20
	for live, want := range map[uint64]int{0: 100, 10 << 20: 100, headroom: 100, 2 * headroom: 50, 3 * headroom: 30, 5 * headroom: 20, 100 * headroom: 10} {
		if got := percent(live, headroom); got != want {
			t.Errorf("%d MiB: %d, want %d", live>>20, got, want)
		}
	}
}

func TestSurplus(t *testing.T) {
	for _, test := range []struct {
		state
		want uint64
	}{
		{state{live: 80, used: 100, free: 50}, 70},
		{state{live: 80, used: 80}, 0},
		{state{live: 80, used: 70, free: 5}, 0}, // sweeping is not over
	} {
		if got := test.surplus(); got != test.want {
			t.Errorf("%+v: %d", test.state, got)
		}
	}
	if now := read(); now.used == 0 {
		t.Errorf("the runtime tells %+v", now)
	}
}

// Keep follows what is alive, and leaves the setting as it was.
func TestKeep(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	held := make([]byte, 64<<20)
	runtime.GC()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { Keep(ctx, 16<<20); close(done) }()
	wait.For(t, fmt.Sprintf("GOGC for %d MiB alive", len(held)>>20), func() error {
		if set := gogc(); set > 25 {
			return fmt.Errorf("it is %d", set)
		}
		return nil
	})
	runtime.KeepAlive(held)
	cancel()
	<-done
	if after := debug.SetGCPercent(before); after != 77 {
		t.Errorf("%d is left, want 77", after)
	}
}

func gogc() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64()) //nolint:gosec // a percentage
}
