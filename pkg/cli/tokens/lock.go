package tokens

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// lockPause is how often a lock is tried that somebody holds.
const lockPause = 20 * time.Millisecond

// errHeld is a lock somebody holds.
var errHeld = errors.New("somebody holds the lock")

// lock waits for a file nobody else has locked. The system unlocks it when a
// process ends, however it does.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := tryLock(file)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, errHeld) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for %s: %w", path, ctx.Err()), file.Close())
		case <-time.After(lockPause):
		}
	}
}
