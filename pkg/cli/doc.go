// Package cli is the command line kubectl-ks: a plugin that logs kubectl in at
// ks-apiserver, and gets it the credentials. It shares no code with the server.
package cli
