package main

import (
	"fmt"
	"os"
	"runtime"
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

// separate gives the threads of Kubernetes the first processor, and those of
// the server that is measured and of this program all others, until together is
// called.
func separate(kubernetes int, others ...int) (together func(), err error) {
	if runtime.NumCPU() < 2 {
		return func() {}, nil
	}
	var rest []int
	for n := 1; n < runtime.NumCPU(); n++ {
		rest = append(rest, n)
	}
	others = append(others, os.Getpid())
	if err := pin(kubernetes, 0); err != nil {
		return nil, err
	}
	for _, pid := range others {
		if err := pin(pid, rest...); err != nil {
			return nil, err
		}
	}
	return func() {
		for _, pid := range append(others, kubernetes) {
			_ = pin(pid, append(rest, 0)...)
		}
	}, nil
}
