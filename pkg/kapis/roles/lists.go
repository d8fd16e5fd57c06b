package roles

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// list serves the roles of a place. Who asks for templates gets those of the
// platform for such places.
func (h *Handler) list(k kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		catalogued := h.Catalog.Type(k.resource)
		parameters, q, err := parse(w, r, catalogued)
		if err != nil {
			return err
		}
		at := placeOf(r)
		if k.Kind == "WorkspaceRole" {
			if err := h.checkAggregateTo(r.Context(), &k, at, &q); err != nil {
				return err
			}
		}
		switch {
		case at.namespace != "" && asksForTemplates(parameters):
			state, err := h.Cache.State(r.Context(), catalogued, &q)
			if err != nil {
				return err
			}
			templates, err := h.projectTemplates(r.Context())
			if err != nil {
				return err
			}
			page, err := merged(r.Context(), state.Snapshot, catalogued, at.namespace, templates).List(r.Context(), at.namespace, &q)
			if err != nil {
				return err
			}
			return listed(w, r, page, &q)
		case at.workspace != "" && asksForTemplates(parameters):
			// Templates belong to no workspace.
			at.workspace = ""
			fallthrough
		case at.workspace != "" || k.Kind == "WorkspaceRole":
			restrict(&q, "workspace", at.workspace)
		}
		page, err := h.Cache.ListPage(r.Context(), h.Catalog, catalogued, objects.Selection{Namespace: at.namespace, Query: &q})
		if err != nil {
			return err
		}
		return listed(w, r, page.Page, &q)
	}
}

// parse reads the parameters of a list and warns of those without effect.
func parse(w http.ResponseWriter, r *http.Request, kind *objects.Type) (*request.Parameters, query.Query, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return nil, query.Query{}, err
	}
	q, ignored, err := query.Parse(parameters, kind.Filters)
	route.WarnIgnored(w, kind.Resource, ignored)
	return parameters, q, err
}

// asksForTemplates reports whether a query selects role templates by label.
func asksForTemplates(p *request.Parameters) bool {
	return strings.Contains(p.Get(query.Label), iamv1alpha2.LabelRoleTemplate) || strings.Contains(p.LabelSelector, iamv1alpha2.LabelRoleTemplate)
}

// restrict adds a filter a path implies.
func restrict(q *query.Query, key, value string) {
	q.Filters = append(q.Filters, query.Filter{Key: key, Value: value})
	q.Raw += "\x00" + key + "\x00" + value
}

// checkAggregateTo lets a query for the templates of a role of another workspace find
// none: which they are is for those who read the role.
func (h *Handler) checkAggregateTo(ctx context.Context, k *kind, at place, q *query.Query) error {
	for n, filter := range q.Filters {
		if filter.Key != "aggregateTo" {
			continue
		}
		role, err := h.template(ctx, k, at, filter.Value)
		if err != nil {
			return err
		}
		if role == "" {
			q.Filters[n].Value = ""
			q.Raw += "\x00no role"
		}
	}
	return nil
}

// projectTemplates are the templates of roles in namespaces, by name. They are
// kept once, in role bases, rather than in every namespace.
func (h *Handler) projectTemplates(ctx context.Context) (map[string]string, error) {
	view, err := h.Cache.View(ctx, h.Catalog.Type("rolebases"))
	if err != nil {
		return nil, err
	}
	templates := make(map[string]string)
	view.All(func(item *objects.Item) bool {
		role := item.Field("role")
		if role.Get("kind").Str == "Role" && role.Get(`metadata.labels.iam\.kubesphere\.io/role-template`).Exists() {
			templates[role.Get("metadata.name").Str] = withIdentity(role.Raw, item)
		}
		return true
	})
	return templates, nil
}

// withIdentity gives a role what it has from the base it is kept in.
func withIdentity(role string, base *objects.Item) string {
	for path, value := range map[string]string{
		"metadata.uid": base.UID(), "metadata.resourceVersion": base.ResourceVersion(),
		"metadata.creationTimestamp": base.Field("metadata.creationTimestamp").Str,
	} {
		if with, err := sjson.Set(role, path, value); err == nil {
			role = with
		}
	}
	return role
}

// merged are the roles of a namespace and the templates it has no role of its
// own for.
func merged(ctx context.Context, view *objects.Snapshot, catalogued *objects.Type, namespace string, templates map[string]string) *objects.Snapshot {
	var all []string
	for name, template := range templates {
		if view.Get(namespace, name) != nil {
			continue
		}
		if with, err := sjson.Set(template, "metadata.namespace", namespace); err == nil {
			all = append(all, with)
		}
	}
	page, err := view.List(ctx, namespace, &query.Query{Limit: query.Unlimited, SortBy: "name"})
	if err != nil {
		page = objects.Page{}
	}
	return objects.NewSnapshot(catalogued, page.Items, all...)
}

// template is a role template of a kind by its name, as JSON; "" for none. In
// namespaces those of the platform come first: a role of their name there may
// be anybody's.
func (h *Handler) template(ctx context.Context, k *kind, at place, name string) (string, error) {
	if k.Kind == "Role" {
		templates, err := h.projectTemplates(ctx)
		if err != nil {
			return "", err
		}
		if templates[name] != "" {
			return sjson.Set(templates[name], "metadata.namespace", at.namespace)
		}
	}
	view, err := h.Cache.View(ctx, h.Catalog.Type(k.resource))
	if err != nil {
		return "", err
	}
	if item := view.Get(at.namespace, name); item != nil {
		if workspace := item.Labels().Get(iamv1alpha2.LabelWorkspace); workspace == "" || workspace == at.workspace {
			return item.JSON(), nil
		}
	}
	return "", nil
}

// templatesOf serves the templates the roles of a user in a place are made of,
// or the role itself when it is made of none, as an array.
func (h *Handler) templatesOf(k kind, parameter string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name, at := r.PathValue(parameter), placeOf(r)
		account, found, err := h.Accounts.Account(r.Context(), name)
		if err != nil {
			return err
		}
		if !found {
			return status.NotFound("there is no user %q", name)
		}
		roles, err := h.Rights.RoleNames(r.Context(), &user.DefaultInfo{Name: name, Groups: account.Groups}, k.scope(at))
		if err != nil {
			return err
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		return route.Stream{Head: "[", Tail: "]", Parts: h.templateTexts(r.Context(), &k, at, roles)}.Write(w, nil, false)
	}
}

// templateTexts are the templates of roles with what separates them, read one after the
// other: a user may have many roles of many large templates.
func (h *Handler) templateTexts(ctx context.Context, k *kind, at place, roles []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		separator := ""
		for _, role := range roles {
			for part, err := range h.parts(ctx, k, at, role) {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					yield("", err)
					return
				}
				if k.below != belowDevOps { // whose pages are those of another service
					part = h.offered(ctx, part)
				}
				if !yield(separator, nil) || !yield(part, nil) {
					return
				}
				separator = ","
			}
		}
	}
}

// parts are the templates of a role, or the role itself.
func (h *Handler) parts(ctx context.Context, k *kind, at place, name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		role, err := h.template(ctx, k, at, name)
		if err != nil || role == "" {
			if err != nil {
				yield("", err)
			}
			return
		}
		var names []string
		// What cannot be read as a list names no templates.
		_ = json.Unmarshal([]byte(gjson.Get(role, `metadata.annotations.iam\.kubesphere\.io/aggregation-roles`).Str), &names)
		if len(names) == 0 {
			yield(role, nil)
			return
		}
		for _, name := range iam.Unique(names) {
			template, err := h.template(ctx, k, at, name)
			if template == "" && err == nil {
				continue
			}
			if !yield(template, err) {
				return
			}
		}
	}
}

var _ Accounts = (*iam.Directory)(nil)
