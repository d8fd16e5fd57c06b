#!/usr/bin/env bash
# Writes a kubeconfig of the account ks-apiserver has when it is deployed, for the
# Kubernetes of $KUBECONFIG, to a file.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/bin/kubectl" apply -k "$root/hack/account" >/dev/null
token=$("$root/bin/kubectl" -n kubesphere-system create token ks-apiserver --duration 8760h)
(umask 077 && cp "$KUBECONFIG" "$1")
"$root/bin/kubectl" --kubeconfig "$1" config set-credentials ks-apiserver --token "$token" >/dev/null
"$root/bin/kubectl" --kubeconfig "$1" config set-context --current --user ks-apiserver >/dev/null
