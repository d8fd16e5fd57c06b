package app

import (
	"context"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/extensions"
	"github.com/super-kubenetes/ks-apiserver/pkg/openapi"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// extend builds what lets services of the cluster serve a part of the API.
func (a *app) extend(tokens *token.Service) {
	a.extensions = extensions.New(a.cache, a.catalog, tokens, time.Now)
	a.reconcile.Also = append(a.reconcile.Also, &extensions.Health{Registry: a.extensions, Client: a.client})
}

// follow follows the objects of extensions, once their types are there.
func (a *app) follow(ctx context.Context) {
	for a.setup.Ready() != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	a.extensions.Run(ctx)
}

// publish makes the documents of extensions part of ours.
func publish(documents *openapi.Documents) func(context.Context, []extensions.Document) error {
	return func(_ context.Context, added []extensions.Document) error {
		parts := make([]openapi.Part, 0, len(added))
		for _, document := range added {
			parts = append(parts, openapi.Part(document))
		}
		return documents.Merge(parts)
	}
}
