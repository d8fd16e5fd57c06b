// Package kubelet is the part of a kubelet that kube-apiserver talks to: logs,
// exec, attach and port-forward. Containers do not exist; a toy shell answers
// in their place and touches nothing of the machine it runs on.
package kubelet
