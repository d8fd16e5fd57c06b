// Package server is the HTTP side every request passes through, in the order
// of kube-apiserver: recovery, request ID, metrics and log, limits, request
// description, authentication, authorization. It serves health, metrics and
// the routes it is given, on a plain and a TLS port. pkg/app builds it.
package server
