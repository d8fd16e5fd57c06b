// Package escalation walks through the API of a running server at random and checks that
// no user gets beyond the rights that were given.
//
// A world has two workspaces. The walker sends requests as users of one workspace and as
// users without any: all resources of Kubernetes' discovery and all operations of the
// server's own document, with names, labels, annotations, owners, subjects and rules of
// others. Nobody acts in the other workspace or on the platform, so that no grant explains
// a change there: the oracle compares these objects, looks for canary secrets in all
// bytes that are answered, and asks Kubernetes and the server for rights that none of the
// users and service accounts may get.
//
// The walk follows from its seed. Kubernetes' controllers and timing do not, so that a
// seed repeats requests and not always their effects.
package escalation
