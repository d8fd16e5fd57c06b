package accesstoken

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/lookups"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestFirstUsesOfOthers: whoever sends tokens with wrong secrets from several addresses does
// not keep others from the first use of a token; 3 of 8 got 429.
func TestFirstUsesOfOthers(t *testing.T) {
	for _, test := range []struct {
		name string
		own  bool // the name is that of a token of the user
	}{
		{"the name of an own token", true},
		{"names that are made up", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			own, _ := w.create(t, "mallory")
			w.event(t, "ADDED", own)
			texts := make([]string, 8)
			for n := range texts {
				created, text := w.create(t, "jane")
				if test.own { // in the cache as well, so that both are bounded by the same
					w.event(t, "ADDED", created)
				}
				texts[n] = text
			}
			use := func(ctx context.Context, address, text string) error {
				_, err := w.Verify(request.NewContext(ctx, request.Origin{Address: address}, nil), text)
				return err
			}
			over, end := context.WithCancel(t.Context())
			var running sync.WaitGroup
			for n := range 8 * 15 {
				running.Go(func() {
					for number := 0; over.Err() == nil; number++ {
						id := strings.TrimPrefix(own.Name, namePrefix)
						if !test.own {
							id = fmt.Sprintf("%016x%016x", n, number)
						}
						_ = use(over, fmt.Sprint("192.0.2.", n%8), Prefix+id+strings.Repeat("A", 43))
						time.Sleep(20 * time.Millisecond)
					}
				})
			}
			wait.For(t, "what is left to be used up", func() error {
				if reads := w.reads.Load(); reads < int64(lookups.Unknown().AtOnce) {
					return fmt.Errorf("%d are", reads)
				}
				return nil
			})
			for n, text := range texts {
				if err := use(t.Context(), "198.51.100.7", text); err != nil {
					t.Errorf("first use of token %d: %v", n, err)
				}
			}
			end()
			running.Wait()
		})
	}
}
