// Package provisioner gives claims of the StorageClass "local" a volume, as a
// CSI driver would. The volumes are names only: nothing is stored in them.
package provisioner
