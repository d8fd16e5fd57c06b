package request

import (
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Scope is where a right has to be held for a request to be allowed.
type Scope string

// The scopes, from the widest to the narrowest.
const (
	ScopeGlobal    Scope = "Global"
	ScopeCluster   Scope = "Cluster"
	ScopeWorkspace Scope = "Workspace"
	ScopeNamespace Scope = "Namespace"
)

// Info describes a request. For requests that name no resource only Path, Verb
// (the lower-case HTTP method) and Kubernetes are set.
type Info struct {
	// IsResourceRequest is false for paths such as /healthz or /kapis/version.
	IsResourceRequest bool
	// Path is the decoded URL path, without the trailing slash of paths of an API.
	Path string
	// Verb is get, list, watch, create, update, patch, delete, deletecollection
	// or proxy; the lower-case HTTP method for non-resource requests.
	Verb string
	// APIPrefix is api, apis or kapis.
	APIPrefix string
	// APIGroup is empty for the core group.
	APIGroup   string
	APIVersion string
	// Cluster is set for paths below /{prefix}/clusters/{cluster}.
	Cluster   string
	Workspace string
	// DevOps is the DevOps project of paths below devops/{devops}. Its objects
	// are those of its namespace, see InNamespace.
	DevOps      string
	Namespace   string
	Resource    string
	Subresource string
	Name        string
	// Parts are the segments from the resource on.
	Parts []string
	Scope Scope
	// Kubernetes is true for /api and /apis, which kube-apiserver serves.
	Kubernetes bool
	// Below is true for paths that go on below a proxy subresource: what follows
	// is a path of whoever is behind it.
	Below bool
	// Readings are all ways in which a service behind this server may read the path,
	// each of which has to be permitted; nil for paths that are read in one way.
	Readings []*Info
	// Parameters are the parameters of the query; nil for requests that name no
	// resource, and none below a proxy subresource, where they are not ours.
	Parameters *Parameters
}

// Lasts reports whether a request to Kubernetes is meant to last: a watch, a
// log, or a connection to a pod. Other requests never are, whatever they claim:
// else a parameter would lift the limits.
func (i *Info) Lasts() bool {
	switch i.Subresource {
	case "attach", "exec", "log", "portforward", "proxy":
		return i.Kubernetes
	}
	return i.Kubernetes && (i.Verb == "watch" || i.Verb == "proxy")
}

// globalResources are the resources that belong to the platform rather than to
// one cluster, by API group.
var globalResources = map[string]map[string]bool{
	"iam.kubesphere.io": {
		"users": true, "globalroles": true, "globalrolebindings": true, "workspaceroles": true, "workspacerolebindings": true,
		"groups": true, "groupbindings": true, "rolebases": true, "loginrecords": true, "sessions": true, "personalaccesstokens": true, "consents": true, "deviceauthorizations": true,
	},
	"tenant.kubesphere.io":  {"workspaces": true, "workspacetemplates": true, "clusters": true},
	"cluster.kubesphere.io": {"clusters": true},
	"resources.kubesphere.io": {
		"clusters": true, "users": true, "globalroles": true, "globalrolebindings": true, "workspaceroles": true, "workspacerolebindings": true,
		"groups": true, "groupbindings": true, "rolebases": true, "loginrecords": true, "sessions": true, "personalaccesstokens": true, "consents": true, "deviceauthorizations": true, "workspaces": true, "workspacetemplates": true,
	},
	"notification.kubesphere.io": {
		"configs": true, "receivers": true, "notificationmanagers": true, "routers": true, "silences": true,
	},
}

// namespaceSubresources are the subresources of a namespace; after
// namespaces/{name} anything else is a resource in that namespace.
var namespaceSubresources = map[string]bool{"status": true, "finalize": true}

// connections are the subresources of a pod that change something however they
// are asked for.
var connections = map[string]bool{"exec": true, "attach": true, "portforward": true}

// Parse describes a request, or says with a 400 error why it is refused: empty,
// "." and ".." segments, encoded slashes, and deciding parameters that are repeated
// or malformed could be understood differently by the server it is forwarded to.
func Parse(r *http.Request) (*Info, error) {
	segments, below, err := splitPath(r.URL)
	if err != nil {
		return nil, err
	}
	info := &Info{Path: r.URL.Path, Verb: strings.ToLower(r.Method), Below: below}
	if len(segments) > 0 {
		info.Kubernetes = segments[0] == "api" || segments[0] == "apis"
		if (info.Kubernetes || segments[0] == "kapis") && !below {
			info.Path = strings.TrimSuffix(info.Path, "/") // as kube-apiserver, it changes nothing
		}
	}
	if len(segments) < 3 {
		return info, nil
	}
	prefix, current := segments[0], segments[1:]
	if prefix != "api" && prefix != "apis" && prefix != "kapis" {
		return info, nil
	}
	if current[0] == "clusters" {
		info.Cluster, current = current[1], current[2:]
		if len(current) == 0 {
			return info, nil
		}
	}
	if prefix != "api" {
		if len(current) < 3 { // group, version and a resource
			return info, nil
		}
		info.APIGroup, current = current[0], current[1:]
	}
	if len(current) < 2 { // version and a resource
		return info, nil
	}
	info.APIPrefix, info.IsResourceRequest = prefix, true
	info.APIVersion, current = current[0], current[1:]
	info.Parameters = noParameters
	if !below {
		if info.Parameters, err = ParseParameters(r.URL.RawQuery); err != nil {
			return nil, err
		}
	}
	current = info.parseVerb(r, current)
	info.parseScope(current)
	info.refineVerb(r)
	return info, nil
}

// parseVerb sets the verb by the method and consumes the legacy watch/ and
// proxy/ path segments.
func (i *Info) parseVerb(r *http.Request, current []string) []string {
	switch r.Method {
	case http.MethodPost:
		i.Verb = "create"
	case http.MethodGet, http.MethodHead:
		i.Verb = "get"
	case http.MethodPut:
		i.Verb = "update"
	case http.MethodPatch:
		i.Verb = "patch"
	case http.MethodDelete:
		i.Verb = "delete"
	default:
		i.Verb = ""
	}
	if (current[0] == "watch" || current[0] == "proxy") && i.Kubernetes {
		i.Verb = current[0]
		return current[1:]
	}
	return current
}

// parseScope reads workspaces/{w}, namespaces/{n} and the resource that follows.
func (i *Info) parseScope(current []string) {
	if len(current) >= 2 && current[0] == "workspaces" && !i.Kubernetes {
		i.Workspace = current[1]
		if len(current) > 2 {
			current = current[2:]
		}
	}
	// The name of a DevOps project, with what is in it.
	if len(current) > 2 && current[0] == "devops" && i.Workspace == "" && !i.Kubernetes && i.APIGroup == "iam.kubesphere.io" {
		i.DevOps, current = current[1], current[2:]
	}
	if i.DevOps == "" && len(current) >= 1 && current[0] == "namespaces" {
		if len(current) > 1 {
			i.Namespace = current[1]
			if len(current) > 2 && !namespaceSubresources[current[2]] {
				current = current[2:]
			}
		}
	}
	i.Parts = current
	if len(current) > 0 {
		i.Resource = current[0]
	}
	if len(current) > 1 {
		i.Name = current[1]
	}
	// What follows the name in the legacy proxy paths is a path, no subresource.
	if len(current) > 2 && i.Verb != "proxy" {
		i.Subresource = current[2]
	}
	// What is done to a workspace by its name takes place in it.
	if !i.Kubernetes && i.APIGroup == "tenant.kubesphere.io" && i.Resource == "workspacetemplates" {
		i.Workspace = i.Name
	}
	switch {
	// Nobody but who may do it everywhere, as long as the namespace is not known.
	case i.DevOps != "":
		i.Scope = ScopeGlobal
	case globalResources[i.APIGroup][i.Resource] && i.Workspace == "":
		i.Scope = ScopeGlobal
	case i.Namespace != "":
		i.Scope = ScopeNamespace
	case i.Workspace != "":
		i.Scope = ScopeWorkspace
	default:
		i.Scope = ScopeCluster
	}
}

// InNamespace places a request about a DevOps project in the project's
// namespace, where the rights to it are held.
func (i *Info) InNamespace(namespace string) {
	i.Namespace, i.Scope = namespace, ScopeNamespace
}

// InWorkspace places a request about an object that belongs to a workspace in that
// workspace, where the right to it is held, though its path does not name it.
func (i *Info) InWorkspace(workspace string) {
	i.Workspace, i.Scope = workspace, ScopeWorkspace
}

// refineVerb tells list and watch from get, and deletecollection from delete.
func (i *Info) refineVerb(r *http.Request) {
	if i.Name == "" && i.Verb == "get" {
		i.Verb = "list"
		if i.Parameters.Watch {
			i.Verb = "watch"
		}
		i.Name = selectedName(i.Parameters.Fields)
	}
	// Files are moved by running tar.
	if !i.Kubernetes && i.APIGroup == "terminal.kubesphere.io" && i.Resource == "pods" && i.Subresource == "file" {
		i.Subresource, i.Verb = "exec", "create"
	}
	// Who may read a pod must not run commands in it by opening the connection
	// with GET, as WebSockets do.
	if i.Verb == "get" && i.Resource == "pods" && connections[i.Subresource] {
		i.Verb = "create"
	}
	// Nor who may read of a node: of a kubelet, connections are asked for to run
	// commands in any of its pods.
	if i.Verb == "get" && i.Resource == "nodes" && i.Subresource == "proxy" && r.Header.Get("Upgrade") != "" {
		i.Verb = "create"
	}
	if i.Name == "" && i.Verb == "delete" {
		i.Verb = "deletecollection"
	}
}

// selectedName is the name a field selector asks for, so that a right to one
// object suffices to list or watch it alone; "" when it asks for others too.
func selectedName(selector fields.Selector) string {
	if selector == nil {
		return ""
	}
	name, found := selector.RequiresExactMatch("metadata.name")
	if !found || len(content.IsPathSegmentName(name)) > 0 {
		return ""
	}
	return name
}

// IgnoreWatch makes a list of a request for a watch, for an operation that cannot
// be watched: it is authorized as the list that is served.
func (i *Info) IgnoreWatch() {
	if i.Verb != "watch" || !i.Parameters.Watch {
		return
	}
	listed := *i.Parameters
	listed.Watch, listed.WatchIgnored = false, true
	i.Verb, i.Parameters = "list", &listed
}

// InProject serves paths of a DevOps project, below /devops/{devops}, by a
// handler of paths in its namespace, below /namespaces/{namespace}. It answers
// 404 for a project without a namespace, and so does not get to the handler,
// to whom no namespace may mean the platform.
func InProject(serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		info, name := InfoFrom(r.Context()), r.PathValue("devops")
		if info == nil || name == "" || info.DevOps != name || info.Namespace == "" || info.Scope != ScopeNamespace {
			return status.NotFound("there is no DevOps project %q", name)
		}
		r.SetPathValue("namespace", info.Namespace)
		return serve(w, r)
	}
}

// OfPlatform reports whether a resource belongs to the platform rather than to
// a cluster.
func OfPlatform(group, resource string) bool { return globalResources[group][resource] }
