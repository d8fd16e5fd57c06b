// Package ldap checks names and passwords with a directory that speaks LDAP
// (RFC 4511): it looks the person up as a manager and then binds as them. It
// implements identity.PasswordProvider.
package ldap
