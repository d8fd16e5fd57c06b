// Package identity checks who somebody is: passwords of local users. Checking
// takes the same work whether the user exists or not, and only so many checks
// run at once that logins cannot starve everything else. pkg/oauth and
// pkg/authn import it.
package identity
