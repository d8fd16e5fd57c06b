// Command devcluster runs a real Kubernetes in one process.
package main

import (
	"context"
	"os"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stderr))
}
