// Package controlplane runs kube-apiserver, kube-controller-manager and
// kube-scheduler inside this process, from their own command packages and
// configured with their own flags. Much of Kubernetes is global to a process
// (feature gates, metrics, logging), so each may be started once.
package controlplane
