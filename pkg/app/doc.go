// Package app is the composition root: it builds every part of ks-apiserver
// from the configuration and runs them together. The command and the tests use
// it alike.
package app
