// Package kwoknodes makes nodes and plays their kubelets with KWOK: nodes
// become Ready, pods bound to them run, jobs complete, deleted pods vanish.
// Nodes without the KWOK annotation (those of a large seed) are left alone,
// except that the deletion of pods on them is finished.
package kwoknodes
