package kube

import (
	"slices"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
)

// As returns a configuration whose requests are made as a user, for libraries
// that build their own requests. Whoever uses it has authorized what is done:
// Kubernetes does not ask again.
func As(config *rest.Config, who user.Info) *rest.Config {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: who.GetName(), Groups: groupsOf(who)}
	if another, ok := who.(*Another); ok {
		config.Impersonate.UID, config.Impersonate.Extra = another.UID, another.extra()
	}
	return config
}

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

// extra is what was asked for, and who asked.
func (a *Another) extra() map[string][]string {
	extra := map[string][]string{ExtraImpersonator: {a.By.GetName()}}
	for key, values := range a.Extra {
		if !IsOwnExtra(key) {
			extra[key] = values
		}
	}
	return extra
}

// groupsOf are the groups a user is impersonated with. A name in a User object
// must not make somebody system:masters; those of a service account follow from its
// name, and groups somebody asked to act in were authorised by name. Kubernetes adds system:authenticated by itself, and checks
// the right to impersonate each group it is told.
func groupsOf(who user.Info) []string {
	var groups []string
	_, asked := who.(*Another)
	var ofServiceAccount []string
	if namespace, _, err := serviceaccount.SplitUsername(who.GetName()); err == nil {
		ofServiceAccount = serviceaccount.MakeGroupNames(namespace)
	}
	for _, group := range who.GetGroups() {
		switch {
		case group == AuthorizedGroup, group == user.AllAuthenticated:
		case asked, !hasPrefix(group, "system:"), group == user.AllUnauthenticated, slices.Contains(ofServiceAccount, group):
			groups = append(groups, group)
		}
	}
	if !asked { // those of a request fit into the header it came with
		groups = SendableGroups(who.GetName(), groups)
	}
	return append([]string{AuthorizedGroup}, groups...)
}
