package objects

import (
	"runtime"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// How much the watches of a user go through without a turn, in bytes: a second, and at once
// after a while.
const (
	watchWorkPerSecond = 4 << 20
	watchWorkAtOnce    = 16 << 20
)

// watchTurnWithin is how long a watch waits for a turn before it looks after other things,
// such as whether it may go on, and waits again.
const watchTurnWithin = 2 * time.Second

// watching bounds what watches do when objects change. Of a user one watch does much at
// once, and all users together keep half of the processors busy.
var watching = turns.NewBudget(
	turns.New(max(1, runtime.GOMAXPROCS(0)/2), 1, watchTurnWithin, "too many watches go through too much"),
	watchWorkPerSecond, watchWorkAtOnce)

// WatchShare returns the share that a watch of a user, see kube.Holder, has of the work all
// watches do. It has to be closed.
func WatchShare(holder string) *turns.Share { return watching.Open(holder) }
