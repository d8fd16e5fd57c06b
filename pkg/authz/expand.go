package authz

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// ServedResource is a resource or a subresource that kube-apiserver serves, from its
// discovery documents.
type ServedResource struct {
	Group, Resource string
	// Subresource is empty for the resource itself.
	Subresource string
	Namespaced  bool
}

// ownGroups are the API groups whose objects this server writes in the name of the
// caller, after a decision that Kubernetes cannot make.
var ownGroups = []string{groupCluster, groupExtensions, groupGateway, groupIAM, groupQuota, groupTenant}

// IsWrittenByServer reports whether this server writes the objects of a type by its own
// account, after its decision: the platform's own types.
func IsWrittenByServer(resource schema.GroupResource) bool {
	return slices.Contains(ownGroups, resource.Group)
}

const (
	groupCluster    = "cluster.kubesphere.io"
	groupExtensions = "extensions.kubesphere.io"
	groupGateway    = "gateway.kubesphere.io"
	groupQuota      = "quota.kubesphere.io"
)

// listedGroups are API groups of which rules name each resource, whatever subresources
// the cluster serves: others may get types that are no part of a "*".
var listedGroups = append([]string{"", rbacv1.GroupName, groupCertificates, "admissionregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io"}, ownGroups...)

// Expand returns rules by which kube-apiserver permits what this server permits by the
// source rules: it includes powers in a "*", which this server does not. A "*" of verbs
// becomes the verbs it stands for. One of resources stays for the groups without powers,
// and becomes the served resources of the others. Resources that are powers stay where a
// rule names them; verbs that are do not: this server's account may not give them, and
// Kubernetes' own roles do.
// Objects of the platform's own types can be read only, since this server writes them, and
// namespaces are not made where the rules are for namespaces. Resources that are not served
// and are not named with their group are left out.
func Expand(rules []rbacv1.PolicyRule, served []ServedResource, namespaced bool) []rbacv1.PolicyRule {
	e := expansion{served: served, namespaced: namespaced, listed: make(map[string]bool), groups: make(map[string]bool), byVerbs: make(map[string]*rbacv1.PolicyRule)}
	for _, group := range slices.Concat(listedGroups, powerGroups) {
		e.listed[group] = true
	}
	for _, one := range served {
		e.groups[one.Group] = true
		if one.Subresource != "" && one.Subresource != "status" && one.Subresource != "scale" {
			e.listed[one.Group] = true
		}
	}
	for n := range rules {
		e.expand(&rules[n])
	}
	keys := slices.Sorted(maps.Keys(e.byVerbs))
	expanded := make([]rbacv1.PolicyRule, 0, len(keys)+len(e.paths))
	named := make(map[string]int) // rules for objects by name, by what else they say
	for _, key := range keys {
		rule := e.byVerbs[key]
		slices.Sort(rule.Resources)
		rule.Resources = slices.Compact(rule.Resources)
		if len(rule.ResourceNames) > 0 {
			others := strings.Join([]string{strings.Join(rule.APIGroups, ","), strings.Join(rule.Verbs, ","), strings.Join(rule.Resources, ",")}, "\n")
			if at, found := named[others]; found { // for further objects
				expanded[at].ResourceNames = append(expanded[at].ResourceNames, rule.ResourceNames...)
				continue
			}
			named[others] = len(expanded)
		}
		expanded = append(expanded, *rule)
	}
	for _, at := range named {
		names := expanded[at].ResourceNames
		slices.Sort(names)
		expanded[at].ResourceNames = slices.Compact(names)
	}
	return append(expanded, e.paths...)
}

// expansion are rules while they are made.
type expansion struct {
	served     []ServedResource
	namespaced bool
	listed     map[string]bool // groups of which resources are listed
	groups     map[string]bool // all that are served
	byVerbs    map[string]*rbacv1.PolicyRule
	paths      []rbacv1.PolicyRule
}

// methods are the verbs of requests for paths that "*" stands for.
var methods = []string{"get", "head", "options", "post", "put", "patch", "delete"}

func (e *expansion) expand(rule *rbacv1.PolicyRule) {
	if len(rule.NonResourceURLs) > 0 {
		if !e.namespaced && len(rule.Verbs) > 0 {
			e.paths = append(e.paths, pathRule(rule))
		}
		return
	}
	explicit := iam.ExplicitVerbs([]rbacv1.PolicyRule{*rule})[0]
	if explicit.Verbs = slices.DeleteFunc(slices.Clone(explicit.Verbs), isPowerVerb); len(explicit.Verbs) == 0 {
		return
	}
	var open []string // groups whose resources need not be listed
	for _, group := range e.groupsOf(rule) {
		if e.listed[group] {
			e.list(rule, &explicit, group)
			continue
		}
		open = append(open, group)
	}
	if len(open) == 0 {
		return
	}
	for _, resource := range rule.Resources {
		in := open
		if resource != rbacv1.ResourceAll && slices.Contains(rule.APIGroups, rbacv1.APIGroupAll) {
			in = slices.DeleteFunc(slices.Clone(open), func(group string) bool { return !e.serves(group, resource) })
		}
		if len(in) > 0 {
			e.add(in, resource, explicit.Verbs, rule.ResourceNames)
		}
	}
}

// pathRule is a rule for paths as Kubernetes reads it, with methods in lower case.
func pathRule(rule *rbacv1.PolicyRule) rbacv1.PolicyRule {
	verbs := methods
	if !slices.Contains(rule.Verbs, rbacv1.VerbAll) {
		verbs = nil
		for _, verb := range rule.Verbs {
			verbs = append(verbs, strings.ToLower(verb))
		}
		slices.Sort(verbs)
		verbs = slices.Compact(verbs)
	}
	return rbacv1.PolicyRule{Verbs: verbs, NonResourceURLs: rule.NonResourceURLs}
}

// groupsOf are the API groups a rule is about.
func (e *expansion) groupsOf(rule *rbacv1.PolicyRule) []string {
	if slices.Contains(rule.APIGroups, rbacv1.APIGroupAll) {
		return slices.Sorted(maps.Keys(e.groups))
	}
	groups := slices.Clone(rule.APIGroups)
	slices.Sort(groups)
	return slices.Compact(groups)
}

// serves reports whether a group has a resource, which may be the subresource of all.
func (e *expansion) serves(group, resource string) bool {
	return slices.ContainsFunc(e.served, func(one ServedResource) bool {
		return one.Group == group && (one.combined() == resource || resource == rbacv1.ResourceAll+"/"+one.Subresource && one.Subresource != "")
	})
}

func (s ServedResource) combined() string {
	if s.Subresource == "" {
		return s.Resource
	}
	return s.Resource + "/" + s.Subresource
}

// list adds what a rule permits in a group whose resources are listed. What the rule names
// is kept without being served: a power such as "signers" is no resource.
func (e *expansion) list(rule, explicit *rbacv1.PolicyRule, group string) {
	candidates := make(map[string]ServedResource)
	for _, one := range e.served {
		if one.Group == group && resourceMatches(rule.Resources, one.Resource, one.Subresource) && (one.Namespaced || !e.namespaced || group == "" && one.Resource == "namespaces") {
			candidates[one.combined()] = one
		}
	}
	if !slices.Contains(rule.APIGroups, rbacv1.APIGroupAll) {
		for _, name := range rule.Resources {
			if resource, subresource, _ := strings.Cut(name, "/"); resource != rbacv1.ResourceAll && len(candidates[name].Resource) == 0 {
				candidates[name] = ServedResource{Group: group, Resource: resource, Subresource: subresource}
			}
		}
	}
	for name, one := range candidates {
		verbs := slices.DeleteFunc(slices.Clone(explicit.Verbs), func(verb string) bool { return !e.keeps(rule, verb, one) })
		if len(verbs) > 0 {
			e.add([]string{group}, name, verbs, rule.ResourceNames)
		}
	}
}

// connections are the subresources of pods and services through which a client reaches
// what runs there, so that reading everything does not include them.
var connections = []string{"attach", "exec", "portforward", "proxy"}

// keeps reports whether a verb of a rule that includes a resource of a listed group
// stays.
func (e *expansion) keeps(rule *rbacv1.PolicyRule, verb string, one ServedResource) bool {
	itself := e.namespaced && one.Group == "" && one.Resource == "namespaces"
	switch {
	case slices.Contains(ownGroups, one.Group) && !isRead(verb), itself && (verb == "create" || verb == "deletecollection"):
		return false
	case namesResource(rule, one.Resource, one.Subresource):
		return true
	case isPowerResource(verb, one.Group, one.Resource, one.Subresource):
		return false
	case isRead(verb) && one.Group == "" && slices.Contains(connections, one.Subresource):
		return matches(rule.Verbs, "create")
	}
	return true
}

// add adds the right to a resource, beside those with the same verbs, groups and names.
func (e *expansion) add(groups []string, resource string, verbs, names []string) {
	verbs, names = slices.Clone(verbs), slices.Clone(names)
	for _, list := range [][]string{verbs, names} {
		slices.Sort(list)
	}
	verbs, names = slices.Compact(verbs), slices.Compact(names)
	key := strings.Join([]string{strings.Join(groups, ","), strings.Join(verbs, ","), strings.Join(names, ",")}, "\n")
	rule := e.byVerbs[key]
	if rule == nil {
		rule = &rbacv1.PolicyRule{APIGroups: groups, Verbs: verbs}
		if len(names) > 0 {
			rule.ResourceNames = names
		}
		e.byVerbs[key] = rule
	}
	rule.Resources = append(rule.Resources, resource)
}

// CompareServed orders served resources, so that the same ones give the same rules.
func CompareServed(a, b ServedResource) int {
	return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.combined(), b.combined()))
}
