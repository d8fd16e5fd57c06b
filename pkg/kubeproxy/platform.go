package kubeproxy

import (
	"context"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// withoutPlatform returns a list or watch of all namespaces that leaves out the
// namespaces of the platform, where the caller may not read objects of the type.
// Kubernetes leaves them out, so that it holds for every form of answer.
func (p *Proxy) withoutPlatform(r *http.Request, info *request.Info, who user.Info) (*http.Request, error) {
	if info.Namespace != "" || !info.IsResourceRequest || !reads(info.Verb) || info.Resource != "secrets" && info.Resource != "configmaps" {
		return r, nil
	}
	hidden, err := p.rights.HiddenNamespaces(r.Context(), who, authz.Action{Verb: info.Verb, Group: info.APIGroup, Resource: info.Resource})
	if err != nil || len(hidden) == 0 {
		return r, err
	}
	values := r.URL.Query()
	var selectors []string
	if given := values.Get("fieldSelector"); given != "" {
		selectors = append(selectors, given)
	}
	for _, namespace := range hidden {
		selectors = append(selectors, "metadata.namespace!="+namespace)
	}
	values.Set("fieldSelector", strings.Join(selectors, ","))
	r = r.Clone(r.Context())
	r.URL.RawQuery = values.Encode()
	return r, nil
}

// requireAdministrator returns nil when a user administers the platform and says
// so with a credential that may: no personal access token does.
func (p *Proxy) requireAdministrator(ctx context.Context, who user.Info, resource schema.GroupResource, name, reason string) error {
	administers, err := p.rights.Administers(ctx, who)
	if err != nil || administers {
		return err
	}
	return status.Forbidden(resource, name, "user %q needs all rights on the platform %s", who.GetName(), reason)
}
