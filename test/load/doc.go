// Package load tests that no client makes the server slow or large for others: it
// runs the binary, measures its memory, and attacks it over loopback. Run it with
// make test-load: it needs $KUBECONFIG of an embedded Kubernetes and
// bin/ks-apiserver.
package load
