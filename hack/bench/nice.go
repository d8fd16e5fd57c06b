package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// yield lets the cluster that runs this program have what others leave of the
// processors: in production Kubernetes has machines of its own, here it would
// take those of the server that is measured. Threads that are made later inherit
// it from who makes them.
func yield() error {
	return threads(os.Getppid(), func(id int) {
		_ = unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
	})
}

// threads does something to each thread of a process. One may have ended since.
func threads(pid int, do func(id int)) error {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, thread := range all {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		do(id)
	}
	return nil
}

// pin lets the threads of a process run on some processors only.
func pin(pid int, processors ...int) error {
	var set unix.CPUSet
	for _, n := range processors {
		set.Set(n)
	}
	return threads(pid, func(id int) { _ = unix.SchedSetaffinity(id, &set) })
}
