package roles

import (
	"net/http"

	rbacv1 "k8s.io/api/rbac/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

const prefix = "/kapis/iam.kubesphere.io/v1alpha2"

// List is a page of a list.
type List struct {
	// Items are the objects of the page.
	Items []map[string]any `json:"items" description:"The objects of the page."`
	// TotalItems is the number of objects that match, on all pages.
	TotalItems int `json:"totalItems" description:"The number of objects that match, on all pages."`
}

// Message says that something was done.
type Message struct {
	// Message is success.
	Message string `json:"message" description:"success"`
}

// Group declares the operations.
func (h *Handler) Group() route.Group {
	group := route.Group{Prefix: prefix, Tag: "Roles", Description: "Roles of the platform, clusters, workspaces and namespaces, and what they allow."}
	for _, k := range kinds() {
		group.Routes = append(group.Routes, h.roleRoutes(k)...)
	}
	group.Routes = append(group.Routes, h.devOpsRoutes()...)
	group.Routes = append(group.Routes, h.templateRoutes()...)
	group.Routes = append(group.Routes, h.bindingRoutes()...)
	group.Routes = append(group.Routes, h.reviewRoutes()...)
	return group
}

func inPath(name, description string) route.Parameter {
	return route.Parameter{In: route.InPath, Name: name, Required: true, Description: description}
}

// above are the parameters of the path before the roles.
func (k *kind) above() []route.Parameter {
	switch k.Kind {
	case "WorkspaceRole":
		return []route.Parameter{inPath("workspace", "Name of the workspace.")}
	case "Role":
		if k.below == belowDevOps {
			return []route.Parameter{inPath("devops", "Name of the DevOps project.")}
		}
		return []route.Parameter{inPath("namespace", "Name of the namespace.")}
	}
	return nil
}

func paging() []route.Parameter {
	in := route.InQuery
	return []route.Parameter{
		{In: in, Name: query.Page, Type: "integer", Description: "Number of the page, from 1."},
		{In: in, Name: query.Limit, Type: "integer", Description: "Objects per page; -1, the default, for all; 0 for the total only."},
		{In: in, Name: query.SortBy, Description: "Sort key: name or createTime (the default)."},
		{In: in, Name: query.Ascending, Type: "boolean", Description: "Ascending instead of descending order."},
		{In: in, Name: query.LabelSelector, Description: "Label selector in Kubernetes' syntax."},
		{In: in, Name: "name", Description: "Part of the name."},
		{In: in, Name: "label", Description: "Selector on labels; iam.kubesphere.io/role-template=true for templates."},
		{In: in, Name: "annotation", Description: "Selector on annotations; kubesphere.io/creator for what the console shows."},
	}
}

func (h *Handler) roleRoutes(k kind) []route.Route {
	all := k.below + "/" + k.resource
	one := all + "/{" + k.name + "}"
	above, name := k.above(), inPath(k.name, "Name of the role.")
	role := route.Response{Code: http.StatusOK, Description: "The role.", Model: k.model}
	done := route.Response{Code: http.StatusOK, Description: "It is deleted.", Model: Message{}}
	with := func(more ...route.Parameter) []route.Parameter {
		return append(append([]route.Parameter{}, above...), more...)
	}
	const aggregated = "A role with the annotation iam.kubesphere.io/aggregation-roles, a JSON list of names, gets the rules of these templates. " +
		"Nobody gives rights they do not have in the same place."
	return []route.Route{
		{
			Method: http.MethodGet, Path: all, ID: "list" + k.id + "s", Summary: "List each " + k.title, Parameters: with(paging()...),
			Responses: []route.Response{{Code: http.StatusOK, Description: "The page.", Model: List{}}}, Handler: h.list(k),
		},
		{
			Method: http.MethodPost, Path: all, ID: "create" + k.id, Summary: "Create a " + k.title, Description: aggregated, Parameters: with(),
			Body: k.model, Responses: []route.Response{role}, Handler: h.create(k),
		},
		{
			Method: http.MethodGet, Path: one, ID: "get" + k.id, Summary: "Get a " + k.title, Parameters: with(name),
			Responses: []route.Response{role}, Handler: h.get(k),
		},
		{
			Method: http.MethodPut, Path: one, ID: "update" + k.id, Summary: "Replace a " + k.title, Description: aggregated, Parameters: with(name),
			Body: k.model, Responses: []route.Response{role}, Handler: h.update(k),
		},
		{
			Method: http.MethodPatch, Path: one, ID: "patch" + k.id, Summary: "Change a " + k.title, Description: aggregated, Parameters: with(name),
			Consumes: []string{"application/merge-patch+json", "application/json-patch+json", "application/json"},
			Body:     route.Object{}, Responses: []route.Response{role}, Handler: h.patch(k),
		},
		{
			Method: http.MethodDelete, Path: one, ID: "delete" + k.id, Summary: "Delete a " + k.title, Parameters: with(name),
			Responses: []route.Response{done}, Handler: h.remove(k),
		},
	}
}

// belowDevOps is where the roles of DevOps projects are, which are those of
// their namespaces.
const belowDevOps = "/devops/{devops}"

// devOpsRoutes are the operations on roles of namespaces, for those of DevOps
// projects.
func (h *Handler) devOpsRoutes() []route.Route {
	k := kinds()[3]
	k.below, k.title, k.id = belowDevOps, "role of a DevOps project", "DevOpsRole"
	routes := append(h.roleRoutes(k), h.templates("/devops/{devops}/members/{member}/roles", "listDevOpsMemberRoles", "member", k))
	for n := range routes {
		routes[n].Handler = request.InProject(routes[n].Handler)
	}
	return routes
}

func (h *Handler) templates(path, id, parameter string, k kind) route.Route {
	return route.Route{
		Method: http.MethodGet, Path: path, ID: id, Summary: "List the templates the roles of somebody are made of",
		Description: "The console draws its menus from their annotation iam.kubesphere.io/role-template-rules. A role that is made of no templates stands for itself.",
		Parameters:  append(k.above(), inPath(parameter, "Name of the user.")),
		Responses:   []route.Response{{Code: http.StatusOK, Description: "The templates.", Model: []route.Object{}}}, Handler: h.templatesOf(k, parameter),
	}
}

func (h *Handler) templateRoutes() []route.Route {
	k := kinds()
	return []route.Route{
		h.templates("/users/{user}/globalroles", "listUserGlobalRoles", "user", k[0]),
		h.templates("/clustermembers/{clustermember}/clusterroles", "listClusterMemberRoles", "clustermember", k[1]),
		h.templates("/workspaces/{workspace}/workspacemembers/{workspacemember}/workspaceroles", "listWorkspaceMemberRoles", "workspacemember", k[2]),
		h.templates("/namespaces/{namespace}/members/{member}/roles", "listNamespaceMemberRoles", "member", k[3]),
	}
}

func (h *Handler) bindingRoutes() []route.Route {
	workspaceRole, role := kinds()[2], kinds()[3]
	workspace := inPath("workspace", "Name of the workspace.")
	name := inPath("rolebinding", "Name of the binding.")
	done := []route.Response{{Code: http.StatusOK, Description: "It is deleted.", Model: Message{}}}
	page := []route.Response{{Code: http.StatusOK, Description: "The page.", Model: List{}}}
	const given = "Creates the bindings of the list. Each gives a role the caller has all the rights of, or may bind."
	return []route.Route{
		{
			Method: http.MethodPost, Path: "/namespaces/{namespace}/rolebindings", ID: "createRoleBindings", Summary: "Give roles of a namespace", Description: given,
			Parameters: role.above(), Body: []rbacv1.RoleBinding{},
			Responses: []route.Response{{Code: http.StatusOK, Description: "The bindings.", Model: []rbacv1.RoleBinding{}}}, Handler: h.bind(role),
		},
		{
			Method: http.MethodDelete, Path: "/namespaces/{namespace}/rolebindings/{rolebinding}", ID: "deleteRoleBinding", Summary: "Delete a binding in a namespace",
			Parameters: append(role.above(), name), Responses: done, Handler: h.unbind(role),
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/rolebindings", ID: "listWorkspaceNamespacesRoleBindings", Summary: "List the bindings in all namespaces of a workspace",
			Parameters: append([]route.Parameter{workspace}, paging()...), Responses: page, Handler: h.listBindings(role),
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/workspacerolebindings", ID: "listWorkspaceRoleBindings", Summary: "List the bindings of workspace roles",
			Parameters: append([]route.Parameter{workspace}, paging()...), Responses: page, Handler: h.listBindings(workspaceRole),
		},
		{
			Method: http.MethodPost, Path: "/workspaces/{workspace}/workspacerolebindings", ID: "createWorkspaceRoleBindings", Summary: "Give workspace roles", Description: given,
			Parameters: []route.Parameter{workspace}, Body: []iamv1alpha2.WorkspaceRoleBinding{},
			Responses: []route.Response{{Code: http.StatusOK, Description: "The bindings.", Model: []iamv1alpha2.WorkspaceRoleBinding{}}}, Handler: h.bind(workspaceRole),
		},
		{
			Method: http.MethodDelete, Path: "/workspaces/{workspace}/workspacerolebindings/{rolebinding}", ID: "deleteWorkspaceRoleBinding", Summary: "Delete the binding of a workspace role",
			Parameters: []route.Parameter{workspace, name}, Responses: done, Handler: h.unbind(workspaceRole),
		},
	}
}

func (h *Handler) reviewRoutes() []route.Route {
	return []route.Route{
		{
			Method: http.MethodPost, Path: "/accessreviews", ID: "reviewAccess", Summary: "Ask whether somebody may do something", Body: AccessReview{},
			Description: "Answers by roles, without what everybody may do with the own account.",
			Responses:   []route.Response{{Code: http.StatusOK, Description: "The question with its answer.", Model: AccessReview{}}}, Handler: h.accessReview,
		},
		{
			Method: http.MethodPost, Path: "/rulesreview", ID: "reviewRules", Summary: "List what somebody may do", Body: RulesReview{},
			Responses: []route.Response{{Code: http.StatusOK, Description: "The question with the rules.", Model: RulesReview{}}}, Handler: h.rulesReview,
		},
	}
}
