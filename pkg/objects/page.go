package objects

import (
	"context"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
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
// the query asks for.
func (p Page) Texts(q *query.Query) []string {
	texts := make([]string, len(p.Items))
	for n, item := range p.Items {
		texts[n] = q.Projection.Of(item.Shown(false))
	}
	return texts
}
