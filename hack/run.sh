#!/usr/bin/env bash
# Starts the embedded Kubernetes and ks-apiserver, tells how to use them, and
# stops both on Ctrl-C. ks-apiserver listens on PORT, and with TLS on
# SECURE_PORT, of 127.0.0.1.
set -eu
cd "$(dirname "$0")/.."
PORT=${PORT:-9090}
SECURE_PORT=${SECURE_PORT:-9443}
state=.cache/run
mkdir -p "$state"

if [ "${1:-}" != serve ]; then
	for variable in PORT SECURE_PORT; do
		if (exec 3<>"/dev/tcp/127.0.0.1/${!variable}") 2>/dev/null; then
			echo "port ${!variable} of 127.0.0.1 is taken: choose another with 'make run $variable=…'" >&2
			exit 1
		fi
	done
	# kubectl sends tokens over HTTPS only.
	(cd "$state" && go run "$(go env GOROOT)/src/crypto/tls/generate_cert.go" --host 127.0.0.1,localhost --ecdsa-curve P256 --ca 2>/dev/null)
	echo "starting Kubernetes …"
	exec bin/devcluster up --nodes 3 --pods 60 --quiet -- "$0" serve
fi

# Enforced here, so that what they refuse shows before it does in a cluster.
bin/kubectl apply -k hack/policies >/dev/null
echo "starting ks-apiserver …"
cp "$KUBECONFIG" "$state/kubeconfig"
hack/account/kubeconfig.sh "$state/account"
# Terminals with kubectl and kubeconfigs have an address that works from here.
export KUBESPHERE_SERVER_PUBLICURL="https://127.0.0.1:$SECURE_PORT"
# The issuer is the address of all lines below, so that OIDC libraries find the token
# service. The well-known password is for this throw-away cluster only.
KUBESPHERE_AUTHENTICATION_OAUTHOPTIONS_ISSUER="${KUBESPHERE_AUTHENTICATION_OAUTHOPTIONS_ISSUER:-http://127.0.0.1:$PORT}" \
	KUBESPHERE_ADMIN_PASSWORD="${KUBESPHERE_ADMIN_PASSWORD:-P@88w0rd}" \
	bin/ks-apiserver --kubeconfig "$state/account" --bind-address 127.0.0.1 --insecure-port "$PORT" \
	--secure-port "$SECURE_PORT" --tls-cert-file "$state/cert.pem" --tls-private-key "$state/key.pem" 2>"$state/ks-apiserver.log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; exit 0' INT TERM

ready() { bin/kubectl --server "http://127.0.0.1:$PORT" get --raw /readyz >/dev/null 2>&1; }
for _ in $(seq 480); do
	if ! kill -0 $server 2>/dev/null; then
		echo "ks-apiserver ended:" >&2
		cat "$state/ks-apiserver.log" >&2
		exit 1
	fi
	ready && break
	sleep 0.25
done
if ! ready; then
	echo "ks-apiserver is not ready after two minutes; its log is $state/ks-apiserver.log. /readyz says:" >&2
	bin/kubectl --server "http://127.0.0.1:$PORT" get --raw '/readyz?verbose' >&2 || true
	kill $server
	exit 1
fi

cat <<EOF

ks-apiserver is ready. It is in front of a Kubernetes with 3 nodes and 60 pods.

  API          http://127.0.0.1:$PORT and https://127.0.0.1:$SECURE_PORT
  Swagger UI   http://127.0.0.1:$PORT/swagger-ui/
  user         admin, password ${KUBESPHERE_ADMIN_PASSWORD:-P@88w0rd}
  log          $state/ks-apiserver.log
  kubeconfig   $state/kubeconfig, of the Kubernetes behind it

Get a token:

  curl -s -X POST http://127.0.0.1:$PORT/oauth/token \\
    -H 'Content-Type: application/x-www-form-urlencoded' \\
    --data-urlencode 'grant_type=password' \\
    --data-urlencode 'username=admin' \\
    --data-urlencode 'password=${KUBESPHERE_ADMIN_PASSWORD:-P@88w0rd}' \\
    --data-urlencode 'client_id=kubesphere' \\
    --data-urlencode 'client_secret=kubesphere'

List the nodes with it:

  curl -s http://127.0.0.1:$PORT/kapis/resources.kubesphere.io/v1alpha3/nodes \\
    -H "Authorization: Bearer \$TOKEN"

Or use kubectl through the server:

  bin/kubectl --server https://127.0.0.1:$SECURE_PORT --certificate-authority $state/cert.pem --token "\$TOKEN" get nodes

Or log kubectl in, which then renews its tokens by itself:

  PATH=\$PWD/bin:\$PATH kubectl ks login https://127.0.0.1:$SECURE_PORT --certificate-authority $state/cert.pem --password -u admin

Ctrl-C stops everything.
EOF
wait $server
