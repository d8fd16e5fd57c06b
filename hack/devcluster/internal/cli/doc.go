// Package cli is the command line of devcluster: it parses flags, runs a
// cluster until a signal or until a command given to it has ended, and turns
// the outcome into an exit code.
package cli
