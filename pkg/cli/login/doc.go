// Package login talks to the token service of ks-apiserver for the command
// line: it logs in by browser, device code or password, renews and revokes.
package login
