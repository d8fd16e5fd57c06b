package resources

import (
	"maps"
	"net/http"
	"slices"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Object is any object of Kubernetes.
type Object = route.Object

// List is a page of a list.
type List struct {
	// Items are the objects of the page.
	Items []Object `json:"items" description:"The objects of the page."`
	// TotalItems is the number of objects that match, on all pages.
	TotalItems int `json:"totalItems" description:"The number of objects that match, on all pages."`
}

// Summary counts the objects of a list.
type Summary struct {
	// TotalItems is the number of objects.
	TotalItems int `json:"totalItems" description:"The number of objects."`
	// Status is the number of objects per status, of types that have one.
	Status map[string]int `json:"status" description:"The number of objects per status, of types that have one."`
}

const prefix = "/kapis/resources.kubesphere.io/v1alpha3"

// Group declares the operations.
func (h *Handler) Group() route.Group {
	resources := route.Parameter{In: route.InPath, Name: "resources", Required: true,
		Description: "Plural name of the resource type, such as nodes, or with its group, such as ingresses.networking.k8s.io. Every type the cluster can list is served.", Values: slices.Sorted(slices.Values(h.Types.Catalog.Resources()))}
	name := route.Parameter{In: route.InPath, Name: "name", Required: true, Description: "Name of the object."}
	namespace := route.Parameter{In: route.InPath, Name: "namespace", Required: true, Description: "Name of the namespace."}
	pretty := route.Parameter{In: route.InQuery, Name: query.Pretty, Type: "boolean", Description: "Indent the answer."}
	listed := route.Response{Code: http.StatusOK, Description: "The page; with watch=true a stream of events instead.", Model: List{}}
	counted := route.Response{Code: http.StatusOK, Description: "The numbers.", Model: Summary{}}
	const summary = "Counts the objects by their status, after the filters a list has. An object with the name summary is answered instead."
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
				Responses:   []route.Response{listed}, Handler: h.list, Watchable: true,
			},
			{
				Method: http.MethodGet, Path: "/{resources}/summary", ID: "summarizeResources",
				Summary: "Count objects of the cluster", Description: summary,
				Parameters: append([]route.Parameter{resources}, h.filterParameters()...),
				Responses:  []route.Response{counted}, Handler: h.summary,
			},
			{
				Method: http.MethodGet, Path: "/{resources}/{name}", ID: "getResource",
				Summary:    "Get an object of the cluster",
				Parameters: []route.Parameter{resources, name, fields, version, pretty},
				Responses:  []route.Response{found}, Handler: h.get,
			},
			{
				Method: http.MethodGet, Path: "/namespaces/{namespace}/{resources}", ID: "listNamespacedResources",
				Summary:    "List objects of a namespace",
				Parameters: append([]route.Parameter{namespace, resources}, paging...),
				Responses:  []route.Response{listed}, Handler: h.list, Watchable: true,
			},
			{
				Method: http.MethodGet, Path: "/namespaces/{namespace}/{resources}/summary", ID: "summarizeNamespacedResources",
				Summary: "Count objects of a namespace", Description: summary,
				Parameters: append([]route.Parameter{namespace, resources}, h.filterParameters()...),
				Responses:  []route.Response{counted}, Handler: h.summary,
			},
			{
				Method: http.MethodGet, Path: "/namespaces/{namespace}/{resources}/{name}", ID: "getNamespacedResource",
				Summary:    "Get an object of a namespace",
				Parameters: []route.Parameter{namespace, resources, name, fields, version, pretty},
				Responses:  []route.Response{found}, Handler: h.get,
			},
		},
	}
}

var (
	fields  = route.Parameter{In: route.InQuery, Name: query.Fields, Description: "Paths of the fields to answer, separated by commas, such as metadata.name,status.phase; a path leads through the elements of lists. All fields by default."}
	version = route.Parameter{In: route.InQuery, Name: query.ResourceVersion, Description: "A version of Kubernetes the answer must not be older than, such as the one a write was answered with."}
)

// listParameters documents the parameters of lists.
func (h *Handler) listParameters() []route.Parameter {
	parameters := []route.Parameter{
		{In: route.InQuery, Name: query.Page, Type: "integer", Description: "Number of the page, from 1."},
		{In: route.InQuery, Name: query.Limit, Type: "integer", Description: "Objects per page; -1, the default, for all; 0 for the total only, in a form of Kubernetes for all."},
		{In: route.InQuery, Name: query.Continue, Description: "In a form of Kubernetes: the token of the page before, for the next page of the same state; 410 when it is not kept any more."},
		{In: route.InQuery, Name: query.SortBy, Description: "Sort key: name, createTime (the default) or a column of the type. Several keys are separated by commas; then, and with a sign, each key has its own direction: -restarts,name."},
		{In: route.InQuery, Name: query.Ascending, Type: "boolean", Description: "Ascending instead of descending order."},
		fields, version,
		{In: route.InQuery, Name: query.Stable, Type: "boolean", Description: "Keep the state of the list, so that further pages of it can be asked for by its version, which is in the header Resource-Version."},
		{In: route.InQuery, Name: query.ResourceVersionMatch, Description: "Exact for the page of the list as it was at resourceVersion, which a request with stable=true has it kept; 410 when it is not kept any more.", Values: []string{query.MatchExact, query.MatchNotOlderThan}},
		{In: route.InQuery, Name: query.Watch, Type: "boolean", Description: "Stream the changes instead: frames as Kubernetes', or server-sent events when text/event-stream is accepted. Without a resourceVersion the present state comes first."},
		{In: route.InQuery, Name: query.AllowWatchBookmarks, Type: "boolean", Description: "With watch: send bookmarks."},
		{In: route.InQuery, Name: query.SendInitialEvents, Type: "boolean", Description: "With watch: send the present state first, and a bookmark at its end."},
		{In: route.InQuery, Name: query.TimeoutSeconds, Type: "integer", Description: "With watch: end it after this time, in seconds."},
		{In: route.InQuery, Name: query.IncludeObject, Description: "How much of the objects the rows of a table carry, when application/json;as=Table;v=v1;g=meta.k8s.io is accepted.", Values: []string{"None", "Metadata", "Object"}},
	}
	return append(parameters, h.filterParameters()...)
}

// filterParameters documents the filters all types have and, as one of them,
// those some types have.
func (h *Handler) filterParameters() []route.Parameter {
	parameters := []route.Parameter{
		{In: route.InQuery, Name: query.LabelSelector, Description: "Label selector in Kubernetes' syntax."},
		{In: route.InQuery, Name: query.FieldSelector, Description: "Field selector on any path of the object, such as spec.nodeName=a."},
		{In: route.InQuery, Name: query.Text, Description: "Words to be found in the name, namespace, labels or images, in any case."},
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
		for _, name := range kind.FilterNames() {
			names[name] = true
		}
	}
	return names
}
