package ippools

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Handler serves the pools of namespaces. The pools of the cluster are served
// as any other resource.
type Handler struct {
	Cache *objects.Cache
	Types *objects.Resolver
}

// List is a page of pools.
type List struct {
	Items      []route.Object `json:"items" description:"The pools of the page."`
	TotalItems int            `json:"totalItems" description:"The number of pools that match, on all pages."`
}

// Group declares the operation.
func (h *Handler) Group() route.Group {
	return route.Group{
		Prefix: "/kapis/resources.kubesphere.io/v1alpha3", Tag: "Network", Description: "Address pools.",
		Routes: []route.Route{{
			Method: http.MethodGet, Path: "/namespaces/{namespace}/ippools", ID: "listNamespaceIPPools", Summary: "List the address pools of a namespace",
			Description: "The default pools, and those of the workspace of the namespace.",
			Parameters: []route.Parameter{
				{In: route.InPath, Name: "namespace", Required: true, Description: "Name of the namespace."},
				{In: route.InQuery, Name: query.LabelSelector, Description: "Selects pools by their labels."},
				{In: route.InQuery, Name: query.Page, Type: "integer", Description: "Number of the page, from 1."},
				{In: route.InQuery, Name: query.Limit, Type: "integer", Description: "Pools per page; 10 when it is missing, all with -1."},
			},
			Responses: []route.Response{{Code: http.StatusOK, Description: "The page.", Model: List{}}}, Handler: h.list,
		}},
	}
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	namespaces, err := h.Cache.View(r.Context(), h.Types.Catalog.Type("namespaces"))
	if err != nil {
		return err
	}
	namespace := namespaces.Get("", r.PathValue("namespace"))
	if namespace == nil {
		return apierrors.NewNotFound(h.Types.Catalog.Type("namespaces").GroupResource(), r.PathValue("namespace"))
	}
	kind, err := h.Types.Type(r.Context(), "ippools."+networkv1alpha1.GroupName)
	if err != nil {
		return err
	}
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return err
	}
	q, ignored, err := query.Parse(parameters, kind.Filters)
	if err != nil {
		return err
	}
	route.WarnIgnored(w, kind.Resource, ignored)
	pools, err := h.Cache.View(r.Context(), kind)
	if err != nil {
		return err
	}
	var names []string
	workspace := namespace.Labels().Get(iamv1alpha2.LabelWorkspace)
	pools.All(func(item *objects.Item) bool {
		labels := item.Labels()
		if labels.Has(networkv1alpha1.LabelDefaultIPPool) || workspace != "" && labels.Get(iamv1alpha2.LabelWorkspace) == workspace {
			names = append(names, item.Name())
		}
		return true
	})
	page, err := h.Cache.ListPage(r.Context(), h.Types.Catalog, kind, objects.Selection{Query: &q, Only: objects.NewOnly(names)})
	if err != nil {
		return err
	}
	return route.WriteList(w, r, page.Texts(&q), q.Pretty)
}
