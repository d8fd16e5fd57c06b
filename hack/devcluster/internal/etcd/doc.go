// Package etcd runs a single-member etcd inside this process. It listens on
// unix sockets only, so it needs no port and nobody else reaches it.
package etcd
