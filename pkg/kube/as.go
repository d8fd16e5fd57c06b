package kube

import (
	"slices"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// ExtraPrefix is that of the keys of what this server says of a user.
const ExtraPrefix = "ks-apiserver.kubesphere.io/"

// ExtraImpersonator is the key of the user's extra that tells Kubernetes' audit
// log who acts as the user.
const ExtraImpersonator = ExtraPrefix + "impersonator"

// IsOwnExtra reports whether a key is one of this server's, in any case of its letters.
func IsOwnExtra(key string) bool { return hasPrefix(key, ExtraPrefix) }

// Another is whom a request is made as, since who sent it asked for that and
// may. Kubernetes is told of both.
type Another struct {
	user.DefaultInfo
	By user.Info
}

// extra is what was asked for, and who asked. Of a service account Kubernetes lets nobody
// say anything, with constrained impersonation.
func (a *Another) extra() map[string][]string {
	extra := map[string][]string{ExtraImpersonator: {a.By.GetName()}}
	if _, _, err := serviceaccount.SplitUsername(a.GetName()); err == nil {
		delete(extra, ExtraImpersonator)
	}
	for key, values := range a.Extra {
		if !IsOwnExtra(key) {
			extra[key] = values
		}
	}
	return extra
}

// ownGroupsOf are the groups of a user that Kubernetes is told of. A name in a User object
// must not make somebody system:masters; those of a service account follow from its
// name, and groups somebody asked to act in were authorised by name. Kubernetes adds system:authenticated by itself, and checks
// the right to impersonate each group it is told.
func ownGroupsOf(who user.Info) []string {
	var groups []string
	_, asked := who.(*Another)
	var ofServiceAccount []string
	if namespace, _, err := serviceaccount.SplitUsername(who.GetName()); err == nil {
		ofServiceAccount = serviceaccount.MakeGroupNames(namespace)
	}
	for _, group := range who.GetGroups() {
		switch {
		case isOfPlatform(group), group == user.AllAuthenticated:
		case asked, !hasPrefix(group, "system:"), group == user.AllUnauthenticated, slices.Contains(ofServiceAccount, group):
			groups = append(groups, group)
		}
	}
	if !asked { // those of a request fit into the header it came with
		groups = SendableGroups(who.GetName(), groups)
	}
	return groups
}
