// Package identity logs in at identity providers that others wrote: the OpenID
// provider of zitadel/oidc. It is a module of its own, so that what they need
// does not enter the server's.
package identity
