// Package sdk is a client generated from our OpenAPI document, as users
// generate theirs. The end-to-end tests log in and list with it.
package sdk
