//go:build !linux

package identity

import "time"

// nap gives the processor up for a time.
func nap(length time.Duration) { time.Sleep(length) }
