// Package workloads is the door to what can be done with workloads beyond
// reading and writing them: looking at revisions and running jobs again. It
// checks the rights in Kubernetes' groups for what it does there.
package workloads
