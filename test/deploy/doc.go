// Package deploy tests what is under deploy/ against a real Kubernetes: that it
// is accepted, comes up, can be exposed as the guide says, and gives the server
// the rights it needs and no others.
//
// It is a module of its own with no requirement but a YAML parser, and drives
// kubectl and helm as a person would:
//
//	bin/devcluster up -- go test -C test/deploy ./...
//
// $KUBECONFIG names the cluster; $KUBECTL, $HELM and $KS_APISERVER the binaries, by
// default those in bin/. A missing one is a failure: a deployment nobody tested
// isn't one.
package deploy
