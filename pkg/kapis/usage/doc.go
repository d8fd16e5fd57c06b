// Package usage is the door to what a namespace, or the cluster, uses and what
// in it does not work: counts the console shows. They are read from memory. It
// imports pkg/objects and pkg/route.
package usage
