package resources

import (
	"context"
	"net/http"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Handler serves the viewer of resources.
type Handler struct {
	Cache *objects.Cache
	// Types finds the types that can be listed.
	Types *objects.Resolver
	// Authorizer decides whether the values of secrets are shown.
	Authorizer authorizer.UnconditionalAuthorizer
	// Agrees reports whether Kubernetes, too, shows the values of secrets to a user.
	Agrees func(ctx context.Context, who user.Info, action authorizationv1.ResourceAttributes) bool
	// Rights says which namespaces and workspaces a caller sees.
	Rights Rights
	// Allowed, unless nil, says of a request that lasts why it may not go on.
	Allowed func(*http.Request) error
	// Revision identifies the state Allowed and Rights decide by, see
	// request.Reauthorization.
	Revision func(context.Context) any
	Now      func() time.Time

	unread unread
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	kind, namespace, err := h.kind(r)
	if err != nil {
		return err
	}
	selection := objects.Selection{Namespace: namespace}
	if selection.Only, err = h.visible(r, kind, namespace); err != nil {
		return err
	}
	return h.answer(w, r, kind, selection, viewerEnvelope)
}

// answer serves a list, or its changes.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, kind *objects.Type, selection objects.Selection, envelope envelope) error {
	f, err := h.form(r, kind, selection.Namespace)
	if err != nil {
		return err
	}
	f.envelope = envelope
	q, err := h.query(w, r, kind)
	if err != nil {
		return err
	}
	f.projection = q.Projection
	selection.Query = &q
	switch {
	case q.Watch != nil:
	case f.kubernetesList():
		if err := q.UseKubernetesPaging(); err != nil {
			return err
		}
	case q.Continue != "":
		route.WriteWarning(w, "the parameter %q has no effect on this form of the list", query.Continue)
	}
	if q.Watch != nil {
		return h.watch(w, r, selection, f)
	}
	listed, err := h.Cache.State(r.Context(), kind, &q)
	if err != nil {
		return err
	}
	w.Header().Set(headerVersion, listed.VersionText())
	if unchanged(w, r, listed, selection.Only, f) {
		return nil
	}
	if err := h.Cache.Fill(r.Context(), h.Types.Catalog, kind, selection, &listed); err != nil {
		return err
	}
	if listed.Stale != "" {
		route.WriteWarning(w, "%s", listed.Stale)
	}
	if f.kubernetesList() && f.listMeta(listed, &q).Continue != "" {
		h.Cache.Keep(r.Context(), listed.View) // for the next page
	}
	return f.writeList(w, r, listed, &q)
}

// headerVersion tells the version of Kubernetes a list is of, for clients that
// ask for further pages of it or watch from there.
const headerVersion = "Resource-Version"

// query reads the parameters of a list and warns of those without effect.
func (h *Handler) query(w http.ResponseWriter, r *http.Request, kind *objects.Type) (query.Query, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return query.Query{}, err
	}
	q, ignored, err := query.Parse(parameters, kind.Filters)
	if err != nil {
		return q, err
	}
	route.WarnIgnored(w, kind.Resource, ignored)
	for _, key := range kind.Unsorted(q.SortBy) {
		if q.Signed() {
			route.WriteWarning(w, "%s cannot be sorted by %q", kind.Resource, key)
		} else {
			route.WriteWarning(w, "%s cannot be sorted by %q, they are sorted by creation time", kind.Resource, key)
		}
	}
	return q, nil
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	kind, namespace, err := h.kind(r)
	if err != nil {
		return err
	}
	return h.object(w, r, kind, namespace, r.PathValue("name"))
}

// object serves one object.
func (h *Handler) object(w http.ResponseWriter, r *http.Request, kind *objects.Type, namespace, name string) error {
	f, err := h.form(r, kind, namespace)
	if err != nil {
		return err
	}
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return err
	}
	q, _, err := query.Parse(parameters, kind.Filters)
	if err != nil {
		return err
	}
	f.projection = q.Projection
	item, view, err := h.Cache.Object(r.Context(), h.Types.Catalog, kind, namespace, name, q.ResourceVersion)
	if err != nil {
		return err
	}
	if view.Stale != "" {
		route.WriteWarning(w, "%s", view.Stale)
	}
	return f.writeObject(w, item, q.Pretty)
}

// summary counts the objects of a list by their status. An object that has
// this name comes first: it could not be had in any other way.
func (h *Handler) summary(w http.ResponseWriter, r *http.Request) error {
	kind, namespace, err := h.kind(r)
	if err != nil {
		return err
	}
	q, err := h.query(w, r, kind)
	if err != nil {
		return err
	}
	if kind.Namespaced == (namespace != "") {
		_, _, err := h.Cache.Object(r.Context(), h.Types.Catalog, kind, namespace, "summary", q.ResourceVersion)
		if err == nil {
			return h.object(w, r, kind, namespace, "summary")
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	// The path looks like the one of an object; what is answered is a list.
	if err := h.mayList(r, kind); err != nil {
		return err
	}
	selection := objects.Selection{Namespace: namespace, Query: &q}
	if selection.Only, err = h.visible(r, kind, namespace); err != nil {
		return err
	}
	total, counts, err := h.Cache.Counts(r.Context(), h.Types.Catalog, kind, selection, "status")
	if err != nil {
		return err
	}
	status.WriteJSON(w, http.StatusOK, Summary{TotalItems: total, Status: counts})
	return nil
}

// unchanged sets the entity tag of a list and answers 304 when the client has
// that state already, which a console that asks again and again mostly has.
// The tag is of the type, whatever the page: the URL says the rest. Lists that
// show what depends on other types have none, their state does not know, and
// neither have tables, whose ages grow.
func unchanged(w http.ResponseWriter, r *http.Request, listed objects.Listed, only *objects.Only, f form) bool {
	header := w.Header()
	if listed.Stale != "" || listed.Changing || f.as == asTable {
		header.Add("Vary", "Accept")
		return false
	}
	tag := `W/"` + listed.Tag() + f.tag()
	if only != nil { // what is shown changes with the rights of the caller, too
		tag += "-" + only.Key()
	}
	tag += `"`
	header.Set("ETag", tag)
	header.Set("Cache-Control", "private, no-cache")
	header.Add("Vary", "Accept, Authorization")
	for given := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimSpace(given) == tag {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// kind finds the type and namespace a path is about.
func (h *Handler) kind(r *http.Request) (*objects.Type, string, error) {
	resource, namespace := r.PathValue("resources"), r.PathValue("namespace")
	kind, err := h.Types.Type(r.Context(), resource)
	switch {
	case err != nil:
		return nil, "", err
	case namespace != "" && !kind.Namespaced:
		return nil, "", status.NotFound("%s do not belong to a namespace", resource)
	}
	return kind, namespace, nil
}

// secretsShown reports whether the caller sees the values of secrets: who may
// get them from Kubernetes may get them here, and Kubernetes has to say so.
func (h *Handler) secretsShown(r *http.Request, kind *objects.Type, namespace string) bool {
	if kind.Group != "" || kind.Resource != "secrets" {
		return true
	}
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		return false
	}
	decision, _, err := h.Authorizer.Authorize(r.Context(), authorizer.AttributesRecord{
		User: who, Verb: "get", APIVersion: "v1", Resource: "secrets", Namespace: namespace, ResourceRequest: true,
	})
	return err == nil && decision == authorizer.DecisionAllow &&
		h.Agrees(r.Context(), who, authorizationv1.ResourceAttributes{Verb: "get", Version: "v1", Resource: "secrets", Namespace: namespace})
}

// mayList asks whether the caller, who was allowed to get an object, may list
// objects as well.
func (h *Handler) mayList(r *http.Request, kind *objects.Type) error {
	allowed, err := h.may(r, "list")
	switch {
	case err != nil:
		return err
	case !allowed:
		return status.Forbidden(kind.GroupResource(), "", "listing them is not allowed")
	}
	return nil
}

// may asks whether the caller may do something with what the request is about.
func (h *Handler) may(r *http.Request, verb string) (bool, error) {
	who, found := kuberequest.UserFrom(r.Context())
	info := request.InfoFrom(r.Context())
	if !found || info == nil {
		return false, nil
	}
	attributes := authz.AttributesOf(info)
	attributes.User, attributes.Verb = who, verb
	if verb == "list" && attributes.Name == "summary" {
		attributes.Name = ""
	}
	decision, _, err := h.Authorizer.Authorize(r.Context(), attributes)
	return decision == authorizer.DecisionAllow, err
}
