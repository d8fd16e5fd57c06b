package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/cluster"
)

const usage = `A real Kubernetes in one process, for development and tests.

Usage:
  devcluster [flags]                  run until SIGINT or SIGTERM
  devcluster up [flags] -- CMD ARG…   run CMD with KUBECONFIG set, then stop

Flags:
%s`

const (
	exitFailure = 1
	exitUsage   = 2
)

// Run executes a command line (without the program's name) and returns the
// exit code.
func Run(ctx context.Context, args []string, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(stderr, usage, o.flags.FlagUsages())
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "devcluster: %v\nTry devcluster --help.\n", err)
		return exitUsage
	}
	code, err := run(ctx, o, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "devcluster: %v\n", err)
	}
	return code
}

func run(ctx context.Context, o *options, stderr io.Writer) (int, error) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	if o.cluster.DataDir == "" {
		dir, err := os.MkdirTemp("", "devcluster-data")
		if err != nil {
			return exitFailure, fmt.Errorf("make a temporary data directory: %w", err)
		}
		defer os.RemoveAll(dir)
		o.cluster.DataDir = dir
	}
	begin := time.Now()
	o.cluster.Progress = progress(stderr, o.quiet, begin)
	c, code, err := startInterruptibly(ctx, o, signals)
	if c == nil {
		return code, err
	}
	defer c.Stop()
	o.cluster.Progress("ready in %.1fs: %s, KUBECONFIG=%s", time.Since(begin).Seconds(), c.Address(), c.Kubeconfig())

	if o.command != nil {
		return runCommand(o.command, c, signals)
	}
	select {
	case s := <-signals:
		o.cluster.Progress("%v: stopping", s)
		return 0, nil
	case err := <-c.Failed():
		return exitFailure, err
	case <-ctx.Done():
		return exitFailure, ctx.Err()
	}
}

// startInterruptibly starts a cluster unless a signal comes first.
func startInterruptibly(ctx context.Context, o *options, signals <-chan os.Signal) (*cluster.Cluster, int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type result struct {
		cluster *cluster.Cluster
		err     error
	}
	started := make(chan result, 1)
	go func() {
		c, err := cluster.Start(ctx, o.cluster)
		started <- result{c, err}
	}()
	select {
	case r := <-started:
		return r.cluster, exitFailure, r.err
	case s := <-signals:
		cancel(fmt.Errorf("received %v", s))
		if r := <-started; r.cluster != nil {
			r.cluster.Stop()
		}
		return nil, signalCode(s), fmt.Errorf("%v while starting", s)
	}
}

// progress writes one line per step with the time since the beginning.
func progress(w io.Writer, quiet bool, begin time.Time) func(string, ...any) {
	if quiet {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) {
		fmt.Fprintf(w, "devcluster: %5.1fs %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
}
