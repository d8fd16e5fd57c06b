// Package token issues and verifies access tokens: self-contained JWTs (RFC
// 7519, RFC 9068) signed with rotating asymmetric keys, which all replicas
// share through one Secret. It knows nothing of HTTP; pkg/authn and pkg/oauth
// import it.
package token
