// Package reserved is the register of the names and the fields that users may
// not choose freely: names of Kubernetes and of the platform, and labels,
// annotations and metadata that reconcilers act on with all rights. It imports
// the API types only.
package reserved
