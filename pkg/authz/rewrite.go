package authz

import (
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// AuthorizeRewritten parses a request whose path, query or method was changed and
// authorizes the result for the user in its context. It returns the request with the
// new description in its context, or the error to answer with. Handlers that
// change the path, the method or the scope of a request forward what it returns, so
// that the last decision is about the request that is sent; the proxy by itself only
// narrows selectors. place, unless nil, says where the request takes place if its path does not.
func AuthorizeRewritten(r *http.Request, decide authorizer.UnconditionalAuthorizer, place func(*request.Info)) (*http.Request, error) {
	info, err := request.Parse(r)
	if err != nil {
		return nil, err
	}
	if place != nil {
		place(info)
	}
	user, found := kuberequest.UserFrom(r.Context())
	if !found {
		return nil, status.Unauthorized("Unauthorized: this needs credentials")
	}
	attributes, decision, reason, err := AuthorizeRequest(r.Context(), decide, info, user)
	switch {
	case err != nil:
		return nil, err
	case decision != authorizer.DecisionAllow:
		return nil, Forbidden(attributes, reason)
	}
	return info.WithoutTrailingSlash(r).WithContext(request.WithInfo(r.Context(), info)), nil
}

// Forbidden is a 403 in kube-apiserver's words.
func Forbidden(a *Attributes, reason string) error {
	if reason != "" {
		reason = ": " + reason
	}
	resource := schema.GroupResource{Group: a.APIGroup, Resource: a.Resource}
	if !a.ResourceRequest {
		return status.Forbidden(schema.GroupResource{}, "", "User %q cannot %s path %q%s", a.User.GetName(), a.Verb, a.Path, reason)
	}
	what := a.Resource
	if a.Subresource != "" {
		what += "/" + a.Subresource
	}
	where := "at the cluster scope"
	switch {
	case a.Namespace != "":
		where = "in the namespace \"" + a.Namespace + "\""
	case a.Scope.Workspace != "":
		where = "in the workspace \"" + a.Scope.Workspace + "\""
	case request.OfPlatform(a.APIGroup, a.Resource):
		where = "on the platform"
	}
	return status.Forbidden(resource, a.Name, "User %q cannot %s resource %q in API group %q %s%s", a.User.GetName(), a.Verb, what, a.APIGroup, where, reason)
}
