package resources

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Dynamic serves the resources of any group of the cluster below /kapis: reads
// as the viewer does, and writes by handing them to Kubernetes.
type Dynamic struct {
	*Handler
	// Kubernetes serves /apis, as the caller.
	Kubernetes http.Handler
	// MaxBodyBytes bounds the bodies that are read here.
	MaxBodyBytes int64
	// Reserved are the groups that are not served here: they have doors of
	// their own, with checks that this would be a way around.
	Reserved sets.Set[string]
}

// target is what a request is about.
type target struct {
	kind                       *objects.Type
	namespace, workspace, name string
}

// workspaceLabel names the workspace an object belongs to.
const workspaceLabel = "kubesphere.io/workspace"

// target finds the type a path names. What the cluster does not have is left
// to others.
func (d *Dynamic) target(r *http.Request) (target, error) {
	t := target{namespace: r.PathValue("namespace"), workspace: r.PathValue("workspace"), name: r.PathValue("name")}
	if info := request.InfoFrom(r.Context()); info == nil || info.Cluster != "" || d.Reserved.Has(r.PathValue("group")) {
		return t, route.ErrUnserved
	}
	kind, err := d.Types.Exactly(r.Context(), schema.GroupVersionResource{
		Group: r.PathValue("group"), Version: r.PathValue("version"), Resource: r.PathValue("resources"),
	})
	switch {
	case apierrors.IsNotFound(err):
		return t, route.ErrUnserved
	case err != nil:
		return t, err
	case t.namespace != "" && !kind.Namespaced, t.workspace != "" && kind.Namespaced:
		return t, route.ErrUnserved
	}
	t.kind = kind
	return t, nil
}

func (d *Dynamic) list(w http.ResponseWriter, r *http.Request) error {
	t, err := d.target(r)
	if err != nil {
		return err
	}
	return d.answer(w, r, t.kind, objects.Selection{Namespace: t.namespace, Match: t.match(), Key: t.workspace}, kubernetesEnvelope)
}

// match restricts a list to a workspace; nil for no restriction.
func (t target) match() func(*objects.Item) bool {
	if t.workspace == "" {
		return nil
	}
	return t.holds
}

func (t target) holds(item *objects.Item) bool {
	return t.workspace == "" || item.Labels().Get(workspaceLabel) == t.workspace
}

func (d *Dynamic) get(w http.ResponseWriter, r *http.Request) error {
	t, err := d.target(r)
	if err != nil {
		return err
	}
	if err := d.belongs(r, t); err != nil {
		return err
	}
	return d.object(w, r, t.kind, t.namespace, t.name)
}

// belongs fails with 404 when the object is of another workspace than the path
// says.
func (d *Dynamic) belongs(r *http.Request, t target) error {
	if t.workspace == "" {
		return nil
	}
	item, _, err := d.Cache.Object(r.Context(), d.Types.Catalog, t.kind, t.namespace, t.name, 0)
	if err != nil {
		return err
	}
	if !t.holds(item) {
		return apierrors.NewNotFound(t.kind.GroupResource(), t.name)
	}
	return nil
}

// Group declares the operations.
func (d *Dynamic) Group() route.Group {
	parameter := func(name, description string) route.Parameter {
		return route.Parameter{In: route.InPath, Name: name, Required: true, Description: description}
	}
	group := route.Group{
		Prefix: "/kapis/{group}/{version}", Tag: "Dynamic", General: true,
		Description: "Objects of every group of the cluster: reads from memory, writes to Kubernetes, as the caller.",
	}
	common := []route.Parameter{
		parameter("group", "API group, such as apps."), parameter("version", "Version of the group, such as v1."), parameter("resources", "Plural name of the resource type."),
	}
	name := parameter("name", "Name of the object.")
	pretty := route.Parameter{In: route.InQuery, Name: query.Pretty, Type: "boolean", Description: "Indent the answer."}
	written := []route.Parameter{
		{In: route.InQuery, Name: "dryRun", Description: "All to validate only.", Values: []string{"All"}},
		{In: route.InQuery, Name: "fieldManager", Description: "Who writes, as Kubernetes notes it."},
		{In: route.InQuery, Name: "fieldValidation", Description: "What unknown fields mean.", Values: []string{"Ignore", "Warn", "Strict"}},
	}
	force := route.Parameter{In: route.InQuery, Name: "force", Type: "boolean", Description: "With apply: take fields over from other managers."}
	object := func(code int, description string) route.Response {
		return route.Response{Code: code, Description: description, Model: Object{}}
	}
	for _, scope := range []struct {
		prefix, id, where string
		parameters        []route.Parameter
	}{
		{"", "Cluster", "of the cluster", nil},
		{"/namespaces/{namespace}", "Namespaced", "of a namespace", []route.Parameter{parameter("namespace", "Name of the namespace.")}},
		{"/workspaces/{workspace}", "Workspaced", "of a workspace", []route.Parameter{parameter("workspace", "Name of the workspace.")}},
	} {
		with := func(more ...[]route.Parameter) []route.Parameter {
			all := append([]route.Parameter{}, common...)
			all = append(all, scope.parameters...)
			for _, parameters := range more {
				all = append(all, parameters...)
			}
			return all
		}
		collection, one, named := scope.prefix+"/{resources}", scope.prefix+"/{resources}/{name}", []route.Parameter{name}
		group.Routes = append(group.Routes,
			route.Route{
				Method: http.MethodGet, Path: collection, ID: "list" + scope.id + "Objects", Summary: "List objects " + scope.where,
				Parameters: with(d.listParameters(), []route.Parameter{pretty}), Watchable: true,
				Responses: []route.Response{{Code: http.StatusOK, Description: "A List of Kubernetes; with watch=true a stream of events.", Model: KubernetesList{}}}, Handler: d.list,
			},
			route.Route{
				Method: http.MethodGet, Path: one, ID: "get" + scope.id + "Object", Summary: "Get an object " + scope.where,
				Parameters: with(named, []route.Parameter{fields, version, pretty}), Responses: []route.Response{object(http.StatusOK, "The object.")}, Handler: d.get,
			},
			route.Route{
				Method: http.MethodPost, Path: collection, ID: "create" + scope.id + "Object", Summary: "Create an object " + scope.where,
				Parameters: with(written), Body: Object{}, Responses: []route.Response{object(http.StatusCreated, "The object.")}, Handler: d.write,
			},
			route.Route{
				Method: http.MethodPut, Path: one, ID: "replace" + scope.id + "Object", Summary: "Replace an object " + scope.where,
				Parameters: with(named, written), Body: Object{}, Responses: []route.Response{object(http.StatusOK, "The object.")}, Handler: d.write,
			},
			route.Route{
				Method: http.MethodPatch, Path: one, ID: "patch" + scope.id + "Object", Summary: "Patch an object " + scope.where,
				Parameters: with(named, written, []route.Parameter{force}), Body: Object{}, Consumes: patches,
				Responses: []route.Response{object(http.StatusOK, "The object.")}, Handler: d.write,
			},
			route.Route{
				Method: http.MethodDelete, Path: one, ID: "delete" + scope.id + "Object", Summary: "Delete an object " + scope.where,
				Parameters: with(named, written[:1], []route.Parameter{
					{In: route.InQuery, Name: "propagationPolicy", Description: "What happens to dependents.", Values: []string{"Orphan", "Background", "Foreground"}},
					{In: route.InQuery, Name: "gracePeriodSeconds", Type: "integer", Description: "Seconds until it is gone."},
				}),
				Responses: []route.Response{object(http.StatusOK, "A Status, or the object when it takes longer.")}, Handler: d.write,
			},
		)
	}
	return group
}

// patches are the media types of patches, Kubernetes' own.
var patches = []string{"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"}

// KubernetesList is a List of Kubernetes.
type KubernetesList struct {
	Kind       string `json:"kind" description:"Kind of the objects, followed by List."`
	APIVersion string `json:"apiVersion" description:"Group and version of the objects."`
	Metadata   struct {
		ResourceVersion    string `json:"resourceVersion" description:"The version the list is of."`
		RemainingItemCount int64  `json:"remainingItemCount" description:"How many objects come on further pages."`
	} `json:"metadata"`
	Items []Object `json:"items" description:"The objects of the page."`
}
