//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/yaml"
)

// accountRightsFile lists the rights of the account of ks-apiserver: each with "used", when
// the servers of the end-to-end tests use it, or with the reason for which it is there
// nevertheless.
const accountRightsFile = "testdata/account-rights.tsv"

// usedRights are the rights the servers used so far.
var usedRights = &rightsRecorder{seen: make(map[rbacRequest]bool)}

// rbacRequest is what RBAC decides about.
type rbacRequest struct{ verb, group, resource, namespace, name string }

// rightsRecorder notes what servers ask of Kubernetes.
type rightsRecorder struct {
	mu   sync.Mutex
	seen map[rbacRequest]bool
}

var requestInfos = kuberequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// recordedTransport notes the requests that a transport sends.
type recordedTransport struct {
	http.RoundTripper
	rights *rightsRecorder
}

func (u *rightsRecorder) wrap(transport http.RoundTripper) http.RoundTripper {
	return &recordedTransport{transport, u}
}

// WrappedRoundTripper lets idle connections be closed, and connections be upgraded.
func (t *recordedTransport) WrappedRoundTripper() http.RoundTripper { return t.RoundTripper }

// RoundTrip implements http.RoundTripper. Requests that a server makes as somebody else take
// its right to act as that one for what they do.
func (t *recordedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	info, err := requestInfos.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest {
		return t.RoundTripper.RoundTrip(r)
	}
	resource := info.Resource
	if info.Subresource != "" {
		resource += "/" + info.Subresource
	}
	request := rbacRequest{info.Verb, info.APIGroup, resource, info.Namespace, info.Name}
	if who := r.Header.Get("Impersonate-User"); who != "" {
		kind := "user-info"
		if strings.HasPrefix(who, "system:serviceaccount:") {
			kind = "serviceaccount"
		}
		t.rights.note(rbacRequest{verb: "impersonate:" + kind, group: "authentication.k8s.io", resource: "users"})
		request.verb, request.name = "impersonate-on:"+kind+":"+request.verb, ""
	}
	t.rights.note(request)
	return t.RoundTripper.RoundTrip(r)
}

func (u *rightsRecorder) note(request rbacRequest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen[request] = true
}

// accountRights are the rights of the account as it is deployed, by their text in the file.
func accountRights(manifests []byte) (map[string]func(rbacRequest) bool, error) {
	rights := make(map[string]func(rbacRequest) bool)
	for document := range strings.SplitSeq(string(manifests), "\n---\n") {
		var role rbacv1.Role // a cluster role has the same fields
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			return nil, err
		}
		for n := range role.Rules {
			rule := &role.Rules[n]
			for _, verb := range rule.Verbs {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						text := fmt.Sprintf("%s %s\t%s\t%s.%s", role.Kind, role.Name, verb, resource, group)
						if len(rule.ResourceNames) > 0 {
							text += " by name"
						}
						namespace := role.Namespace
						names := rule.ResourceNames
						rights[text] = func(r rbacRequest) bool {
							return r.verb == verb && (group == "*" || r.group == group) && (resource == "*" || r.resource == resource) &&
								(namespace == "" || r.namespace == namespace) && (len(names) == 0 || slices.Contains(names, r.name))
						}
					}
				}
			}
		}
	}
	return rights, nil
}

// checkUsedRights compares the rights of the account with those the servers of all tests
// used: an account that can do more than it needs is a way up for whoever takes it over. It
// does nothing when only some tests ran.
func checkUsedRights() error {
	if flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.skip").Value.String() != "" {
		return nil
	}
	manifests, err := exec.Command("../../bin/kubectl", "kustomize", accountDirectory).Output()
	if err != nil {
		return fmt.Errorf("the account of the server: %w", err)
	}
	rights, err := accountRights(manifests)
	if err != nil {
		return err
	}
	listed, err := listedRights()
	if err != nil {
		return err
	}
	var problems []string
	usedRights.mu.Lock()
	defer usedRights.mu.Unlock()
	for _, right := range slices.Sorted(maps.Keys(rights)) {
		used := false
		for request := range usedRights.seen {
			used = used || rights[right](request)
		}
		why, found := listed[right]
		delete(listed, right)
		switch {
		case !found:
			problems = append(problems, fmt.Sprintf("is missing, used: %v\t%s", used, right))
		case used && why != "used" && !strings.HasPrefix(why, "sometimes"):
			problems = append(problems, "is used\t"+right)
		case !used && why == "used":
			problems = append(problems, "is not used\t"+right)
		}
	}
	for right := range listed {
		problems = append(problems, "is no right of the account\t"+right)
	}
	for request := range usedRights.seen {
		if !everybodyMay(request) && !ofOwnRole(request) && !slices.ContainsFunc(slices.Collect(maps.Values(rights)), func(permits func(rbacRequest) bool) bool { return permits(request) }) {
			problems = append(problems, fmt.Sprintf("is refused to the account\t%+v", request))
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s is not what the account has and the tests use:\n%s", accountRightsFile, strings.Join(problems, "\n"))
	}
	return nil
}

// everybodyMay reports whether Kubernetes permits a request to all who have a token.
func everybodyMay(r rbacRequest) bool {
	return r.group == "authorization.k8s.io" && strings.HasPrefix(r.resource, "self") || r.group == "authentication.k8s.io" && r.resource == "selfsubjectreviews"
}

// ofOwnRole reports whether a request is one of those for which the server gives its account
// a role of its own where it makes them, as pkg/ownrole does: for terminals and gateways.
func ofOwnRole(r rbacRequest) bool {
	switch r.group + "/" + r.resource {
	case "/pods", "/pods/exec", "/services", "apps/deployments":
		return true
	}
	return false
}

// listedRights reads the file.
func listedRights() (map[string]string, error) {
	text, err := os.ReadFile(accountRightsFile)
	if err != nil {
		return nil, err
	}
	listed := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndexByte(line, '\t')
		if end < 0 || line[end+1:] == "" {
			return nil, fmt.Errorf("%s: %q does not say whether the right is used", accountRightsFile, line)
		}
		listed[line[:end]] = line[end+1:]
	}
	return listed, nil
}
