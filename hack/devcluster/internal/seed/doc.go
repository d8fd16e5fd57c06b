// Package seed fills a new cluster with workloads like those of a real one.
// A few go through kube-apiserver and roll out; of a large number the rest is
// written straight into etcd, settled, before kube-apiserver starts.
package seed
