// Package registries is the door to registries of images and to repositories of
// source code: whether credentials are right, and what images there are. What
// is called is guarded by pkg/egress, and secrets are used for who may read them.
package registries
