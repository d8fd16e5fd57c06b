package iam

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// Handler serves users, groups and members.
type Handler struct {
	Directory *iam.Directory
	Types     *objects.Catalog
	Users     *iam.Users
	Groups    *iam.Groups
	Bindings  *iam.Bindings
	// Managers changes the managers of workspaces when members leave.
	Managers  Managers
	Passwords Passwords
	Rights    Rights
	// Roles knows the roles, and decides which users may take them from others.
	Roles Roles
	// Tokens and Sessions are the logins of users.
	Tokens   *accesstoken.Tokens
	Sessions Sessions
	// Providers are where users may prove to be somebody; Callback is the
	// address they come back to from one.
	Providers identity.Providers
	Callback  func(provider string) string
	// Limits bounds how many objects callers create; nil for no bound.
	Limits *tenant.Limits
	// Attempts bounds how often passwords are tried at providers; nil for no bound.
	Attempts *identity.Attempts
}

// Roles knows the roles there are, and decides which users may take them from others.
// *authz.RBAC does.
type Roles interface {
	NameRoles(ctx context.Context, kind string, scope authz.Scope, err error) error
	MayRevoke(ctx context.Context, who user.Info, scope authz.Scope, ref rbacv1.RoleRef) error
}

// Rights decides about actions on other users. *authz.RBAC does.
type Rights interface {
	authz.NameChecker
	authorizer.UnconditionalAuthorizer
	FindExcess(ctx context.Context, who, subject user.Info) (*authz.Excess, error)
	FindPlatformExcess(ctx context.Context, who, subject user.Info) (*authz.Excess, error)
	// Administrators returns the users and groups with everything on the platform.
	Administrators(ctx context.Context) (users, groups []string, err error)
}

// Sessions ends logins.
type Sessions interface {
	End(ctx context.Context, name, reason string) error
	EndOthers(ctx context.Context, user, except, reason string) error
}

// Passwords checks passwords.
type Passwords interface {
	Authenticate(ctx context.Context, attempt identity.Attempt) (*iamv1alpha2.User, error)
}

// Managers changes the managers of workspaces, who are members as long as they
// are managers.
type Managers interface {
	// Dismiss takes the management of a workspace from a user who has it, unless check
	// returns an error.
	Dismiss(ctx context.Context, workspace, user string, check func() error) error
	// Namespaces are the names of the namespaces of a workspace.
	Namespaces(ctx context.Context, workspace string) ([]string, error)
}

// caller returns the user of a request.
func caller(r *http.Request) user.Info {
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		return &user.DefaultInfo{Name: user.Anonymous}
	}
	return who
}

// session is the caller's login, "" for one without.
func session(who user.Info) string {
	if values := who.GetExtra()[authn.ExtraSession]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// may reports whether the caller has the right to do something to all objects
// of a resource of this group on the platform. The right everybody has to
// their own account is none.
func (h *Handler) may(r *http.Request, verb, resource string) (bool, error) {
	resource, subresource, _ := strings.Cut(resource, "/")
	decision, _, err := h.Rights.Authorize(r.Context(), &authz.Attributes{AttributesRecord: authorizer.AttributesRecord{
		User: caller(r), Verb: verb, APIGroup: iamv1alpha2.GroupName, APIVersion: iamv1alpha2.SchemeGroupVersion.Version, Resource: resource, Subresource: subresource, ResourceRequest: true,
	}})
	return err == nil && decision == authorizer.DecisionAllow, err
}

// mayGive refuses to let a caller give a role of a place without having
// the rights of the role there (Kubernetes' escalation check).
func (h *Handler) mayGive(r *http.Request, place iam.Place, role string) error {
	if err := authz.CheckBindingScope(caller(r), scopeOf(place), kindOf(place), role); err != nil {
		return err
	}
	rules, err := h.Bindings.Rules(r.Context(), place, role)
	if err != nil {
		return h.Roles.NameRoles(r.Context(), kindOf(place), scopeOf(place), err)
	}
	if place.Namespace != "" {
		// Members are users, who act through this server: see authz.RBAC.MayBindUsers.
		rules = iam.ExplicitVerbs(rules)
	}
	missing, err := authz.MissingToGrant(r.Context(), h.Rights, caller(r), scopeOf(place), rules)
	if err != nil || len(missing) == 0 {
		return err
	}
	shown, err := authz.ShowRules(missing)
	if err != nil {
		return err
	}
	return status.Forbidden(authz.RoleResource(kindOf(place)), role, "user %q does not have all rights of the role, and nobody gives what they do not have; missing is %s",
		caller(r).GetName(), shown)
}

// kindOf is the kind of the roles of a place.
func kindOf(place iam.Place) string {
	switch {
	case place.Namespace != "":
		return "Role"
	case place.Workspace != "":
		return "WorkspaceRole"
	case place.Cluster:
		return "ClusterRole"
	}
	return "GlobalRole"
}

func scopeOf(place iam.Place) authz.Scope {
	scope := authz.Scope{Workspace: place.Workspace, Namespace: place.Namespace}
	if place.Cluster {
		scope.Cluster = authz.ThisCluster
	}
	return scope
}

// outranks refuses to let the caller act on a user who has a role, on the
// platform, in the cluster, a workspace or a namespace, whose rules the caller
// does not hold there: setting the password of a user gives the rights of the user.
func (h *Handler) outranks(r *http.Request, name string) error {
	return h.checkRank(r, name, h.Rights.FindExcess)
}

// mayJoin refuses to let the caller add a user to a group whose roles give
// more than the caller has.
func (h *Handler) mayJoin(r *http.Request, group string) error {
	return h.holdsAll(r, &user.DefaultInfo{Groups: []string{group}}, iamv1alpha2.Resource("groups"), group)
}

// holdsAll returns a forbidden error when a subject has a role whose rules the
// caller does not hold in the scope of the role.
func (h *Handler) holdsAll(r *http.Request, subject user.Info, resource schema.GroupResource, name string) error {
	return h.exceeds(r, h.Rights.FindExcess, caller(r), subject, resource, name)
}

// exceeds returns a forbidden error when a subject has a role whose rules the actor
// does not hold in the scope of the role.
func (h *Handler) exceeds(r *http.Request, find findExcess, actor, subject user.Info, resource schema.GroupResource, name string) error {
	excess, err := find(r.Context(), actor, subject)
	if err != nil || excess == nil {
		return err
	}
	return status.Forbidden(resource, name, "it has the role %s %s, whose rights user %q does not have there", excess.Role, excess.Scope, caller(r).GetName())
}

func confirmation() route.Parameter {
	return route.Parameter{
		In: route.InQuery, Name: request.ParameterConfirmBindings, Type: "boolean",
		Description: "Accept the bindings that name it already; takes all rights they give, and the right to update users where users have a group of the name. Without, a name in use is a 409 that tells of it.",
	}
}

// confirmed reports whether a request accepts the bindings of a new name: that it has
// the roles its name was given before.
func confirmed(r *http.Request) (bool, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return false, err
	}
	return parameters.ConfirmBindings, nil
}

// bound is the answer to a *iam.BoundError: callers who could confirm what there is are
// told which it is.
func (h *Handler) bound(r *http.Request, err error, subject user.Info) error {
	var bound *iam.BoundError
	if !errors.As(err, &bound) {
		return err
	}
	excess, failed := h.Rights.FindExcess(r.Context(), caller(r), subject)
	if failed != nil || excess != nil {
		return errors.Join(failed, err)
	}
	if len(bound.Members) > 0 {
		for _, verb := range []string{"list", "update"} {
			if may, failed := h.may(r, verb, "users"); failed != nil || !may {
				return errors.Join(failed, err)
			}
		}
	}
	return bound.WithNames(request.ParameterConfirmBindings)
}

// listed reads the query of a list of a type and warns of parameters that have
// no effect. The filters named own are the caller's to apply.
func (h *Handler) listed(w http.ResponseWriter, r *http.Request, resource string, own ...string) (query.Query, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return query.Query{}, err
	}
	q, ignored, err := query.Parse(parameters, h.Types.Type(resource).Filters)
	q.Filters = slices.DeleteFunc(q.Filters, func(f query.Filter) bool { return slices.Contains(own, f.Key) })
	route.WarnIgnored(w, resource, slices.DeleteFunc(ignored, func(name string) bool { return slices.Contains(own, name) }))
	return q, err
}

// page answers with a page of a type.
func (h *Handler) page(w http.ResponseWriter, r *http.Request, resource string, q *query.Query) error {
	page, err := h.Directory.Cache.ListPage(r.Context(), h.Types, h.Types.Type(resource), objects.Selection{Query: q})
	if err != nil {
		return err
	}
	return route.WriteList(w, r, page.Texts(q), q.Pretty)
}

// with adds a filter to a query.
func with(q query.Query, filter query.Filter) *query.Query {
	q.Filters = append(slices.Clone(q.Filters), filter)
	q.Raw += "\x00" + filter.Key + "\x00" + filter.Value
	return &q
}

// handler lets errors of an unreachable Kubernetes be 503.
func handler(h route.Handler) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return kube.Err(h(w, r)) }
}

// names are the keys of a map, in order.
func names(members map[string]string) []string { return slices.Sorted(maps.Keys(members)) }
