#!/bin/sh
# Builds ks-apiserver of a commit into the file given: hack/build-at.sh COMMIT FILE
set -eu
commit=$1 out=$2
case $out in /*) ;; *) out=$(pwd)/$out ;; esac
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree"' EXIT
git worktree add --quiet --detach "$tree" "$commit"
CGO_ENABLED=0 go build -C "$tree" -o "$out" ./cmd/ks-apiserver
