// Package openapi tests the documents we publish with validators that are not
// ours: what they accept, generators of clients accept too.
package openapi
