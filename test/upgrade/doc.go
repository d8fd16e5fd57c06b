// Package upgrade tests rolling updates and rollbacks between an earlier
// release and this tree: both binaries serve the same cluster, and the
// sessions, tokens, kubeconfigs and watches that one of them issued are used at
// the other.
package upgrade
