#!/bin/sh
# Builds devcluster and the kubectl that goes with it into the directory given
# as the only argument.
set -eu

if [ $# -ne 1 ]; then
	echo "usage: $0 OUTDIR" >&2
	exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"

export CGO_ENABLED=0

# Unstamped, Kubernetes gives a version that kubectl, helm and others cannot parse.
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
package=k8s.io/component-base/version
ldflags="-s -w
	-X $package.gitVersion=$version
	-X $package.gitMajor=1
	-X $package.gitMinor=${minor%%.*}
	-X $package.gitCommit=0000000000000000000000000000000000000000
	-X $package.gitTreeState=clean
	-X $package.buildDate=1970-01-01T00:00:00Z"
ldflags=$(echo $ldflags)

if [ ! -x "$out/devcluster" ]; then
	echo "building the embedded Kubernetes $version: the first build takes several minutes (about 15 minutes of CPU time)..."
fi
# go build leaves a binary alone that is up to date.
go build -ldflags "$ldflags" -o "$out/devcluster" .
go build -ldflags "$ldflags" -o "$out/kubectl" k8s.io/kubernetes/cmd/kubectl
