// Package query reads the parameters of a list: page, order, filters and
// selectors. What cannot be understood is an error with status 400, so that a
// mistake never means "everything". It does no I/O and may be imported by
// everything above it.
package query
