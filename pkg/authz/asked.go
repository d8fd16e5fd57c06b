package authz

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Another is whom a request asks to be made as, as kubectl --as does.
type Another struct{ wanted user.DefaultInfo }

// groupAuthentication has the resources uids and userextras, which exist only
// to be impersonated.
const groupAuthentication = "authentication.k8s.io"

const prefixExtra = "Impersonate-Extra-"

// Asked reads whom a request asks to be made as; nil when it asks for nobody.
func Asked(header http.Header) (*Another, error) {
	var asked *Another
	for name, values := range header {
		rest, found := strings.CutPrefix(name, "Impersonate-")
		if !found {
			continue
		}
		if asked == nil {
			asked = &Another{}
		}
		extra, isExtra := strings.CutPrefix(name, prefixExtra)
		switch {
		case (rest == "User" || rest == "Uid") && len(values) != 1:
			return nil, status.BadRequest("there is more than one header %s", name)
		case rest == "User":
			asked.wanted.Name = values[0]
		case rest == "Uid":
			asked.wanted.UID = values[0]
		case rest == "Group":
			asked.wanted.Groups = values
		case isExtra && extra != "":
			if asked.wanted.Extra == nil {
				asked.wanted.Extra = make(map[string][]string)
			}
			key := strings.ToLower(extra)
			if decoded, err := url.PathUnescape(key); err == nil {
				key = decoded
			}
			asked.wanted.Extra[key] = append(asked.wanted.Extra[key], values...)
		default:
			return nil, status.BadRequest("the header %s is not known", name)
		}
	}
	if asked != nil && asked.wanted.Name == "" {
		return nil, status.BadRequest("the request asks to be made with groups, a UID or extras, but not as whom")
	}
	return asked, nil
}

// By returns whom the request is made as, if somebody may impersonate all that
// was asked for, each part by itself as in Kubernetes: users, groups, UIDs and
// extras on the platform, since the rights they have are not of one cluster
// only, and service accounts where they are.
func (a *Another) By(ctx context.Context, decide authorizer.UnconditionalAuthorizer, who user.Info) (user.Info, error) {
	for _, part := range a.parts() {
		part.User, part.Verb, part.ResourceRequest = who, "impersonate", true
		if part.refused {
			return nil, Forbidden(&part.Attributes, "it is this server's own")
		}
		decision, reason, err := decide.Authorize(ctx, &part.Attributes)
		switch {
		case err != nil:
			return nil, err
		case decision != authorizer.DecisionAllow:
			return nil, Forbidden(&part.Attributes, reason)
		}
	}
	wanted := a.wanted
	wanted.Groups = a.groups()
	if scopes, limited := who.GetExtra()[ExtraScopes]; limited {
		// A token's limits are those of what is done with it, as whomever.
		wanted.Extra = map[string][]string{ExtraScopes: scopes}
		for key, values := range a.wanted.Extra {
			wanted.Extra[key] = values
		}
	}
	return &kube.Another{DefaultInfo: wanted, By: who}, nil
}

// groups are those asked for and those that follow from who it is.
func (a *Another) groups() []string {
	groups := slices.Clone(a.wanted.Groups)
	namespace, _, err := serviceaccount.SplitUsername(a.wanted.Name)
	if err == nil && len(groups) == 0 {
		groups = serviceaccount.MakeGroupNames(namespace)
	}
	known := user.AllAuthenticated
	if a.wanted.Name == user.Anonymous {
		known = user.AllUnauthenticated
	}
	if !slices.Contains(groups, user.AllAuthenticated) && !slices.Contains(groups, user.AllUnauthenticated) {
		groups = append(groups, known)
	}
	return groups
}

// part is one right that acting as somebody takes.
type part struct {
	Attributes
	refused bool // to everybody
}

func (a *Another) parts() []*part {
	add := func(group, resource, subresource, name string) *part {
		p := &part{}
		p.APIGroup, p.Resource, p.Subresource, p.Name = group, resource, subresource, name
		return p
	}
	var parts []*part
	if namespace, name, err := serviceaccount.SplitUsername(a.wanted.Name); err == nil {
		one := add("", "serviceaccounts", "", name)
		one.Namespace, one.Scope = namespace, Scope{Namespace: namespace}
		parts = append(parts, one)
	} else {
		parts = append(parts, add("", "users", "", a.wanted.Name))
	}
	for _, group := range a.wanted.Groups {
		one := add("", "groups", "", group)
		one.refused = strings.HasPrefix(strings.ToLower(group), PrefixGroups)
		parts = append(parts, one)
	}
	if a.wanted.UID != "" {
		parts = append(parts, add(groupAuthentication, "uids", "", a.wanted.UID))
	}
	for key, values := range a.wanted.Extra {
		for _, value := range values {
			one := add(groupAuthentication, "userextras", key, value)
			one.refused = kube.IsOwnExtra(key)
			parts = append(parts, one)
		}
	}
	return parts
}
