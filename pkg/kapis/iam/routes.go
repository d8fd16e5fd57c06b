package iam

import (
	"net/http"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

const prefix = "/kapis/iam.kubesphere.io/v1alpha2"

// UserList, LoginRecordList, GroupList and GroupBindingList are pages of lists.
type (
	// UserList is a page of users.
	UserList struct {
		Items      []iamv1alpha2.User `json:"items" description:"The users of the page."`
		TotalItems int                `json:"totalItems" description:"The number of users that match, on all pages."`
	}
	// LoginRecordList is a page of login records.
	LoginRecordList struct {
		Items      []iamv1alpha2.LoginRecord `json:"items" description:"The records of the page."`
		TotalItems int                       `json:"totalItems" description:"The number of records that match, on all pages."`
	}
	// GroupList is a page of groups.
	GroupList struct {
		Items      []iamv1alpha2.Group `json:"items" description:"The groups of the page."`
		TotalItems int                 `json:"totalItems" description:"The number of groups that match, on all pages."`
	}
	// GroupBindingList is a page of memberships.
	GroupBindingList struct {
		Items      []iamv1alpha2.GroupBinding `json:"items" description:"The memberships of the page."`
		TotalItems int                        `json:"totalItems" description:"The number of memberships that match, on all pages."`
	}
)

func inPath(name, description string) route.Parameter {
	return route.Parameter{In: route.InPath, Name: name, Required: true, Description: description}
}

func answer(model any, description string) []route.Response {
	return []route.Response{{Code: http.StatusOK, Description: description, Model: model}}
}

// paging are the parameters of lists, and further ones.
func paging(more ...route.Parameter) []route.Parameter {
	return append([]route.Parameter{
		{In: route.InQuery, Name: query.Page, Type: "integer", Description: "Number of the page, from 1."},
		{In: route.InQuery, Name: query.Limit, Type: "integer", Description: "Objects per page; -1, the default, for all."},
		{In: route.InQuery, Name: query.SortBy, Description: "Sort key: name or createTime, the default."},
		{In: route.InQuery, Name: query.Ascending, Type: "boolean", Description: "Ascending instead of descending order."},
		{In: route.InQuery, Name: query.LabelSelector, Description: "Label selector in Kubernetes' syntax."},
		{In: route.InQuery, Name: "name", Description: "Part of the name."},
		{In: route.InQuery, Name: query.Pretty, Type: "boolean", Description: "Indent the answer."},
	}, more...)
}

// Group declares the operations.
func (h *Handler) Group() route.Group {
	routes := append(h.userRoutes(), h.credentialRoutes()...)
	routes = append(routes, h.identityRoutes()...)
	routes = append(routes, h.membershipRoutes(inPath("user", "Name of the user."))...)
	routes = append(routes, h.groupRoutes()...)
	for _, scope := range h.scopes() {
		routes = append(routes, scope.routes()...)
	}
	for n := range routes {
		routes[n].Handler = handler(routes[n].Handler)
	}
	return route.Group{Prefix: prefix, Tag: "Accounts", Description: "Users, groups and members.", Routes: routes}
}

func (h *Handler) userRoutes() []route.Route {
	name := inPath("user", "Name of the user.")
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/users", ID: "listUsers", Summary: "List users",
			Description: "Lists users with their global roles in the annotation iam.kubesphere.io/globalrole, never with passwords.",
			Parameters: paging(
				route.Parameter{In: route.InQuery, Name: "email", Description: "The whole e-mail address."},
				route.Parameter{In: route.InQuery, Name: "globalrole", Description: "Name of the global role."},
				route.Parameter{In: route.InQuery, Name: "ingroup", Description: "Name of a group they are in."},
				route.Parameter{In: route.InQuery, Name: "notingroup", Description: "Name of a group they are not in."},
			),
			Responses: answer(UserList{}, "The page."), Handler: h.listUsers,
		},
		{
			Method: http.MethodPost, Path: "/users", ID: "createUser", Summary: "Create a user",
			Description: "Creates a user who can log in at once. The annotation iam.kubesphere.io/globalrole names the global role, which the caller must have all rights of. The password is hashed and never shown. Memberships in groups are group bindings. Somebody an identity provider knows, with the token he gets there, creates his own account so: name, address and what describes him are his to choose.",
			Parameters:  []route.Parameter{confirmation()}, Body: iamv1alpha2.User{}, Responses: answer(iamv1alpha2.User{}, "The user."), Handler: h.createUser,
		},
		{
			Method: http.MethodGet, Path: "/users/{user}", ID: "getUser", Summary: "Get a user",
			Parameters: []route.Parameter{name}, Responses: answer(iamv1alpha2.User{}, "The user."), Handler: h.getUser,
		},
		{
			Method: http.MethodPut, Path: "/users/{user}", ID: "updateUser", Summary: "Change a user",
			Description: "Replaces a user but for password and memberships. status.state disables (Disabled) and enables (Active). Users may change their own e-mail address, names, description and language.",
			Parameters:  []route.Parameter{name}, Body: iamv1alpha2.User{}, Responses: answer(iamv1alpha2.User{}, "The user."), Handler: h.updateUser,
		},
		{
			Method: http.MethodDelete, Path: "/users/{user}", ID: "deleteUser", Summary: "Delete a user",
			Description: "Deletes a user with roles, memberships, sessions and login records.",
			Parameters:  []route.Parameter{name}, Responses: answer(route.Message{}, "The user is deleted."), Handler: h.deleteUser,
		},
		{
			Method: http.MethodPut, Path: "/users/{user}/password", ID: "changePassword", Summary: "Change the password of a user",
			Description: "Changes a password and ends the sessions of the user, but the one it is changed in.",
			Parameters:  []route.Parameter{name}, Body: PasswordChange{}, Responses: answer(route.Message{}, "The password is changed."), Handler: h.changePassword,
		},
		{
			Method: http.MethodGet, Path: "/users/{user}/loginrecords", ID: "listLoginRecords", Summary: "List the logins of a user",
			Parameters: paging(name), Responses: answer(LoginRecordList{}, "The page."), Handler: h.listLoginRecords,
		},
	}
}

func (h *Handler) groupRoutes() []route.Route {
	workspace, group := inPath("workspace", "Name of the workspace."), inPath("group", "Name of the group.")
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/groups", ID: "listGroups", Summary: "List the groups of a workspace",
			Parameters: paging(workspace), Responses: answer(GroupList{}, "The page."), Handler: h.inWorkspace("groups"),
		},
		{
			Method: http.MethodPost, Path: "/workspaces/{workspace}/groups", ID: "createGroup", Summary: "Create a group in a workspace",
			Description: "The label iam.kubesphere.io/group-parent names the group it is below; root is none.",
			Parameters:  []route.Parameter{workspace, confirmation()}, Body: iamv1alpha2.Group{}, Responses: answer(iamv1alpha2.Group{}, "The group."), Handler: h.createGroup,
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/groups/{group}", ID: "getGroup", Summary: "Get a group of a workspace",
			Parameters: []route.Parameter{workspace, group}, Responses: answer(iamv1alpha2.Group{}, "The group."), Handler: h.getGroup,
		},
		{
			Method: http.MethodPut, Path: "/workspaces/{workspace}/groups/{group}", ID: "updateGroup", Summary: "Change a group of a workspace",
			Parameters: []route.Parameter{workspace, group}, Body: iamv1alpha2.Group{}, Responses: answer(iamv1alpha2.Group{}, "The group."), Handler: h.updateGroup,
		},
		{
			Method: http.MethodPatch, Path: "/workspaces/{workspace}/groups/{group}", ID: "patchGroup", Summary: "Patch a group of a workspace",
			Consumes:   []string{"application/json", "application/merge-patch+json", "application/json-patch+json"},
			Parameters: []route.Parameter{workspace, group}, Body: iamv1alpha2.Group{}, Responses: answer(iamv1alpha2.Group{}, "The group."), Handler: h.patchGroup,
		},
		{
			Method: http.MethodDelete, Path: "/workspaces/{workspace}/groups/{group}", ID: "deleteGroup", Summary: "Delete a group of a workspace",
			Description: "Deletes a group with its memberships, its roles and the groups below it.",
			Parameters:  []route.Parameter{workspace, group}, Responses: answer(route.Message{}, "The group is deleted."), Handler: h.deleteGroup,
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/groupbindings", ID: "listGroupBindings", Summary: "List the memberships in groups of a workspace",
			Parameters: paging(workspace, route.Parameter{In: route.InQuery, Name: "user", Description: "Name of a member."}),
			Responses:  answer(GroupBindingList{}, "The page."), Handler: h.inWorkspace("groupbindings"),
		},
		{
			Method: http.MethodPost, Path: "/workspaces/{workspace}/groupbindings", ID: "createGroupBindings", Summary: "Put users into groups of a workspace",
			Description: "The caller must have all rights the roles of the groups give.",
			Parameters:  []route.Parameter{workspace}, Body: []GroupMember{}, Responses: answer([]iamv1alpha2.GroupBinding{}, "The memberships."), Handler: h.createGroupBindings,
		},
		{
			Method: http.MethodDelete, Path: "/workspaces/{workspace}/groupbindings/{groupbinding}", ID: "deleteGroupBinding", Summary: "Take users out of a group of a workspace",
			Parameters: []route.Parameter{workspace, inPath("groupbinding", "Name of the membership.")}, Responses: answer(route.Message{}, "The membership is deleted."), Handler: h.deleteGroupBinding,
		},
	}
}

// scope is one kind of place with its paths and the names of its operations.
type scope struct {
	members
	path, one, many, what string
	parameters            []route.Parameter
	// in places requests where their handler looks; nil for where they are.
	in func(func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error
}

func (h *Handler) scopes() []scope {
	return []scope{
		{
			members: members{
				Handler: h, place: func(*http.Request) iam.Place { return iam.Place{Cluster: true} },
				resource: "clustermembers", parameter: "clustermember", annotation: iamv1alpha2.AnnotationClusterRole,
			},
			path: "/clustermembers", one: "ClusterMember", many: "ClusterMembers", what: "the cluster",
		},
		{
			members: members{
				Handler: h, place: func(r *http.Request) iam.Place { return iam.Place{Workspace: r.PathValue("workspace")} },
				resource: "workspacemembers", parameter: "workspacemember", annotation: iamv1alpha2.AnnotationWorkspaceRole,
			},
			path: "/workspaces/{workspace}/workspacemembers", one: "WorkspaceMember", many: "WorkspaceMembers", what: "a workspace",
			parameters: []route.Parameter{inPath("workspace", "Name of the workspace.")},
		},
		{
			members: members{
				Handler: h, place: func(r *http.Request) iam.Place { return iam.Place{Namespace: r.PathValue("namespace")} },
				resource: "members", parameter: "member", annotation: iamv1alpha2.AnnotationRole,
			},
			path: "/namespaces/{namespace}/members", one: "NamespaceMember", many: "NamespaceMembers", what: "a project",
			parameters: []route.Parameter{inPath("namespace", "Name of the namespace.")},
		},
		{
			members: members{
				Handler: h, place: func(r *http.Request) iam.Place { return iam.Place{Namespace: r.PathValue("namespace")} },
				resource: "members", parameter: "member", annotation: iamv1alpha2.AnnotationRole,
			},
			path: "/devops/{devops}/members", one: "DevOpsMember", many: "DevOpsMembers", what: "a DevOps project",
			parameters: []route.Parameter{inPath("devops", "Name of the DevOps project.")}, in: request.InProject,
		},
	}
}

func (s *scope) routes() []route.Route {
	single := s.path + "/{" + s.parameter + "}"
	named := append(s.parameters[:len(s.parameters):len(s.parameters)], inPath(s.parameter, "Name of the user."))
	m := &s.members
	routes := []route.Route{
		{
			Method: http.MethodGet, Path: s.path, ID: "list" + s.many, Summary: "List the members of " + s.what,
			Description: "Lists users with their role in the annotation " + s.annotation + ".",
			Parameters:  paging(s.parameters...), Responses: answer(UserList{}, "The page."), Handler: m.list,
		},
		{
			Method: http.MethodPost, Path: s.path, ID: "create" + s.many, Summary: "Make users members of " + s.what,
			Description: "Gives each user a role, instead of the one he has. The caller must have all rights of the roles.",
			Parameters:  s.parameters, Body: []Member{}, Responses: answer([]Member{}, "The members."), Handler: m.add,
		},
		{
			Method: http.MethodGet, Path: single, ID: "get" + s.one, Summary: "Get a member of " + s.what,
			Parameters: named, Responses: answer(iamv1alpha2.User{}, "The user."), Handler: m.get,
		},
		{
			Method: http.MethodPut, Path: single, ID: "update" + s.one, Summary: "Change the role of a member of " + s.what,
			Parameters: named, Body: Member{}, Responses: answer(Member{}, "The member."), Handler: m.update,
		},
		{
			Method: http.MethodDelete, Path: single, ID: "delete" + s.one, Summary: "Take a member out of " + s.what,
			Parameters: named, Responses: answer(route.Message{}, "The user is no member any more."), Handler: m.remove,
		},
	}
	if s.in != nil {
		for n := range routes {
			routes[n].Handler = s.in(routes[n].Handler)
		}
	}
	return routes
}
