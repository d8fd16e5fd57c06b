package iam

import (
	"context"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// WithEmail returns the names of the users with an e-mail address.
func (d *Directory) WithEmail(ctx context.Context, email string) ([]string, error) {
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return nil, err
	}
	found, err := view.List(ctx, "", only("email", email))
	var names []string
	for _, item := range found.Items {
		names = append(names, item.Name())
	}
	return names, err
}

// Members returns the users who have a role in a place by their name, each
// with that role. Of several, the one whose binding comes first counts. The map may be
// that of other requests as well and must not be changed.
func (d *Directory) Members(ctx context.Context, place Place) (map[string]string, error) {
	resource, namespace, filter := "", "", &query.Query{Limit: query.Unlimited, Page: 1, SortBy: "name", Ascending: true}
	switch {
	case place == Place{}:
		return d.platformMembers(ctx)
	case place.Namespace != "":
		resource, namespace = "rolebindings", place.Namespace
	case place.Workspace != "":
		resource, filter = "workspacerolebindings", only("workspace", place.Workspace)
	case place.Cluster:
		resource = "clusterrolebindings"
	}
	view, err := d.Cache.View(ctx, d.Catalog.Type(resource))
	if err != nil {
		return nil, err
	}
	page, err := view.List(ctx, namespace, filter)
	if err != nil {
		return nil, err
	}
	members := make(map[string]string)
	for _, item := range page.Items {
		role := item.Field("roleRef.name").String()
		for _, subject := range item.Field("subjects").Array() {
			name := subject.Get("name").String()
			if _, has := members[name]; !has && subject.Get("kind").String() == rbacv1.UserKind {
				members[name] = role
			}
		}
	}
	return members, nil
}

// RoleOf returns the role a user has in a place by his name, "" for none.
func (d *Directory) RoleOf(ctx context.Context, place Place, user string) (string, error) {
	members, err := d.Members(ctx, place)
	return members[user], err
}

// Named restricts a query to objects with some names.
func Named(q query.Query, names []string) query.Query {
	slices.Sort(names)
	joined := strings.Join(names, ",")
	q.Filters = append(slices.Clone(q.Filters), query.Filter{Key: "names", Value: joined})
	q.Raw += "\x00names\x00" + joined
	return q
}

func only(column, value string) *query.Query {
	return &query.Query{
		Limit: query.Unlimited, Page: 1, SortBy: "name", Ascending: true,
		Filters: []query.Filter{{Key: column, Value: value}}, Raw: column + "\x00" + value,
	}
}

// Users returns a page of users, without passwords, selected and shown in a form; nil for
// all that is known of them.
func (d *Directory) Users(ctx context.Context, q *query.Query, form *objects.Form) (objects.Page, error) {
	listed, err := d.Cache.ListPage(ctx, d.Catalog, d.Catalog.Type("users"), objects.Selection{Query: q, Form: form})
	return listed.Page, err
}

// User returns a user without his password, nil when there is none.
func (d *Directory) User(ctx context.Context, name string) (*objects.Item, error) {
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return nil, err
	}
	return view.Get("", name), nil
}
