// Package cluster puts the parts together: it starts them in the order they
// need each other, waits until the cluster can be used, and stops them again.
package cluster
