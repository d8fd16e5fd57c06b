package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/cluster"
)

// options are a parsed command line.
type options struct {
	cluster cluster.Options
	quiet   bool
	// command is what to run, nil to run until a signal.
	command []string
	flags   *pflag.FlagSet
}

func parse(args []string) (*options, error) {
	o := &options{}
	var apiServerArgs []string
	f := pflag.NewFlagSet("devcluster", pflag.ContinueOnError)
	f.Usage = func() {}
	f.StringVar(&o.cluster.DataDir, "data-dir", "", "keep everything here; a second start finds it again (default a temporary directory, removed at the end)")
	f.IntVar(&o.cluster.Port, "port", 0, "port of kube-apiserver on 127.0.0.1; 0 for any that is free")
	f.StringVar(&o.cluster.Kubeconfig, "kubeconfig", "", "write the administrator's kubeconfig here when ready (default DATA-DIR/kubeconfig)")
	f.IntVar(&o.cluster.Nodes, "nodes", 3, "number of nodes that run pods")
	f.IntVar(&o.cluster.Pods, "pods", 0, "seed a new cluster with workloads of this many pods")
	f.BoolVar(&o.quiet, "quiet", false, "print nothing but errors")
	f.BoolVar(&o.cluster.UnsafeNoFsync, "unsafe-no-fsync", false, "do not wait for the disk: faster, but a crash of the machine loses data")
	f.StringArrayVar(&apiServerArgs, "apiserver-arg", nil, "further kube-apiserver flag as `key=value`; repeatable")
	o.flags = f

	up := len(args) > 0 && args[0] == "up"
	if up {
		args = args[1:]
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for _, arg := range apiServerArgs {
		o.cluster.APIServerArgs = append(o.cluster.APIServerArgs, "--"+strings.TrimLeft(arg, "-"))
	}
	if err := o.setCommand(up); err != nil {
		return o, err
	}
	return o, o.validate()
}

// setCommand takes what follows "--".
func (o *options) setCommand(up bool) error {
	rest, dash := o.flags.Args(), o.flags.ArgsLenAtDash()
	switch {
	case up && (dash != 0 || len(rest) == 0):
		return errors.New("up needs a command after --: devcluster up [flags] -- CMD ARG…")
	case up:
		o.command = slices.Clone(rest)
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	return nil
}

func (o *options) validate() error {
	if o.cluster.Port < 0 || o.cluster.Port > 65535 {
		return fmt.Errorf("--port %d is not a port", o.cluster.Port)
	}
	if o.cluster.Nodes < 1 || o.cluster.Pods < 0 {
		return errors.New("--nodes must be at least 1 and --pods not negative")
	}
	for _, path := range []*string{&o.cluster.DataDir, &o.cluster.Kubeconfig} {
		if *path == "" {
			continue
		}
		// A command may run in another directory and still be given the path.
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("path %s: %w", *path, err)
		}
		*path = absolute
	}
	return nil
}
