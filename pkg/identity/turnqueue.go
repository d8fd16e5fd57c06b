package identity

import (
	"cmp"
	"hash/maphash"
	"slices"

	"k8s.io/utils/lru"
)

// rememberedTurns bounds of how many addresses a queue knows when they were served.
const rememberedTurns = 1 << 14

// turnQueue is the checks of one kind of attempts.
type turnQueue struct {
	running, runningShare, waiting int // at the most

	total   int           // checks that run
	waiters []*turnWaiter // checks that wait, the oldest first
	// addresses, names and pairs of both have an entry while a check of theirs runs
	// or waits.
	addresses, names, pairs turnUsage
	// served is when addresses were served, also those without an entry. Without it,
	// an address that asks again after each check would be as good as one that never
	// asked.
	served *lru.Cache
	// seed decides between addresses that are alike. It changes after started checks,
	// so that an address is not unlucky for long; between changes trying again is no
	// advantage.
	seed    maphash.Seed
	started int
}

// turnCount is the use of the turns by an address or a name.
type turnCount struct {
	key              string
	running, waiting int
	served           uint64 // when its last check was started
	luck             uint64 // of an address: the lower one goes first
}

type turnUsage map[string]*turnCount

func (u turnUsage) at(key string) *turnCount {
	count, found := u[key]
	if !found {
		count = &turnCount{key: key}
		u[key] = count
	}
	return count
}

// forget removes an entry without checks.
func (u turnUsage) forget(count *turnCount) {
	if count.running == 0 && count.waiting == 0 {
		delete(u, count.key)
	}
}

func newTurnQueue(running, runningShare, waiting int) *turnQueue {
	return &turnQueue{
		running: running, runningShare: runningShare, waiting: waiting,
		addresses: turnUsage{}, names: turnUsage{}, pairs: turnUsage{}, served: lru.New(rememberedTurns), seed: maphash.MakeSeed(),
	}
}

// address is the use by an address, with what is remembered of it.
func (q *turnQueue) address(address string) *turnCount {
	count, found := q.addresses[address]
	if found {
		return count
	}
	count = q.addresses.at(address)
	count.luck = maphash.String(q.seed, address)
	if served, found := q.served.Get(address); found {
		count.served = served.(uint64)
	}
	return count
}

// turnLoad orders the checks that wait by how much their address or name uses the queue.
type turnLoad struct {
	waiting      int
	served, luck uint64 // of the address
	failures     int
}

func (w *turnWaiter) load(waiting int) turnLoad {
	return turnLoad{waiting: waiting, served: w.address.served, luck: w.address.luck, failures: w.failures}
}

func (l turnLoad) compare(other turnLoad) int {
	return cmp.Or(cmp.Compare(l.waiting, other.waiting), cmp.Compare(l.served, other.served),
		cmp.Compare(l.luck, other.luck), cmp.Compare(l.failures, other.failures))
}

func waitingOfAddress(w *turnWaiter) int { return w.address.waiting }
func waitingOfName(w *turnWaiter) int    { return w.name.waiting }
func waitingOfPair(w *turnWaiter) int    { return w.pair.waiting }

// makeRoom reports whether a check may wait. If the bound of all, of the address or of the
// name is reached, it removes and returns a check with a larger load. Where as many wait
// of each, that is a check of the address that was served last: addresses that ask all
// the time do not keep those out that ask once.
func (q *turnQueue) makeRoom(w *turnWaiter) (displaced *turnWaiter, ok bool) {
	addressFull, nameFull := w.address.waiting >= share(q.waiting), w.name.waiting >= share(q.waiting)
	switch {
	case addressFull || nameFull:
		displaced = q.displace(w, waitingOfPair, func(other *turnWaiter) bool {
			return (!addressFull || other.address == w.address) && (!nameFull || other.name == w.name)
		})
	case len(q.waiters) < q.waiting:
		return nil, true
	default:
		displaced = q.displace(w, waitingOfAddress, func(*turnWaiter) bool { return true })
		if displaced == nil {
			displaced = q.displace(w, waitingOfName, func(other *turnWaiter) bool { return other.name.waiting > w.name.waiting+1 })
		}
	}
	return displaced, displaced != nil
}

// displace removes the latest candidate with the largest load, if that is more than the
// load of another check would be.
func (q *turnQueue) displace(w *turnWaiter, waiting func(*turnWaiter) int, candidate func(*turnWaiter) bool) *turnWaiter {
	largest, at := w.load(waiting(w)+1), -1
	for n, other := range q.waiters {
		if !candidate(other) {
			continue
		}
		load := other.load(waiting(other))
		if order := load.compare(largest); order > 0 || order == 0 && at >= 0 {
			largest, at = load, n
		}
	}
	if at < 0 {
		return nil
	}
	return q.remove(at)
}

// eligible reports whether a check can start as far as those of its queue are concerned.
func (q *turnQueue) eligible(w *turnWaiter) bool {
	return q.total < q.running && w.address.running < q.runningShare && w.name.running < q.runningShare
}

// next takes the check out that is to start next, nil if there is none.
func (q *turnQueue) next() *turnWaiter {
	next := -1
	for n, w := range q.waiters {
		if q.eligible(w) && (next < 0 || w.isBefore(q.waiters[next])) {
			next = n
		}
	}
	if next < 0 {
		return nil
	}
	return q.remove(next)
}

// isBefore reports whether a check is served before an older one.
func (w *turnWaiter) isBefore(older *turnWaiter) bool {
	recent, last := w.servedLast()
	olderRecent, olderLast := older.servedLast()
	return cmp.Or(cmp.Compare(recent, olderRecent), cmp.Compare(last, olderLast)) < 0
}

// servedLast is when the address or the name of a check was served, whichever was
// later, and when the other one was.
func (w *turnWaiter) servedLast() (recent, last uint64) {
	return max(w.address.served, w.name.served), min(w.address.served, w.name.served)
}

func (q *turnQueue) start(w *turnWaiter, served uint64) {
	q.total++
	for _, count := range w.counts() {
		count.running++
		count.served = served
	}
	q.served.Add(w.address.key, served)
	if q.started++; q.started%q.waiting == 0 {
		q.seed = maphash.MakeSeed()
	}
}

func (q *turnQueue) add(w *turnWaiter) {
	q.waiters = append(q.waiters, w)
	for _, count := range w.counts() {
		count.waiting++
	}
}

func (q *turnQueue) remove(at int) *turnWaiter {
	w := q.waiters[at]
	q.waiters = slices.Delete(q.waiters, at, at+1)
	for _, count := range w.counts() {
		count.waiting--
	}
	return w
}

func (w *turnWaiter) counts() [3]*turnCount { return [3]*turnCount{w.address, w.name, w.pair} }

func (q *turnQueue) forget(w *turnWaiter) {
	q.addresses.forget(w.address)
	q.names.forget(w.name)
	q.pairs.forget(w.pair)
}
