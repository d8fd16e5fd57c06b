package resources

import (
	"maps"
	"net/http"
	"slices"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Object is any object of Kubernetes.
type Object map[string]any

// List is a page of a list.
type List struct {
	// Items are the objects of the page.
	Items []Object `json:"items" description:"The objects of the page."`
	// TotalItems is the number of objects that match, on all pages.
	TotalItems int `json:"totalItems" description:"The number of objects that match, on all pages."`
}

const prefix = "/kapis/resources.kubesphere.io/v1alpha3"

// Group declares the operations.
func (h *Handler) Group() route.Group {
	resources := route.Parameter{In: route.InPath, Name: "resources", Required: true,
		Description: "Plural name of the resource type, such as nodes, or with its group, such as ingresses.networking.k8s.io. Every type the cluster can list is served.", Values: slices.Sorted(slices.Values(h.Types.Catalog.Resources()))}
	name := route.Parameter{In: route.InPath, Name: "name", Required: true, Description: "Name of the object."}
	namespace := route.Parameter{In: route.InPath, Name: "namespace", Required: true, Description: "Name of the namespace."}
	pretty := route.Parameter{In: route.InQuery, Name: query.Pretty, Type: "boolean", Description: "Indent the answer."}
	listed := route.Response{Code: http.StatusOK, Description: "The page.", Model: List{}}
	found := route.Response{Code: http.StatusOK, Description: "The object.", Model: Object{}}
	paging := append(h.listParameters(), pretty)
	return route.Group{
		Prefix: prefix, Tag: "Resources", Description: "Lists and objects of every resource type, from memory.",
		Routes: []route.Route{
			{
				Method: http.MethodGet, Path: "/{resources}", ID: "listResources",
				Summary:     "List objects of the cluster",
				Description: "Lists the objects of a type: cluster-scoped ones, or those of all namespaces.",
				Parameters:  append([]route.Parameter{resources}, paging...),
				Responses:   []route.Response{listed}, Handler: h.list,
			},
			{
				Method: http.MethodGet, Path: "/{resources}/{name}", ID: "getResource",
				Summary:    "Get an object of the cluster",
				Parameters: []route.Parameter{resources, name, pretty},
				Responses:  []route.Response{found}, Handler: h.get,
			},
			{
				Method: http.MethodGet, Path: "/namespaces/{namespace}/{resources}", ID: "listNamespacedResources",
				Summary:    "List objects of a namespace",
				Parameters: append([]route.Parameter{namespace, resources}, paging...),
				Responses:  []route.Response{listed}, Handler: h.list,
			},
			{
				Method: http.MethodGet, Path: "/namespaces/{namespace}/{resources}/{name}", ID: "getNamespacedResource",
				Summary:    "Get an object of a namespace",
				Parameters: []route.Parameter{namespace, resources, name, pretty},
				Responses:  []route.Response{found}, Handler: h.get,
			},
		},
	}
}

// listParameters documents the parameters all types have and, as one of them,
// the filters some types have.
func (h *Handler) listParameters() []route.Parameter {
	parameters := []route.Parameter{
		{In: route.InQuery, Name: query.Page, Type: "integer", Description: "Number of the page, from 1."},
		{In: route.InQuery, Name: query.Limit, Type: "integer", Description: "Objects per page; -1, the default, for all; 0 for the total only."},
		{In: route.InQuery, Name: query.SortBy, Description: "Sort key: name, createTime (the default) or a column of the type."},
		{In: route.InQuery, Name: query.Ascending, Type: "boolean", Description: "Ascending instead of descending order."},
		{In: route.InQuery, Name: query.LabelSelector, Description: "Label selector in Kubernetes' syntax."},
		{In: route.InQuery, Name: query.FieldSelector, Description: "Field selector on any path of the object, such as spec.nodeName=a."},
		{In: route.InQuery, Name: "name", Description: "Part of the name."},
		{In: route.InQuery, Name: "names", Description: "Whole names, separated by commas."},
		{In: route.InQuery, Name: "uid", Description: "The UID."},
		{In: route.InQuery, Name: "label", Description: "Selector on labels."},
		{In: route.InQuery, Name: "annotation", Description: "Selector on annotations."},
		{In: route.InQuery, Name: "ownerReference", Description: "UID of an owner."},
		{In: route.InQuery, Name: "ownerKind", Description: "Kind of an owner."},
		{In: route.InQuery, Name: "alias", Description: "Part of the alias, the annotation kubesphere.io/alias-name."},
	}
	for _, column := range slices.Sorted(maps.Keys(h.columns())) {
		if slices.ContainsFunc(parameters, func(p route.Parameter) bool { return p.Name == column }) {
			continue // a type's own meaning of a parameter all types have
		}
		parameters = append(parameters, route.Parameter{In: route.InQuery, Name: column, Description: "Value of the column, of types that have it."})
	}
	return parameters
}

func (h *Handler) columns() map[string]bool {
	names := make(map[string]bool)
	for _, resource := range h.Types.Catalog.Resources() {
		kind := h.Types.Catalog.Type(resource)
		for n := range kind.Columns {
			if kind.Columns[n].Match != nil {
				names[kind.Columns[n].Name] = true
			}
		}
	}
	return names
}
