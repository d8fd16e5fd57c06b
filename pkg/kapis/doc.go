// Package kapis holds the doors of the API below /kapis, one package per
// group: they declare operations, read parameters, call a domain and write the
// answer, and nothing else.
package kapis
