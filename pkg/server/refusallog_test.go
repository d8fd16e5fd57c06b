package server

import "testing"

// TestRefusalLog: somebody who sends thousands of requests without a token fills no disk,
// and the log says how many there were.
func TestRefusalLog(t *testing.T) {
	l := newRefusalLog()
	logged, omitted := 0, int64(0)
	for range 10_000 {
		if now, before := l.next(); now {
			logged, omitted = logged+1, omitted+before
		}
	}
	if logged < refusalBurst || logged > refusalBurst+refusalsPerSecond*10 {
		t.Errorf("%d of 10,000 are logged", logged)
	}
	if left := l.omitted.Load(); int(omitted+left)+logged != 10_000 {
		t.Errorf("%d are logged, %d said to be omitted, %d will be", logged, omitted, left)
	}
}
