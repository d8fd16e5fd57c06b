// Package oauth is the token service over HTTP: the token endpoint of OAuth
// 2.0 (RFC 6749) with its grants, the end of sessions and the public keys.
// Errors are values with RFC 6749's codes, written in one place.
package oauth
