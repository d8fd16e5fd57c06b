// Package ippools serves the address pools pods of a namespace can get addresses
// from (resources.kubesphere.io/v1alpha3).
package ippools
