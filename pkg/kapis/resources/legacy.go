package resources

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Parameters of version v1alpha2.
const (
	legacyConditions = "conditions"
	legacyPaging     = "paging"
	legacyOrderBy    = "orderBy"
	legacyReverse    = "reverse"
)

// LegacyList is a page of a list, as version v1alpha2 has it.
type LegacyList struct {
	Items      []Object `json:"items" description:"The objects of the page."`
	TotalCount int      `json:"total_count" description:"The number of objects that match, on all pages."`
}

// LegacyGroup declares the lists of version v1alpha2, which older clients ask
// for with parameters of their own.
func (h *Handler) LegacyGroup() route.Group {
	resources := route.Parameter{In: route.InPath, Name: "resources", Required: true, Description: "Plural name of the resource type, such as nodes.", Values: slices.Sorted(slices.Values(h.Types.Catalog.Resources()))}
	namespace := route.Parameter{In: route.InPath, Name: "namespace", Required: true, Description: "Name of the namespace."}
	parameters := []route.Parameter{
		{In: route.InQuery, Name: legacyConditions, Description: "Conditions, separated by commas: key=value, or key~value for a part of the name. Keys are name, those of v1alpha3, and labels."},
		{In: route.InQuery, Name: legacyPaging, Description: "limit=10,page=1 is the default; limit=-1 for all."},
		{In: route.InQuery, Name: legacyOrderBy, Description: "Sort key: name, createTime (the default) or a column of the type."},
		{In: route.InQuery, Name: legacyReverse, Type: "boolean", Description: "Descending instead of ascending order."},
	}
	answer := []route.Response{{Code: http.StatusOK, Description: "The page.", Model: LegacyList{}}}
	return route.Group{
		Prefix: "/kapis/resources.kubesphere.io/v1alpha2", Tag: "Resources", Description: "Lists and objects of every resource type, from memory.",
		Routes: []route.Route{
			{
				Method: http.MethodGet, Path: "/{resources}", ID: "listResourcesV1alpha2", Summary: "List objects of the cluster, for older clients",
				Parameters: append([]route.Parameter{resources}, parameters...), Responses: answer, Handler: h.legacyList,
			},
			{
				Method: http.MethodGet, Path: "/namespaces/{namespace}/{resources}", ID: "listNamespacedResourcesV1alpha2", Summary: "List objects of a namespace, for older clients",
				Parameters: append([]route.Parameter{namespace, resources}, parameters...), Responses: answer, Handler: h.legacyList,
			},
		},
	}
}

func (h *Handler) legacyList(w http.ResponseWriter, r *http.Request) error {
	kind, namespace, err := h.kind(r)
	if err != nil {
		return err
	}
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return err
	}
	values, err := translate(parameters, kind)
	if err != nil {
		return err
	}
	translated := r.Clone(r.Context())
	translated.URL.RawQuery = values.Encode()
	if translated, err = authz.AuthorizeRewritten(translated, h.Authorizer, nil); err != nil {
		return err
	}
	selection := objects.Selection{Namespace: namespace}
	if selection.Only, err = h.visible(translated, kind, namespace); err != nil {
		return err
	}
	return h.answer(w, translated, kind, selection, legacyEnvelope)
}

var (
	pagingPattern = regexp.MustCompile(`^limit=(-?\d+),page=(\d+)$`)
	// conditionPattern is a key, which may be that of a label, and a value.
	conditionPattern = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9./_-]*[A-Za-z0-9])?)([=~])([^=~]*)$`)
)

// maxConditions bounds the conditions of a list.
const maxConditions = 32

// translate makes parameters of version v1alpha3 of those of v1alpha2. Others
// are passed on, but for a watch, which version v1alpha2 does not have.
func translate(given *request.Parameters, kind *objects.Type) (url.Values, error) {
	values := url.Values{}
	for key, all := range given.All() {
		switch key {
		case legacyConditions, legacyPaging, legacyOrderBy, legacyReverse, query.Watch:
		default:
			values[key] = all
		}
	}
	if !values.Has(query.Limit) && !values.Has(query.Page) {
		values.Set(query.Limit, "10")
		if parts := pagingPattern.FindStringSubmatch(given.Get(legacyPaging)); parts != nil {
			values.Set(query.Limit, parts[1])
			values.Set(query.Page, parts[2])
		}
	}
	if orderBy := given.Get(legacyOrderBy); orderBy != "" {
		values.Set(query.SortBy, orderBy)
	}
	reverse := given.Get(legacyReverse)
	if !values.Has(query.Ascending) && reverse != "true" && reverse != "1" {
		values.Set(query.Ascending, "true")
	}
	return values, conditions(values, given.Get(legacyConditions), kind)
}

// conditions adds filters for conditions. Those that are none are refused: they
// must not mean everything.
func conditions(values url.Values, text string, kind *objects.Type) error {
	if text == "" {
		return nil
	}
	all := strings.Split(text, ",")
	if len(all) > maxConditions {
		return status.BadRequest("%s has more than %d conditions", legacyConditions, maxConditions)
	}
	selector := labels.Set{}
	for _, one := range all {
		parts := conditionPattern.FindStringSubmatch(one)
		if parts == nil {
			return status.BadRequest("%q is no condition: one is key=value or key~value", one)
		}
		key, operator, value := parts[1], parts[3], parts[4]
		switch {
		case key == "name" && operator == "=":
			values.Set("names", value)
		case key == "keyword":
			values.Set("name", value)
		case kind.Filters(key):
			values.Set(key, value)
		case operator == "=":
			selector[key] = value
		default:
			return status.BadRequest("%s cannot be searched by a part of %q", kind.Resource, key)
		}
	}
	if len(selector) == 0 {
		return nil
	}
	if _, err := labels.ValidatedSelectorFromSet(selector); err != nil {
		return status.BadRequest("%s: a key is that of no filter, and of no label", legacyConditions)
	}
	if before := values.Get(query.LabelSelector); before != "" {
		values.Set(query.LabelSelector, before+","+selector.String())
	} else {
		values.Set(query.LabelSelector, selector.String())
	}
	return nil
}
