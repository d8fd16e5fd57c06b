// Package egress guards the connections that are made to addresses users name:
// registries and repositories. What is checked is the address that is dialled,
// so that a name cannot mean something else a moment later, and answers are
// bounded in size and time.
package egress
