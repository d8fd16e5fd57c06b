package kubeproxy

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// collectionPage is the number of objects of a collection that are read at once.
const collectionPage = 50

// guardCollection returns the deletion of a collection of which the caller may delete
// each object by its name, or the error to answer with. The deletion is bound to the
// version at which the objects were looked at: later ones are not deleted.
func (p *Proxy) guardCollection(r *http.Request, who user.Info, resource schema.GroupResource) (deletion *http.Request, err error) {
	administers, err := p.rights.Administers(r.Context(), who)
	if err != nil || administers {
		return r, err
	}
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return r, err
	}
	if parameters.Continue != "" {
		return r, status.BadRequest("%s is not accepted in the deletion of a collection of %s", request.ParameterContinue, resource)
	}
	values := r.URL.Query()
	if selector, err := p.unlocked(r.Context(), who, resource, parameters.LabelSelector); err != nil {
		return r, err
	} else if selector != parameters.LabelSelector {
		values.Set(request.ParameterLabelSelector, selector)
	}
	version, err := p.checkCollection(r, who, resource, values)
	if err != nil {
		return r, err
	}
	if deletion, err = withOptionsInBody(r.Context(), r); err != nil {
		return r, err
	}
	values.Set(request.ParameterResourceVersion, version)
	values.Set(request.ParameterResourceVersionMatch, string(metav1.ResourceVersionMatchExact))
	deletion = deletion.Clone(r.Context())
	deletion.URL.RawQuery = values.Encode()
	return deletion, nil
}

// unlocked returns a selector without the objects that are locked, unless the caller has
// all rights in the cluster: a collection is deleted without them.
func (p *Proxy) unlocked(ctx context.Context, who user.Info, resource schema.GroupResource, selector string) (string, error) {
	labels := reserved.Default().LockingLabels(resource)
	if len(labels) == 0 {
		return selector, nil
	}
	held, err := authz.HoldsAll(ctx, p.rights, who, authz.Scope{Cluster: authz.ThisCluster})
	if err != nil || held {
		return selector, err
	}
	var terms []string
	if selector != "" {
		terms = append(terms, selector)
	}
	for _, label := range labels {
		terms = append(terms, "!"+label)
	}
	return strings.Join(terms, ","), nil
}

// withOptionsInBody returns a deletion with its options in the body. Without a body
// Kubernetes reads them of the query, where the version of the collection would be a
// precondition of each object.
func withOptionsInBody(ctx context.Context, r *http.Request) (*http.Request, error) {
	if r.ContentLength != 0 {
		return r, nil
	}
	r, options, err := deleteOptions(ctx, r)
	if err != nil {
		return r, err
	}
	return withDeleteOptions(r, options)
}

// checkCollection returns the version of a collection, each object of which the caller
// may delete, or an error about the first that the caller may not delete.
func (p *Proxy) checkCollection(r *http.Request, who user.Info, resource schema.GroupResource, values url.Values) (version string, err error) {
	query := url.Values{}
	for _, name := range []string{request.ParameterLabelSelector, request.ParameterFieldSelector} {
		if value := values.Get(name); value != "" {
			query.Set(name, value)
		}
	}
	left, err := collectionLimit(values)
	if err != nil {
		return "", err
	}
	for {
		page := collectionPage
		if left > 0 {
			page = min(page, left)
		}
		query.Set(request.ParameterLimit, strconv.Itoa(page))
		answer, err := p.ask(r.Context(), http.MethodGet, r.URL, query, http.Header{}, nil)
		if err != nil {
			return "", err
		}
		list, err := answer.ToList()
		if err != nil {
			return "", err
		}
		for n := range list.Items {
			// Objects in lists of Kubernetes' own types do not name their type.
			object := &list.Items[n]
			object.SetAPIVersion(list.GetAPIVersion())
			object.SetKind(strings.TrimSuffix(list.GetKind(), "List"))
			if err := p.permitDeletion(r.Context(), who, resource, object); err != nil {
				return "", err
			}
		}
		version = list.GetResourceVersion()
		next := list.GetContinue()
		if left > 0 {
			if left -= len(list.Items); left <= 0 {
				return version, nil
			}
		}
		if next == "" {
			return version, nil
		}
		query.Set(request.ParameterContinue, next)
	}
}

// collectionLimit returns the number of objects a client asks to delete at most, 0 for
// no limit.
func collectionLimit(values url.Values) (int, error) {
	text := values.Get(request.ParameterLimit)
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 0 {
		return 0, status.BadRequest("%s must be a number of 0 or more, not %q", request.ParameterLimit, text)
	}
	return limit, nil
}
