package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/term"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/cluster"
)

// signalOffset is what shells add to the number of the signal that ended a
// process to make an exit code.
const signalOffset = 128

// runCommand runs a command against the cluster and returns its exit code.
func runCommand(command []string, c *cluster.Cluster, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	if err := cmd.Start(); err != nil {
		return exitFailure, fmt.Errorf("run the command: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// A terminal sends its interrupts to the command as well as to us.
	shared := term.IsTerminal(int(os.Stdin.Fd()))
	for {
		select {
		case err := <-ended:
			return exitCode(err)
		case s := <-signals:
			if s == os.Interrupt && shared {
				continue
			}
			// It fails only if the command has just ended.
			_ = cmd.Process.Signal(s)
		case err := <-c.Failed():
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended
			return exitFailure, err
		}
	}
}

// exitCode is the code of a command that ended in this way.
func exitCode(err error) (int, error) {
	if err == nil {
		return 0, nil
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return exitFailure, fmt.Errorf("wait for the command: %w", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalOffset + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// signalCode is the exit code of a process ended by a signal.
func signalCode(s os.Signal) int {
	if number, ok := s.(syscall.Signal); ok {
		return signalOffset + int(number)
	}
	return exitFailure
}
