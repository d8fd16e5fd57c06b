package app

import (
	"context"

	"github.com/super-kubenetes/ks-apiserver/pkg/extensions"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// capabilities says which pages of the console have a service behind them, of
// those it shows by roles alone. All others it shows by the features of configz.
type capabilities struct {
	types    *objects.Resolver
	backends *extensions.Registry
}

// Offers implements roles.Capabilities.
func (c capabilities) Offers(ctx context.Context, capability string) bool {
	switch capability {
	case "applications": // Apps of a project
		return c.backends.Serves("/kapis/openpitrix.io/v1/applications") || c.backends.Serves("/kapis/openpitrix.io/v2alpha1/applications")
	case "custom-monitoring": // dashboards of a project
		_, err := c.types.Type(ctx, "dashboards.monitoring.kubesphere.io")
		return err == nil
	}
	return true
}
