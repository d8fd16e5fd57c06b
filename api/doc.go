// Package api holds the Go types of the custom resources ks-apiserver serves
// and stores in Kubernetes, one package per API group and version. The names,
// fields, labels and annotations are those of KubeSphere 3.3 and 3.4, so that
// existing clusters work as they stand. These packages import Kubernetes API
// machinery only.
package api
