// Package setup prepares a cluster on the first start: custom resource
// definitions, built-in roles, the OAuth client and the first user. It leaves
// alone what it finds, so that an installation of KubeSphere 3.x works as it
// stands and a later start changes nothing that a person changed. pkg/app runs
// it.
package setup
