// Package objectstest gives tests a cache of objects without a Kubernetes. Only
// tests import it.
package objectstest
