// Package e2e tests ks-apiserver over HTTP against a real kube-apiserver. Run
// it with make test-e2e: it needs $KUBECONFIG of an embedded Kubernetes and the
// binaries in bin/.
package e2e
