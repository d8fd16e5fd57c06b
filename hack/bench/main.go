// Command bench measures ks-apiserver against a bare net/http server that sends
// the same bytes with the same headers, and against kube-apiserver. It runs
// below devcluster (make bench) and prints ratios: absolute times depend on the
// machine and what else it does, and CPU time per request does so the least.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	bare := flag.String("bare", "", "serve this recorded answer instead of measuring")
	flag.StringVar(&o.server, "server", "bin/ks-apiserver", "the binary to measure")
	updates := flag.Int("update", 0, "change so many pods each second instead of measuring, until interrupted")
	flag.Float64Var(&o.seconds, "seconds", 2, "length of each measurement, in seconds")
	flag.IntVar(&o.connections, "connections", 32, "connections at the same time")
	flag.BoolVar(&o.only, "page", false, "measure one page only")
	flag.StringVar(&o.save, "save", "", "with --page: a file to keep the result in")
	flag.StringVar(&o.against, "against", "", "with --page: the file of an earlier result to compare with")
	flag.StringVar(&o.parts, "parts", "", "the parts to measure, separated by commas; all if empty")
	flag.BoolVar(&o.proxy, "proxy", false, "measure requests to Kubernetes only, through the server and directly")
	flag.IntVar(&o.bindings, "bindings", 0, "with --proxy: ClusterRoleBindings of others that Kubernetes looks through")
	flag.IntVar(&o.grow, "grow", 40000, "pods to add, to see what each costs in memory")
	flag.Parse()
	var err error
	switch {
	case *bare != "":
		err = serveRecorded(ctx, *bare)
	case *updates > 0:
		err = changePods(ctx, *updates)
	default:
		err = measure(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	server        string
	seconds       float64
	connections   int
	only, proxy   bool
	save, against string
	parts         string
	grow          int
	bindings      int
}
