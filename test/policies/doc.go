// Package policies reads the ValidatingAdmissionPolicies under deploy/, for the
// tests that compare their lists with what the server decides by, and tests that
// every supported version of Kubernetes compiles them.
package policies
