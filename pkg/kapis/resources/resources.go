package resources

import (
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Handler serves the viewer of resources.
type Handler struct {
	Cache *objects.Cache
	// Types finds the types that can be listed.
	Types *objects.Resolver
	// Authorizer decides whether the values of secrets are shown.
	Authorizer authorizer.UnconditionalAuthorizer
	// Rights says which namespaces and workspaces a caller sees.
	Rights Rights
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	kind, namespace, err := h.kind(r)
	if err != nil {
		return err
	}
	q, ignored, err := query.Parse(r.URL.Query(), kind.Filters)
	if err != nil {
		return err
	}
	for _, name := range ignored {
		warn(w, "the parameter %q has no effect on %s", name, kind.Resource)
	}
	if !kind.Sorts(q.SortBy) {
		warn(w, "%s cannot be sorted by %q, they are sorted by creation time", kind.Resource, q.SortBy)
	}
	view, err := h.Cache.View(r.Context(), kind)
	if err != nil {
		return err
	}
	only, err := h.visible(r, kind, namespace)
	if err != nil {
		return err
	}
	secrets := h.secretsShown(r, kind, namespace)
	if unchanged(w, r, kind, view, only, secrets) {
		return nil
	}
	var page objects.Page
	if only != nil {
		page, err = view.ListOnly(only, &q)
	} else {
		page, err = view.List(namespace, &q)
	}
	if err != nil {
		return err
	}
	if page.Items, err = h.annotated(r, kind, page.Items); err != nil {
		return err
	}
	if view.Stale != "" {
		warn(w, "%s", view.Stale)
	}
	return writeList(w, r, page, secrets, q.Pretty)
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	kind, namespace, err := h.kind(r)
	if err != nil {
		return err
	}
	q, _, err := query.Parse(r.URL.Query(), kind.Filters)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	view, err := h.Cache.View(r.Context(), kind)
	if err != nil {
		return err
	}
	item := view.Get(namespace, name)
	if item == nil {
		return apierrors.NewNotFound(kind.GroupResource(), name)
	}
	items, err := h.annotated(r, kind, []*objects.Item{item})
	if err != nil {
		return err
	}
	if view.Stale != "" {
		warn(w, "%s", view.Stale)
	}
	return writeObject(w, items[0].Shown(h.secretsShown(r, kind, namespace)), q.Pretty)
}

// unchanged sets the entity tag of a list and answers 304 when the client has
// that state already, which a console that asks again and again mostly has.
// The tag is of the type, whatever the page: the URL says the rest. Types
// that show what depends on others have none: their state does not know.
func unchanged(w http.ResponseWriter, r *http.Request, kind *objects.Type, view objects.View, only *objects.Only, secrets bool) bool {
	if view.Stale != "" || kind.Related() {
		return false
	}
	tag := `W/"` + view.Tag()
	if !secrets {
		tag += "-masked"
	}
	if only != nil { // what is shown changes with the rights of the caller, too
		tag += "-" + only.Key()
	}
	tag += `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Add("Vary", "Authorization")
	for given := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimSpace(given) == tag {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// annotated adds to objects what is derived from others.
func (h *Handler) annotated(r *http.Request, kind *objects.Type, items []*objects.Item) ([]*objects.Item, error) {
	return h.Cache.Annotate(r.Context(), h.Types.Catalog, kind, items)
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
// get them from Kubernetes may get them here.
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
	return err == nil && decision == authorizer.DecisionAllow
}

// warn adds a warning kubectl and client-go print (RFC 7234 §5.5).
func warn(w http.ResponseWriter, format string, args ...any) {
	text := strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, fmt.Sprintf(format, args...))
	w.Header().Add("Warning", `299 - "`+text+`"`)
}
