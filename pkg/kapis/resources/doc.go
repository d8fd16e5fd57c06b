// Package resources serves resources.kubesphere.io/v1alpha3: lists and single
// objects of every resource type, from the list engine.
package resources
