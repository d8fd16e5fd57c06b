#!/bin/sh
# Installs our custom resource definitions into the Kubernetes of $KUBECONFIG
# and writes the OpenAPI document it publishes for them to the file given.
set -eu
cd "$(dirname "$0")/../.."
bin/kubectl apply --server-side -f config/crds >/dev/null
bin/kubectl wait --for=condition=Established --timeout=60s -f config/crds >/dev/null
wanted=$(ls config/crds | wc -l)
# Kubernetes publishes definitions a moment after they are established.
for _ in $(seq 60); do
	bin/kubectl get --raw /openapi/v2 | go run ./hack/crdspec >bin/crds.json || true
	[ "$(grep -c '"x-kubernetes-action": "post"' bin/crds.json)" -eq "$wanted" ] && break
	sleep 0.5
done
mv bin/crds.json "$1"
