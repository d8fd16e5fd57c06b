// Package escalation walks through the API of a running server at random and checks that
// no user gets beyond the rights that were given.
//
// A world has two workspaces. The walker sends requests as users of one workspace, as users
// with a global role of a template, and as users without any role: all resources of
// Kubernetes' discovery and all operations of the server's own document, with names, labels,
// annotations, owners, subjects and rules of others. Some of its users have roles in one
// project of the other workspace, which let nobody give rights there. Nobody else acts in the
// other workspace or on the platform, so that no grant explains a change there: the oracle
// compares these objects, and of the users' own what only the platform writes, looks for
// canary secrets in all bytes that are answered, and asks Kubernetes and the server for rights
// that none of the users and service accounts may get, before the first request as well.
//
// The walk follows from its seed. Users act at the same time, and Kubernetes' controllers and
// timing follow from nothing, so that a seed repeats requests and not always their effects.
package escalation
