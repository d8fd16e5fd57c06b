// Package lookups bounds how often Kubernetes is asked about names that come from
// clients which have not authenticated yet: of tokens, codes and sessions. Whoever
// makes them up must not use the budget of requests to Kubernetes that all share.
package lookups
