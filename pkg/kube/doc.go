// Package kube connects to Kubernetes: it finds the configuration of the
// connection, builds the clients and knows whether kube-apiserver answers. It
// imports pkg/config and the API types; domains and the composition root
// import it.
package kube
