// Package kubefake has the behaviours of Kubernetes clients that tests of several
// packages need.
package kubefake
