package kube

import (
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// Holder returns the name that requests of a user are counted by: that of who sends them,
// whomever they are made as. The service accounts of all projects are one: whoever may
// create projects can make any number of them. Those of a namespace of the platform count
// for the namespace.
func Holder(who user.Info) string {
	if impersonated, ok := who.(*Another); ok {
		who = impersonated.By
	}
	if namespace, _, err := serviceaccount.SplitUsername(who.GetName()); err == nil {
		if reserved.Default().IsPlatformNamespace(namespace) {
			return serviceaccount.MakeNamespaceGroupName(namespace)
		}
		return serviceaccount.AllServiceAccountsGroup
	}
	return who.GetName()
}
