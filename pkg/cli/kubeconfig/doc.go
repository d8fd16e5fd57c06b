// Package kubeconfig writes and removes the contexts through which kubectl
// reaches Kubernetes behind ks-apiserver, with kubectl-ks as what gets the
// credentials.
package kubeconfig
