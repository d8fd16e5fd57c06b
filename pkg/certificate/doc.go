// Package certificate keeps the certificate this server shows to clients that
// reach it within the cluster, and the authority they check it by, in a Secret
// all replicas share. It is for servers nobody gave a certificate to.
package certificate
