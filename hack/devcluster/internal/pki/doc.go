// Package pki makes every certificate and key of a development cluster and
// keeps them in one directory, so that a cluster started again on the same
// data has the same identities and old kubeconfigs stay valid.
package pki
