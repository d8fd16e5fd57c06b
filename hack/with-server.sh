#!/usr/bin/env bash
# Runs ks-apiserver on a free port in front of the Kubernetes of $KUBECONFIG,
# then the command given, which finds it at $KS_APISERVER_URL, and stops it.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
log=$(mktemp)
export KS_USERNAME=admin KS_PASSWORD='P@88w0rd'
"$root/bin/kubectl" apply -k "$root/hack/policies" >/dev/null
account=$(mktemp)
"$root/hack/account/kubeconfig.sh" "$account"
KUBESPHERE_ADMIN_PASSWORD=$KS_PASSWORD "$root/bin/ks-apiserver" --kubeconfig "$account" --bind-address 127.0.0.1 --insecure-port 0 2>"$log" &
server=$!
finish() {
	status=$?
	kill $server 2>/dev/null && wait $server 2>/dev/null || true
	if [ $status != 0 ]; then
		echo "the log of ks-apiserver:" >&2
		cat "$log" >&2
	fi
	rm -f "$log" "$account"
	exit $status
}
trap finish EXIT
ready=
for _ in $(seq 240); do
	kill -0 $server 2>/dev/null || exit 1
	address=$(sed -n 's/.*msg=listening address=\([^ ]*\).*/\1/p' "$log")
	if [ -n "$address" ] && "$root/bin/kubectl" --server "http://$address" get --raw /readyz >/dev/null 2>&1; then
		ready=yes
		break
	fi
	sleep 0.25
done
[ -n "$ready" ] || { echo "ks-apiserver is not ready" >&2; exit 1; }
export KS_APISERVER_URL="http://$address"
"$@"
