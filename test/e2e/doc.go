// Package e2e tests ks-apiserver over HTTP against a real kube-apiserver. Run
// it with make test-e2e: it needs $KUBECONFIG of an embedded Kubernetes and the
// binaries in bin/.
//
// Most tests share one cluster and one server, and run one after another in any
// order. So a test owns the names of its objects, makes them with create, user and
// workspace, which also delete them and wait until they are gone, and looks at
// nothing but them. A test that looks at everything there is, or changes what others
// rely on, starts a cluster of its own with ownCluster.
package e2e
