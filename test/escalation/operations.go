package escalation

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// operation is one of the server's own document.
type operation struct{ method, path string }

// place is the parameter of the path in whose scope an operation takes place: a workspace, a
// namespace, or none.
func (o operation) place() string {
	for _, parameter := range []string{"{namespace}", "{workspace}"} {
		if strings.Contains(o.path, parameter) {
			return parameter
		}
	}
	return ""
}

// isOfAny reports whether an operation is for objects of any group.
func (o operation) isOfAny() bool { return strings.Contains(o.path, "{group}/{version}") }

// readOperations reads the operations of the server's document. Those that log in and out
// are left out: they make and end sessions, which says nothing of rights.
func (w *world) readOperations(ctx context.Context) error {
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := w.callAs(ctx, "", http.MethodGet, "/apidocs.json", nil, &document); err != nil {
		return err
	}
	for path, methods := range document.Paths {
		if strings.HasPrefix(path, "/oauth") {
			continue
		}
		for method := range methods {
			if method = strings.ToUpper(method); method != "PARAMETERS" {
				w.operations = append(w.operations, operation{method, path})
			}
		}
	}
	slices.SortFunc(w.operations, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return nil
}

// operation returns one of the server's own, mostly one that writes where the subject has a
// role.
func (g *generator) operation() operation {
	place := ""
	switch {
	case g.actor.projectRole != "":
		place = "{namespace}"
	case g.actor.workspaceRole != "" || g.actor.globalRole == unmanaged:
		place = "{workspace}"
	}
	ofAny := g.chance(30)
	var fitting []operation
	for _, op := range g.world.operations {
		if op.method != http.MethodGet && op.place() == place && (op.isOfAny() || !ofAny) {
			fitting = append(fitting, op)
		}
	}
	if len(fitting) == 0 || g.chance(30) {
		return one(g, g.world.operations...)
	}
	return one(g, fitting...)
}

// typeFor returns a type for an operation for objects of any group: mostly one of the scope
// that has no operations of its own.
func (g *generator) typeFor(op operation) *resourceType {
	typ := g.typ()
	for range 10 {
		if typ.namespaced == (op.place() == "{namespace}") && typ.Group != "" && !strings.HasSuffix(typ.Group, ".kubesphere.io") {
			break
		}
		typ = g.typ()
	}
	return typ
}

// ofServer makes a request for an operation of the server's own document.
func (g *generator) ofServer(s *step) {
	op := g.operation()
	s.method = op.method
	typ := g.typeFor(op)
	ofAny := op.isOfAny()
	resource, namespace, name := "", "", ""
	segments := strings.Split(op.path, "/")
	for n, segment := range segments {
		if !strings.HasPrefix(segment, "{") {
			resource = segment
			continue
		}
		value := ""
		switch parameter := strings.Trim(segment, "{}"); {
		case ofAny && parameter == "group":
			value = typ.Group
		case ofAny && parameter == "version":
			value = typ.Version
		case ofAny && parameter == "resources":
			value = typ.Resource
		case ofAny && parameter == "name":
			value = g.name(typ.Resource)
		default:
			value = g.parameter(parameter)
			if parameter == "namespace" {
				namespace = value
			}
		}
		if n == len(segments)-1 && n > 1 && !g.chance(8) { // the object of the request, and of its body
			name = value
		}
		segments[n] = url.PathEscape(value)
	}
	s.target = strings.Join(segments, "/")
	if name == "" || strings.HasSuffix(op.path, "{resources}") {
		name = g.name(resource)
		if ofAny {
			name = g.name(typ.Resource)
		}
	}
	body := func() any {
		if ofAny {
			return g.object(typ.Group, typ.Version, typ.kind, namespace, name)
		}
		return g.bodyFor(resource, name)
	}
	switch s.method {
	case http.MethodPost:
		value := body()
		if list, isList := value.([]any); isList && g.chance(10) && len(list) > 0 {
			value = list[0]
		}
		g.write(s, value)
		if _, isObject := value.(fields); isObject {
			g.follow(s, name, body)
		}
	case http.MethodPatch:
		if object, isObject := body().(fields); isObject {
			g.patch(s, object)
		}
	case http.MethodPut:
		g.replace(s, body())
	}
}

// parameter returns a value of a parameter in a path.
func (g *generator) parameter(name string) string {
	switch name {
	case "namespace", "devops":
		return g.namespace()
	case "workspace":
		return g.workspace()
	case "user", "member", "workspacemember", "clustermember":
		return g.user()
	case "cluster":
		return one(g, "host", "member")
	case "resources":
		return one(g, "secrets", "configmaps", "pods", "namespaces", "users", "clusterroles", "nodes", "globalrolebindings", "roles", "serviceaccounts")
	}
	return g.name(strings.TrimSuffix(name, "s") + "s")
}

// follow lets requests of the same subject for an object follow the one that makes it: what
// its author may do with it shows when it is there.
func (g *generator) follow(made *step, name string, body func() any) {
	if !g.chance(40) {
		return
	}
	for range 1 + g.IntN(2) {
		s := step{subject: made.subject, method: one(g, http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodDelete), headers: make(map[string]string), target: made.target + "/" + url.PathEscape(name)}
		switch object := body(); s.method {
		case http.MethodPut:
			g.replace(&s, object)
		case http.MethodPatch:
			if object, isObject := object.(fields); isObject {
				g.patch(&s, object)
			}
		}
		g.spare(&s)
		g.following = append(g.following, s)
	}
}
