package kube

import (
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
)

// As returns a configuration whose requests are made as a user, for libraries
// that build their own requests. Whoever uses it has authorized what is done:
// Kubernetes does not ask again.
func As(config *rest.Config, who user.Info) *rest.Config {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: who.GetName(), Groups: groupsOf(who)}
	return config
}

// groupsOf are the groups a user is impersonated with. A name in a User object
// must not make somebody system:masters.
func groupsOf(who user.Info) []string {
	groups := []string{AuthorizedGroup}
	for _, group := range who.GetGroups() {
		if !hasPrefix(group, "system:") && group != AuthorizedGroup || group == user.AllAuthenticated || group == user.AllUnauthenticated {
			groups = append(groups, group)
		}
	}
	return groups
}
