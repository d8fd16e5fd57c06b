package tenant

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"

	clusterv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/cluster/v1alpha1"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Pages of lists.
type (
	// WorkspaceTemplateList is a page of workspace templates.
	WorkspaceTemplateList struct {
		Items      []tenantv1alpha2.WorkspaceTemplate `json:"items" description:"The templates of the page."`
		TotalItems int                                `json:"totalItems" description:"The number of templates that match, on all pages."`
	}
	// WorkspaceList is a page of workspaces.
	WorkspaceList struct {
		Items      []tenantv1alpha1.Workspace `json:"items" description:"The workspaces of the page."`
		TotalItems int                        `json:"totalItems" description:"The number of workspaces that match, on all pages."`
	}
	// NamespaceList is a page of namespaces.
	NamespaceList struct {
		Items      []corev1.Namespace `json:"items" description:"The namespaces of the page."`
		TotalItems int                `json:"totalItems" description:"The number of namespaces that match, on all pages."`
	}
	// ClusterList is a page of clusters.
	ClusterList struct {
		Items      []clusterv1alpha1.Cluster `json:"items" description:"The clusters of the page."`
		TotalItems int                       `json:"totalItems" description:"The number of clusters that match, on all pages."`
	}
)

// patches are the media types of patches.
func patches() []string {
	return []string{"application/json", "application/merge-patch+json", "application/json-patch+json"}
}

func inPath(name, description string) route.Parameter {
	return route.Parameter{In: route.InPath, Name: name, Required: true, Description: description}
}

func answer(model any, description string) []route.Response {
	return []route.Response{{Code: http.StatusOK, Description: description, Model: model}}
}

func paging(more ...route.Parameter) []route.Parameter {
	return append(more[:len(more):len(more)],
		route.Parameter{In: route.InQuery, Name: query.Page, Type: "integer", Description: "Number of the page, from 1."},
		route.Parameter{In: route.InQuery, Name: query.Limit, Type: "integer", Description: "Objects per page; -1, the default, for all."},
		route.Parameter{In: route.InQuery, Name: query.SortBy, Description: "Sort key: name or createTime, the default."},
		route.Parameter{In: route.InQuery, Name: query.Ascending, Type: "boolean", Description: "Ascending instead of descending order."},
		route.Parameter{In: route.InQuery, Name: query.LabelSelector, Description: "Label selector in Kubernetes' syntax."},
		route.Parameter{In: route.InQuery, Name: "name", Description: "Part of the name."},
		route.Parameter{In: route.InQuery, Name: query.Pretty, Type: "boolean", Description: "Indent the answer."},
	)
}

// Groups declares the operations.
func (h *Handler) Groups() []route.Group {
	two := append(h.workspaceRoutes("/workspaces", "Workspace"), h.projectRoutes()...)
	two = append(two, h.quotaRoutes()...)
	two = append(two, h.devOpsRoutes()...)
	three := append(h.workspaceRoutes("/workspacetemplates", "WorkspaceTemplate"), h.readRoutes()...)
	const tag, description = "Workspaces", "Workspaces, projects and quotas."
	groups := []route.Group{
		{Prefix: "/kapis/tenant.kubesphere.io/v1alpha2", Tag: tag, Description: description, Routes: two},
		{Prefix: "/kapis/tenant.kubesphere.io/v1alpha3", Tag: tag, Description: description, Routes: three},
	}
	for g := range groups {
		for n := range groups[g].Routes {
			groups[g].Routes[n].Handler = handler(groups[g].Routes[n].Handler)
		}
	}
	return groups
}

// workspaceRoutes are the operations on templates of workspaces, which version
// v1alpha2 calls workspaces.
func (h *Handler) workspaceRoutes(path, id string) []route.Route {
	workspace := inPath("workspace", "Name of the workspace.")
	one, template := path+"/{workspace}", answer(tenantv1alpha2.WorkspaceTemplate{}, "The template of the workspace.")
	return []route.Route{
		{
			Method: http.MethodGet, Path: path, ID: "list" + id + "s", Summary: "List workspaces",
			Description: "Lists the templates of the workspaces the caller has a role in.",
			Parameters:  paging(), Responses: answer(WorkspaceTemplateList{}, "The page."), Handler: h.listWorkspaces("workspacetemplates"),
		},
		{
			Method: http.MethodPost, Path: path, ID: "create" + id, Summary: "Create a workspace",
			Description: "Creates a workspace with its roles and the binding of its manager: the one in the template, or who creates it.",
			Body:        tenantv1alpha2.WorkspaceTemplate{}, Responses: template, Handler: h.createWorkspace,
		},
		{
			Method: http.MethodGet, Path: one, ID: "get" + id, Summary: "Get a workspace",
			Parameters: []route.Parameter{workspace}, Responses: template, Handler: h.getWorkspace("workspacetemplates"),
		},
		{
			Method: http.MethodPut, Path: one, ID: "update" + id, Summary: "Change a workspace",
			Description: "Naming another manager takes the rights of one.",
			Parameters:  []route.Parameter{workspace}, Body: tenantv1alpha2.WorkspaceTemplate{}, Responses: template, Handler: h.updateWorkspace,
		},
		{
			Method: http.MethodPatch, Path: one, ID: "patch" + id, Summary: "Patch a workspace", Consumes: patches(),
			Parameters: []route.Parameter{workspace}, Body: tenantv1alpha2.WorkspaceTemplate{}, Responses: template, Handler: h.patchWorkspace,
		},
		{
			Method: http.MethodDelete, Path: one, ID: "delete" + id, Summary: "Delete a workspace",
			Description: "Deletes a workspace with its namespaces. With the propagation policy Orphan, in the query or in DeleteOptions in the body, they stay and belong to no workspace.",
			Parameters: []route.Parameter{workspace, {In: route.InQuery, Name: "propagationPolicy", Description: "What becomes of the namespaces.",
				Values: []string{"Orphan", "Background", "Foreground"}}},
			Responses: answer(route.Message{}, "The workspace is deleted."), Handler: h.deleteWorkspace,
		},
	}
}

func (h *Handler) projectRoutes() []route.Route {
	workspace, namespace := inPath("workspace", "Name of the workspace."), inPath("namespace", "Name of the namespace.")
	member := inPath("workspacemember", "Name of the member.")
	one, project := "/workspaces/{workspace}/namespaces/{namespace}", answer(corev1.Namespace{}, "The namespace.")
	page := answer(NamespaceList{}, "The page.")
	clusters := answer(ClusterList{}, "The page.")
	objects := answer(NamespaceList{}, "The page.")
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/namespaces", ID: "listTenantNamespaces", Summary: "List the namespaces the caller may see",
			Parameters: paging(), Responses: page, Handler: h.listNamespaces,
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/namespaces", ID: "listWorkspaceNamespaces", Summary: "List the namespaces of a workspace the caller may see",
			Parameters: paging(workspace), Responses: page, Handler: h.listNamespaces,
		},
		{
			Method: http.MethodPost, Path: "/workspaces/{workspace}/namespaces", ID: "createWorkspaceNamespace", Summary: "Create a namespace in a workspace",
			Description: "Creates a namespace with its roles. Who creates it administers it.",
			Parameters:  []route.Parameter{workspace}, Body: corev1.Namespace{}, Responses: project, Handler: h.createNamespace,
		},
		{
			Method: http.MethodGet, Path: one, ID: "getWorkspaceNamespace", Summary: "Get a namespace of a workspace",
			Parameters: []route.Parameter{workspace, namespace}, Responses: project, Handler: h.getNamespace,
		},
		{
			Method: http.MethodPut, Path: one, ID: "updateWorkspaceNamespace", Summary: "Change a namespace of a workspace",
			Description: "Replaces labels and annotations. Another workspace in the label kubesphere.io/workspace moves it there, which takes the right to create namespaces there and to delete them here.",
			Parameters:  []route.Parameter{workspace, namespace}, Body: corev1.Namespace{}, Responses: project, Handler: h.updateNamespace,
		},
		{
			Method: http.MethodPatch, Path: one, ID: "patchWorkspaceNamespace", Summary: "Patch a namespace of a workspace", Consumes: patches(),
			Parameters: []route.Parameter{workspace, namespace}, Body: corev1.Namespace{}, Responses: project, Handler: h.patchNamespace,
		},
		{
			Method: http.MethodDelete, Path: one, ID: "deleteWorkspaceNamespace", Summary: "Delete a namespace of a workspace",
			Parameters: []route.Parameter{workspace, namespace}, Responses: answer(route.Message{}, "The namespace is being deleted."), Handler: h.deleteNamespace,
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/workspacemembers/{workspacemember}/namespaces", ID: "listMemberNamespaces", Summary: "List the namespaces of a workspace a member may see",
			Parameters: paging(workspace, member), Responses: page, Handler: h.listMemberNamespaces,
		},
		{
			Method: http.MethodGet, Path: "/clusters", ID: "listTenantClusters", Summary: "List the clusters of the caller's workspaces",
			Parameters: paging(), Responses: clusters, Handler: h.listClusters,
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/clusters", ID: "listWorkspaceClusters", Summary: "List the clusters of a workspace",
			Parameters: paging(workspace), Responses: clusters, Handler: h.listWorkspaceClusters,
		},
		{
			Method: http.MethodGet, Path: "/federatednamespaces", ID: "listFederatedNamespaces", Summary: "List the federated namespaces the caller may see",
			Description: "404 where the type is not installed.",
			Parameters:  paging(), Responses: objects, Handler: h.listOfWorkspace("federatednamespaces"),
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/federatednamespaces", ID: "listWorkspaceFederatedNamespaces", Summary: "List the federated namespaces of a workspace",
			Description: "404 where the type is not installed.",
			Parameters:  paging(workspace), Responses: objects, Handler: h.listOfWorkspace("federatednamespaces"),
		},
	}
}

func (h *Handler) quotaRoutes() []route.Route {
	workspace, name := inPath("workspace", "Name of the workspace."), inPath("resourcequota", "Name of the quota.")
	path := "/workspaces/{workspace}/resourcequotas"
	quota := answer(quotav1alpha2.ResourceQuota{}, "The quota.")
	return []route.Route{
		{
			Method: http.MethodPost, Path: path, ID: "createWorkspaceQuota", Summary: "Limit what a workspace uses",
			Description: "Limits what all namespaces of the workspace use together.",
			Parameters:  []route.Parameter{workspace}, Body: quotav1alpha2.ResourceQuota{}, Responses: quota, Handler: h.createQuota,
		},
		{
			Method: http.MethodGet, Path: path + "/{resourcequota}", ID: "getWorkspaceQuota", Summary: "Get a quota of a workspace, with what is used",
			Parameters: []route.Parameter{workspace, name}, Responses: quota, Handler: h.getQuota,
		},
		{
			Method: http.MethodPut, Path: path + "/{resourcequota}", ID: "updateWorkspaceQuota", Summary: "Change a quota of a workspace",
			Parameters: []route.Parameter{workspace, name}, Body: quotav1alpha2.ResourceQuota{}, Responses: quota, Handler: h.updateQuota,
		},
		{
			Method: http.MethodDelete, Path: path + "/{resourcequota}", ID: "deleteWorkspaceQuota", Summary: "Delete a quota of a workspace",
			Parameters: []route.Parameter{workspace, name}, Responses: answer(route.Message{}, "The quota is deleted."), Handler: h.deleteQuota,
		},
	}
}

// readRoutes are the workspaces as such, which follow their templates.
func (h *Handler) readRoutes() []route.Route {
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/workspaces", ID: "listPlainWorkspaces", Summary: "List workspaces as they are in this cluster",
			Parameters: paging(), Responses: answer(WorkspaceList{}, "The page."), Handler: h.listWorkspaces("workspaces"),
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}", ID: "getPlainWorkspace", Summary: "Get a workspace as it is in this cluster",
			Parameters: []route.Parameter{inPath("workspace", "Name of the workspace.")}, Responses: answer(tenantv1alpha1.Workspace{}, "The workspace."),
			Handler: h.getWorkspace("workspaces"),
		},
	}
}
