// Package oauthclient knows the applications that may ask for tokens: those of
// the configuration and those kept in Secrets. pkg/oauth and pkg/setup import
// it.
package oauthclient
