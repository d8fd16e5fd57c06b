package server

import (
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Refused requests are logged this often: they cost the sender nothing, and a line
// costs more than the refusal. All of them are in the metrics.
const (
	refusalsPerSecond = 20
	refusalBurst      = 200
)

// refusalLog decides which refused requests are logged.
type refusalLog struct {
	limiter *rate.Limiter
	omitted atomic.Int64
}

func newRefusalLog() *refusalLog {
	return &refusalLog{limiter: rate.NewLimiter(refusalsPerSecond, refusalBurst)}
}

// next reports whether a request is logged, and how many were not since the last one.
func (l *refusalLog) next() (logged bool, omitted int64) {
	if !l.limiter.Allow() {
		l.omitted.Add(1)
		return false, 0
	}
	return true, l.omitted.Swap(0)
}
