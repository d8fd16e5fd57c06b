// Package roles serves the roles of all four scopes, their templates and
// bindings, and the reviews that say what somebody may do: a part of
// iam.kubesphere.io/v1alpha2. Nobody gives here what they do not have
// themselves. It imports pkg/authz, pkg/iam and pkg/objects; pkg/app mounts it.
package roles
