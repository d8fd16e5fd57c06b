// Command kubectl-ks is a kubectl plugin that logs in at ks-apiserver, and what
// kubectl asks for the credentials then.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/super-kubenetes/ks-apiserver/pkg/cli"
)

// version is set when the binary is built.
var version = "v3.4.0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := cli.New(cli.System(), version).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
