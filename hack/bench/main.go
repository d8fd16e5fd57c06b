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
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bare := flag.String("bare", "", "serve this recorded answer instead of measuring")
	server := flag.String("server", "bin/ks-apiserver", "the binary to measure")
	seconds := flag.Float64("seconds", 2, "length of each measurement, in seconds")
	connections := flag.Int("connections", 32, "connections at the same time")
	flag.Parse()
	var err error
	if *bare != "" {
		err = serveRecorded(ctx, *bare)
	} else {
		err = measure(ctx, *server, time.Duration(*seconds*float64(time.Second)), *connections)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
