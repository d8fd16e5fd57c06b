// Package iam is the door to users, groups and members: the API group
// iam.kubesphere.io. It reads requests, decides what takes more than the right
// to the path, calls pkg/iam, and renders. It imports domains and pkg/route.
package iam
