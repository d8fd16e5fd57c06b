package terminal

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestLinksCost: comparing a name with the links costs what reading it does, not its length
// for each directory in it.
func TestLinksCost(t *testing.T) {
	const depth = 256
	name := strings.Repeat(strings.Repeat("n", longestPath/depth-1)+"/", depth-1) + "f"
	l := newLinks()
	for n := range 1000 {
		if _, err := l.above(&tar.Header{Typeflag: tar.TypeSymlink, Name: fmt.Sprintf("%s%d", name, n)}); err != nil {
			t.Fatal(err)
		}
	}
	fastest := func(f func()) time.Duration {
		least := time.Hour
		for range 20 { // a shared machine is slow now and then
			started := time.Now()
			for range 50 {
				f()
			}
			least = min(least, time.Since(started))
		}
		return least
	}
	linear := fastest(func() { _ = path.Clean(name) })
	above := fastest(func() { _, _ = l.above(&tar.Header{Typeflag: tar.TypeReg, Name: name}) })
	if above > 15*linear {
		t.Errorf("%s for a name that takes %s to read", above/50, linear/50)
	}
}

// TestLinksMemory: what is remembered of a link does not grow with its name, and the number
// of links is bounded.
func TestLinksMemory(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before := heap()
	l := newLinks()
	long := strings.Repeat("n", 4000)
	for n := range 10_000 {
		if below, err := l.above(&tar.Header{Typeflag: tar.TypeSymlink, Name: fmt.Sprintf("%s%d", long, n)}); below || err != nil {
			t.Fatalf("link %d: %t, %v", n, below, err)
		}
	}
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("10,000 links take %d bytes", grown)
	}
	var err error
	n := 10_000
	for ; err == nil && n <= 2*maxLinks; n++ {
		_, err = l.above(&tar.Header{Typeflag: tar.TypeSymlink, Name: fmt.Sprint(n)})
	}
	if grown := heap() - before; !errors.Is(err, errManyLinks) || grown > 12<<20 {
		t.Errorf("%d links take %d bytes, and the last returns %v", n, grown, err)
	}
	if below, err := l.above(&tar.Header{Typeflag: tar.TypeReg, Name: long + "7/f"}); !below || err != nil {
		t.Errorf("a file below a link: %t, %v", below, err)
	}
	runtime.KeepAlive(l)
}
