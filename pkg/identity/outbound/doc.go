// Package outbound is how identity providers are called: with certificates
// checked, within bounds of time and size, following nobody elsewhere, and with
// errors that repeat nothing of an answer. Below pkg/identity only.
package outbound
