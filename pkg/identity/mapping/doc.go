// Package mapping makes people of identity providers users: it finds the
// account of who comes, or makes one as the provider's mapping method says. An
// account is found by the provider's name for a person alone, never by what
// people can choose themselves.
package mapping
