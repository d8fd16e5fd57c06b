package passwordhash

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap gives the processor up for a time. time.Sleep would take a millisecond, for
// an idle program waits in epoll, which counts in those, and there are hundreds
// of naps in a hash.
func nap(length time.Duration) {
	t := unix.NsecToTimespec(length.Nanoseconds())
	_ = unix.Nanosleep(&t, nil) // a signal may cut it short
}
