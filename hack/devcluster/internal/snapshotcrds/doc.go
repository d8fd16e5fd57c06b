// Package snapshotcrds installs the VolumeSnapshot custom resource definitions
// of snapshot.storage.k8s.io. The YAML files come unchanged from
// github.com/kubernetes-csi/external-snapshotter/client/v8 v8.7.0 (Apache-2.0).
package snapshotcrds
