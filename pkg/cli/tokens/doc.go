// Package tokens keeps what somebody is logged in with on this machine, and
// renews it: one file per login, which nobody else may read and which one
// process changes at a time.
package tokens
