package roles

import (
	"context"
	"net/http"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// Rights decides what users may do and give. *authz.RBAC does.
type Rights interface {
	authz.NameChecker
	authz.AdministratorChecker
	Rules(ctx context.Context, who user.Info, scope authz.Scope) (*authz.HeldRules, error)
	MayWriteRole(ctx context.Context, who user.Info, scope authz.Scope, resource schema.GroupResource, name string, rules []rbacv1.PolicyRule) error
	MayBind(ctx context.Context, who user.Info, scope authz.Scope, ref rbacv1.RoleRef) error
	MayBindUsers(ctx context.Context, who user.Info, scope authz.Scope, ref rbacv1.RoleRef) error
	MayRevoke(ctx context.Context, who user.Info, scope authz.Scope, ref rbacv1.RoleRef) error
	MayNarrow(ctx context.Context, who user.Info, scope authz.Scope, resource schema.GroupResource, name string, rules []rbacv1.PolicyRule) error
	RoleNames(ctx context.Context, who user.Info, scope authz.Scope) ([]string, error)
}

// Accounts returns the accounts of users.
type Accounts interface {
	Account(ctx context.Context, name string) (iam.Account, bool, error)
}

// Handler serves roles, bindings and reviews.
type Handler struct {
	Cache   *objects.Cache
	Catalog *objects.Catalog
	// Client reads and writes as the user of the request; what it has written is
	// in the cache.
	Client client.Client
	// Authorizer answers reviews, as it decides about requests.
	Authorizer authorizer.UnconditionalAuthorizer
	Rights     Rights
	Accounts   Accounts
	// Limits bounds how many objects callers create; nil for no bound.
	Limits *tenant.Limits
	// Capabilities are the features the console can offer; all of them when nil.
	Capabilities Capabilities
}

// kind is one of the four kinds of roles.
type kind struct {
	schema.GroupVersionKind
	resource string // plural, as the catalog names it
	name     string // the path parameter of one of them
	title    string // for people
	below    string // where they are found in the paths
	id       string // part of operation IDs
	model    any
}

func kinds() []kind {
	ours := schema.GroupVersion{Group: iamv1alpha2.GroupName, Version: "v1alpha2"}
	kubernetes := rbacv1.SchemeGroupVersion
	return []kind{
		{GroupVersionKind: ours.WithKind("GlobalRole"), resource: "globalroles", name: "globalrole", title: "global role", id: "GlobalRole", model: iamv1alpha2.GlobalRole{}},
		{GroupVersionKind: kubernetes.WithKind("ClusterRole"), resource: "clusterroles", name: "clusterrole", title: "cluster role", id: "ClusterRole", model: rbacv1.ClusterRole{}},
		{GroupVersionKind: ours.WithKind("WorkspaceRole"), resource: "workspaceroles", name: "workspacerole", title: "workspace role", id: "WorkspaceRole", below: "/workspaces/{workspace}", model: iamv1alpha2.WorkspaceRole{}},
		{GroupVersionKind: kubernetes.WithKind("Role"), resource: "roles", name: "role", title: "role of a namespace", id: "Role", below: "/namespaces/{namespace}", model: rbacv1.Role{}},
	}
}

// place is where the roles of a request are.
type place struct{ workspace, namespace string }

func placeOf(r *http.Request) place {
	return place{workspace: r.PathValue("workspace"), namespace: r.PathValue("namespace")}
}

// reserve makes room for further objects of the place, by its limit.
func (at place) reserve(ctx context.Context, limits *tenant.Limits, who user.Info, ofWorkspace, ofNamespace *tenant.Limit, further int) (release func(), err error) {
	switch {
	case at.workspace != "":
		return limits.Reserve(ctx, who, ofWorkspace, at.workspace, further)
	case at.namespace != "":
		return limits.Reserve(ctx, who, ofNamespace, at.namespace, further)
	}
	return func() {}, nil
}

// scope is where rules of a kind of role apply in a place.
func (k *kind) scope(at place) authz.Scope {
	switch k.Kind {
	case "ClusterRole":
		return authz.Scope{Cluster: authz.ThisCluster}
	case "WorkspaceRole":
		return authz.Scope{Workspace: at.workspace}
	case "Role":
		return authz.Scope{Namespace: at.namespace}
	}
	return authz.Scope{}
}

func (k *kind) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.resource}
}

func caller(r *http.Request) (user.Info, error) {
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		return nil, status.Unauthorized("Unauthorized: this needs credentials")
	}
	return who, nil
}

// read returns an object as it is stored now. One of another workspace is not
// found: what is in a path must agree with what it names.
func (h *Handler) read(ctx context.Context, gvk schema.GroupVersionKind, resource schema.GroupResource, at place, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	if err := h.Client.Get(ctx, client.ObjectKey{Namespace: at.namespace, Name: name}, object); err != nil {
		return nil, err
	}
	if at.workspace != "" && object.GetLabels()[iamv1alpha2.LabelWorkspace] != at.workspace {
		return nil, apierrors.NewNotFound(resource, name)
	}
	return object, nil
}

// shown answers with an object.
func shown(w http.ResponseWriter, object *unstructured.Unstructured) error {
	object.SetManagedFields(nil)
	status.WriteJSON(w, http.StatusOK, object.Object)
	return nil
}

// listed answers with a page of a list.
func listed(w http.ResponseWriter, r *http.Request, page objects.Page, q *query.Query) error {
	return route.WriteList(w, r, page.Texts(q), q.Pretty)
}
