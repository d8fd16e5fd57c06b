// Package request says what an HTTP request is about: its verb, its scope and
// the resource it names. It is parsed once per request, and what is authorised
// is what is served: a path that could be read in two ways is refused. It does
// no I/O and may be imported by everything above it.
package request
