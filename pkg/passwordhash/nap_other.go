//go:build !linux

package passwordhash

import "time"

// nap gives the processor up for a time.
func nap(length time.Duration) { time.Sleep(length) }
