package escalation

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// step is one request of a subject.
type step struct {
	subject int
	method  string
	// target is the path and the query as they are sent.
	target  string
	headers map[string]string
	body    []byte
	// onto is whether the body is merged into the object that the subject reads before, as
	// clients do that replace an object; otherwise it replaces it as it is.
	onto bool
}

func (s *step) String() string {
	return fmt.Sprintf("%s %s %v %.600s", s.method, s.target, s.headers, s.body)
}

// generator makes requests. The same seed and world make the same ones.
type generator struct {
	*rand.Rand
	world *world
	made  int // names given to new objects
	// actor is the subject of the request that is made.
	actor *subject
	// following are requests for objects that were made before.
	following []step
}

func newGenerator(w *world, seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, seed>>1|1)), world: w} //nolint:gosec // a seed repeats it
}

// one returns one of the choices.
func one[T any](g *generator, choices ...T) T { return choices[g.IntN(len(choices))] }

// chance is true in some of a hundred cases.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) next() step {
	if len(g.following) > 0 && g.chance(50) {
		s := g.following[0]
		g.following = g.following[1:]
		return s
	}
	s := step{subject: g.subject(), headers: make(map[string]string)}
	g.actor = g.world.subjects[s.subject]
	if g.chance(50) {
		g.ofServer(&s)
	} else {
		g.ofKubernetes(&s)
	}
	g.spare(&s)
	if g.chance(20) {
		separator := "?"
		if strings.Contains(s.target, "?") {
			separator = "&"
		}
		s.target += separator + g.query()
	}
	if g.chance(5) {
		s.target = g.bent(s.target)
	}
	if g.chance(4) {
		s.headers["Impersonate-User"] = one(g, "admin", g.user())
		if g.chance(50) {
			s.headers["Impersonate-Group"] = one(g, "system:masters", "system:nodes", "kubesphere:authorized", "system:authenticated")
		}
	}
	if g.chance(10) {
		s.headers["Accept"] = one(g, "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "application/yaml", "application/vnd.kubernetes.protobuf", "text/event-stream")
	}
	return s
}

// spare keeps most deletions from the own projects and the workspace: else a walk spends its
// time with making the world again.
func (g *generator) spare(s *step) {
	path, _, _ := strings.Cut(s.target, "?")
	spared := strings.HasSuffix(path, "/"+ownWorkspace) || slices.ContainsFunc(ownProjects, func(project string) bool { return strings.HasSuffix(path, "/namespaces/"+project) })
	if s.method == "DELETE" && spared && !g.chance(1) {
		s.method = "GET"
	}
}

// subject returns one of the subjects, those with more rights more often.
func (g *generator) subject() int {
	if n := g.IntN(len(g.world.subjects)); g.chance(25) || g.world.subjects[n].powerful {
		return n
	}
	return g.subject()
}

// namespace returns mostly the projects in which the subject may have a role.
func (g *generator) namespace() string {
	if g.chance(75) {
		if g.actor != nil && g.actor.isLent {
			return lentProject
		}
		return ownProjects[g.IntN(3)/2] // the first one twice as often
	}
	return one(g, foreignProject, lentProject, "kube-system", "kubesphere-system", "kubesphere-controls-system", "default", "kube-public", "walk-x1", "walk-x2")
}

func (g *generator) workspace() string {
	if g.chance(80) {
		return ownWorkspace
	}
	return one(g, foreignWorkspace, "system-workspace", "walk-x1", "walk-x2")
}

func (g *generator) user() string {
	if g.chance(70) {
		return one(g, g.world.subjects...).name
	}
	return one(g, "admin", foreignManager, "system:anonymous", "system:serviceaccount:kubesphere-system:ks-apiserver", "system:serviceaccount:"+ownProjects[0]+":walk", "kubernetes-admin", "walk-x1")
}

func (g *generator) role() string {
	return one(g, "admin", "operator", "viewer", "cluster-admin", "cluster-viewer", "platform-admin", "platform-regular", "users-manager", "workspaces-manager", "walk-custom",
		ownWorkspace+"-admin", ownWorkspace+"-viewer", foreignWorkspace+"-admin", "system-workspace-admin", "system:masters", "kubesphere-authorized", "walk-x1", "walk-x2",
		"role-template-manage-users", "role-template-manage-projects", "edit", "view")
}

// name returns the name of an object, or of a new one.
func (g *generator) name(resource string) string {
	switch resource {
	case "namespaces":
		return g.namespace()
	case "workspaces", "workspacetemplates":
		return g.workspace()
	case "users":
		return g.user()
	case "groups":
		return one(g, foreignGroup, foreignGroup, "walk-x1", "walk-x2")
	}
	switch {
	case strings.HasSuffix(resource, "roles"):
		return g.role()
	case g.chance(30):
		g.made++
		return fmt.Sprint("walk-x", g.made%20)
	}
	return one(g, "walk", "walk", "default", "kube-root-ca.crt", "walk-canary", ownWorkspace, foreignWorkspace, "admin", "cluster-admin", "platform-admin", "ks-apiserver", "node-0", "kubesphere-config")
}

// typ returns a type of Kubernetes' discovery, those by which rights are given and those the
// subject writes more often.
func (g *generator) typ() *resourceType {
	resource := ""
	switch {
	case len(g.actor.writes) > 0 && g.chance(50):
		resource = one(g, g.actor.writes...)
	case g.chance(50):
		resource = one(g, "namespaces", "namespaces", "secrets", "pods", "serviceaccounts", "resourcequotas", "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
			"clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io", "users.iam.kubesphere.io", "globalroles.iam.kubesphere.io",
			"globalrolebindings.iam.kubesphere.io", "workspaceroles.iam.kubesphere.io", "workspacerolebindings.iam.kubesphere.io", "groups.iam.kubesphere.io", "groupbindings.iam.kubesphere.io",
			"workspaces.tenant.kubesphere.io", "workspacetemplates.tenant.kubesphere.io", "certificatesigningrequests.certificates.k8s.io",
			"mutatingwebhookconfigurations.admissionregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io")
	}
	name, group, _ := strings.Cut(resource, ".")
	if found := g.world.typeOf(group, name); found != nil {
		return found
	}
	return &g.world.types[g.IntN(len(g.world.types))]
}

// ofKubernetes makes a request for a type of Kubernetes' discovery.
func (g *generator) ofKubernetes(s *step) {
	typ := g.typ()
	path := "/apis/" + typ.Group + "/" + typ.Version
	if typ.Group == "" {
		path = "/api/" + typ.Version
	}
	namespace := ""
	if typ.namespaced && !g.chance(8) || !typ.namespaced && g.chance(4) {
		namespace = g.namespace()
		path += "/namespaces/" + namespace
	}
	path += "/" + typ.Resource
	name := g.name(typ.Resource)
	s.method = one(g, "POST", "POST", "POST", "PATCH", "PATCH", "PATCH", "PUT", "PUT", "DELETE", "GET", "GET", "GET")
	part := ""
	if g.chance(20) {
		part = one(g, append([]string{"status", "finalize", "scale", "token", "exec", "proxy", "ephemeralcontainers", "binding", "approval", "log", "eviction", "portforward"}, typ.subresources...)...)
	}
	if s.method != "POST" && !g.chance(12) || part != "" {
		path += "/" + url.PathEscape(name)
	}
	if part != "" {
		path += "/" + part
		if part == "proxy" {
			path += "/x"
		}
	}
	s.target = path
	object := func() any { return g.object(typ.Group, typ.Version, typ.kind, namespace, name) }
	switch s.method {
	case "POST":
		g.write(s, object())
		g.follow(s, name, object)
	case "PUT":
		g.replace(s, object())
	case "PATCH":
		if object, isObject := object().(fields); isObject {
			g.patch(s, object)
		}
	case "DELETE":
		if g.chance(20) {
			g.write(s, fields{"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": one(g, "Orphan", "Background"), "gracePeriodSeconds": 0})
		}
	}
}

func (g *generator) query() string {
	return one(g, "dryRun=All", "fieldSelector=metadata.name%3Dwalk", "fieldSelector=metadata.name%3Dwalk&fieldSelector=", "labelSelector=a", "limit=1", "limit=-1", "watch=true&timeoutSeconds=1",
		"workspace="+foreignWorkspace, "namespace="+foreignProject, "name=canary", "sortBy=name", "ascending=true", "watch=false&watch=true&timeoutSeconds=1", "labelSelector=kubesphere.io%2Fworkspace%3D"+foreignWorkspace,
		"user="+foreignManager, "cluster=host", "fieldManager=walk&force=true", "confirmBindings=true", "stdin=true&command=id", "as=admin", "pretty=true", "sendInitialEvents=true&watch=true&timeoutSeconds=1&resourceVersionMatch=NotOlderThan")
}

// bent returns a target written in another way, or one that leads elsewhere when it is
// read twice.
func (g *generator) bent(target string) string {
	path, query, found := strings.Cut(target, "?")
	if found {
		query = "?" + query
	}
	switch g.IntN(8) {
	case 0:
		path += "/"
	case 1:
		path = strings.Replace(path, "/", "//", 1+g.IntN(3))
	case 2:
		path = strings.Replace(path, ownProjects[0], ownProjects[0]+"/../"+foreignProject, 1)
	case 3:
		path = strings.Replace(path, ownProjects[0], ownProjects[0]+"%2F..%2F"+foreignProject, 1)
	case 4:
		path = "/clusters/host" + path
	case 5:
		path = strings.Replace(path, "/kapis/", "/kapis/clusters/host/", 1)
	case 6:
		path = strings.Replace(path, "/namespaces/", "/workspaces/"+ownWorkspace+"/namespaces/", 1)
	default:
		path = "/api/v1/namespaces/" + ownProjects[0] + "/services/walk/proxy/../../../../.." + path
	}
	return path + query
}

// replace writes an object in the place of another.
func (g *generator) replace(s *step, body any) {
	g.write(s, body)
	s.onto = s.headers["Content-Type"] == "application/json" && g.chance(60)
}

func (g *generator) write(s *step, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // the generator makes what can be written
	}
	s.headers["Content-Type"] = "application/json"
	if g.chance(8) {
		if text, err = yaml.JSONToYAML(text); err != nil {
			panic(err)
		}
		s.headers["Content-Type"] = "application/yaml"
	}
	if g.chance(2) { // a field that is there twice
		text = []byte(strings.Replace(string(text), `"metadata":`, `"metadata":{"name":"walk","namespace":"`+foreignProject+`"},"metadata":`, 1))
	}
	s.body = text
}

// patch makes a patch of a part of an object.
func (g *generator) patch(s *step, object fields) {
	part := fields{}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if key == "metadata" || g.chance(70) {
			part[key] = object[key]
		}
	}
	s.headers["Content-Type"] = one(g, "application/merge-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/json-patch+json", "application/json")
	var body any = part
	switch s.headers["Content-Type"] {
	case "application/apply-patch+yaml":
		s.target += "?fieldManager=walk&force=true"
		body = object
	case "application/json-patch+json":
		var operations []fields
		for _, key := range slices.Sorted(maps.Keys(part)) {
			value := part[key]
			if key == "apiVersion" || key == "kind" {
				continue
			}
			if nested, isObject := value.(fields); isObject {
				for _, name := range slices.Sorted(maps.Keys(nested)) {
					operations = append(operations, fields{"op": one(g, "add", "replace"), "path": "/" + key + "/" + name, "value": nested[name]})
				}
				continue
			}
			operations = append(operations, fields{"op": one(g, "add", "replace", "remove"), "path": "/" + key, "value": value})
		}
		body = operations
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	s.body = text
}
