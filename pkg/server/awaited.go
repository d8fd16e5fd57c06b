package server

import (
	"container/list"
	"sync"
)

// maxAwaitedBodies is how many bodies are awaited, of users and of clients that have not
// authenticated.
const maxAwaitedBodies = 1024

// awaitedBodies are the bodies that are being read. When there are too many, the oldest
// read of the caller with the most is given up: a caller with many slow bodies ends its
// own reads only.
type awaitedBodies struct {
	mu      sync.Mutex
	started uint64                // numbers the reads in their order
	total   int                   // of all callers
	callers map[string]*list.List // of *bodyRead by caller, the oldest first; none is empty
}

// bodyRead is the read of one body.
type bodyRead struct {
	order  uint64
	ended  bool
	giveUp func()
}

// enter adds a read of a caller's body, until leave is called. giveUp is called if the
// read has to end for another one.
func (a *awaitedBodies) enter(caller string, giveUp func()) (leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.callers == nil {
		a.callers = make(map[string]*list.List)
	}
	reads, found := a.callers[caller]
	if !found {
		reads = list.New()
		a.callers[caller] = reads
	}
	a.started++
	a.total++
	entry := reads.PushBack(&bodyRead{order: a.started, giveUp: giveUp})
	if a.total > maxAwaitedBodies {
		largest := a.largest()
		a.remove(largest, a.callers[largest].Front()).giveUp()
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.remove(caller, entry)
	}
}

// largest is the caller with the most reads; of several, the one with the oldest read.
func (a *awaitedBodies) largest() string {
	var name string
	var most *list.List
	for caller, reads := range a.callers {
		if most == nil || reads.Len() > most.Len() ||
			reads.Len() == most.Len() && first(reads).order < first(most).order {
			name, most = caller, reads
		}
	}
	return name
}

func first(reads *list.List) *bodyRead { return reads.Front().Value.(*bodyRead) }

// remove ends a read, unless it has ended.
func (a *awaitedBodies) remove(caller string, entry *list.Element) *bodyRead {
	read := entry.Value.(*bodyRead)
	if read.ended {
		return read
	}
	read.ended = true
	a.total--
	reads := a.callers[caller]
	if reads.Remove(entry); reads.Len() == 0 {
		delete(a.callers, caller)
	}
	return read
}

// count is the number of reads.
func (a *awaitedBodies) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}
