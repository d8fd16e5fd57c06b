package kubeproxy

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

var gateways = schema.GroupResource{Group: "gateway.kubesphere.io", Resource: "gateways"}

// permitWithinProject refuses objects of a project whose content has an effect
// outside of it, unless the caller has all rights in the cluster.
func (p *Proxy) permitWithinProject(ctx context.Context, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	if resource != gateways {
		return nil
	}
	setting, err := tenant.GatewaySettingBeyondProject(before, after)
	if err != nil || setting == "" {
		return err
	}
	missing, err := p.rights.Covers(ctx, who, authz.Scope{Cluster: authz.ThisCluster}, authz.Everything())
	if err != nil || len(missing) == 0 {
		return err
	}
	return status.Forbidden(resource, after.GetName(), "%s reaches beyond the project, which takes all rights in the cluster", setting)
}
