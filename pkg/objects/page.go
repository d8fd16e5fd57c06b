package objects

import (
	"context"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// ListPage returns a page with all a query asks for: a version, filters that depend
// on other types, and the annotations derived from those. It fails as State does.
func (c *Cache) ListPage(ctx context.Context, catalog *Catalog, kind *Type, selection Selection) (Listed, error) {
	listed, err := c.State(ctx, kind, selection.Query)
	if err != nil {
		return Listed{}, err
	}
	return listed, c.Fill(ctx, catalog, kind, selection, &listed)
}

// Texts are the objects of a page in JSON, without secrets, each with the fields
// the query asks for. Those are chosen when an object is written.
func (p Page) Texts(q *query.Query) route.List {
	list := p.TextsOf(q, func(item *Item) (string, error) { return item.Shown(false), nil })
	list.Stored = q.Projection == nil && p.form == nil
	return list
}

// TextsOf are the texts made of the objects of a page in its form, each with the fields
// the query asks for. They are made when they are written.
func (p Page) TextsOf(q *query.Query, text func(*Item) (string, error)) route.List {
	return route.List{Count: len(p.Items), Total: p.Total, Text: func(n int) (string, error) {
		shown, err := text(p.Item(n))
		if err != nil {
			return "", err
		}
		return q.Projection.Of(shown), nil
	}}
}
