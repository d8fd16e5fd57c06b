#!/usr/bin/env bash
# Runs ks-apiserver on a free port in front of the Kubernetes of $KUBECONFIG,
# then the command given, which finds it at $KS_APISERVER_URL, and stops it.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
log=$(mktemp)
export KS_USERNAME=admin KS_PASSWORD='P@88w0rd'
KUBESPHERE_ADMIN_PASSWORD=$KS_PASSWORD "$root/bin/ks-apiserver" --bind-address 127.0.0.1 --insecure-port 0 2>"$log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; rm -f "$log"' EXIT
for _ in $(seq 240); do
	kill -0 $server 2>/dev/null || { cat "$log" >&2; exit 1; }
	address=$(sed -n 's/.*msg=listening address=\([^ ]*\).*/\1/p' "$log")
	[ -n "$address" ] && "$root/bin/kubectl" --server "http://$address" get --raw /readyz >/dev/null 2>&1 && break
	sleep 0.25
done
export KS_APISERVER_URL="http://$address"
"$@"
