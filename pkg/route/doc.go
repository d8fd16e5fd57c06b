// Package route declares the operations of the API as values: the method, the
// path and the handler to serve, and the documentation from which the OpenAPI
// document is made. An operation cannot be served without being documented. It
// may be imported by everything above it.
package route
