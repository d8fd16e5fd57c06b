// Package nodes is the door to what can be done with nodes beyond reading and
// writing them: emptying one before it is taken away. It checks the rights in
// Kubernetes' groups for what it does there.
package nodes
