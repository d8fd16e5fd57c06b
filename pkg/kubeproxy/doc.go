// Package kubeproxy passes requests for /api and /apis on to kube-apiserver
// as the user who sent them. They have been authorised before; kube-apiserver
// still sees the real person in its audit log, admission and managed fields.
package kubeproxy
