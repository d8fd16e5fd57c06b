package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// yield lowers the priority of the cluster that runs this program: in
// production Kubernetes has machines of its own, here it would take the
// processors of the server that is measured.
func yield() error {
	tasks := fmt.Sprintf("/proc/%d/task", os.Getppid())
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		// A thread may have ended since; new ones inherit from who starts them.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, 19)
	}
	return nil
}

// pin lets the threads of a process run on some processors only.
func pin(pid int, processors ...int) error {
	var set unix.CPUSet
	for _, n := range processors {
		set.Set(n)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		_ = unix.SchedSetaffinity(id, &set) // a thread may have ended since
	}
	return nil
}
