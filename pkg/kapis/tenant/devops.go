package tenant

import (
	"context"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// devOpsProjects is the type of DevOps projects, which another service defines.
const devOpsProjects = "devopsprojects.devops.kubesphere.io"

// DevOpsProjectList is a page of DevOps projects.
type DevOpsProjectList struct {
	Items      []route.Object `json:"items" description:"The DevOps projects of the page."`
	TotalItems int            `json:"totalItems" description:"The number of DevOps projects that match, on all pages."`
}

// Prices are what the use of resources costs.
type Prices struct {
	RetentionDay                             string  `json:"retention_day" description:"How long measurements are kept, such as 7d."`
	Currency                                 string  `json:"currency" description:"The currency, empty when nothing costs anything."`
	CPUPerCorePerHour                        float64 `json:"cpu_per_core_per_hour"`
	MemPerGigabytesPerHour                   float64 `json:"mem_per_gigabytes_per_hour"`
	IngressNetworkTrafficPerMegabytesPerHour float64 `json:"ingress_network_traffic_per_megabytes_per_hour"`
	EgressNetworkTrafficPerMegabytesPerHour  float64 `json:"egress_network_traffic_per_megabytes_per_hour"`
	PVCPerGigabytesPerHour                   float64 `json:"pvc_per_gigabytes_per_hour"`
}

func (h *Handler) devOpsRoutes() []route.Route {
	workspace, page := inPath("workspace", "Name of the workspace."), answer(DevOpsProjectList{}, "The page.")
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/devops", ID: "listWorkspaceDevOpsProjects",
			Summary: "List the DevOps projects of a workspace the caller may see", Description: "An empty list where the type is not installed.",
			Parameters: paging(workspace), Responses: page, Handler: h.listDevOps,
		},
		{
			Method: http.MethodGet, Path: "/workspaces/{workspace}/workspacemembers/{workspacemember}/devops", ID: "listMemberDevOpsProjects",
			Summary: "List the DevOps projects of a workspace a member may see", Description: "An empty list where the type is not installed.",
			Parameters: paging(workspace, inPath("workspacemember", "Name of the member.")), Responses: page, Handler: h.listMemberDevOps,
		},
		{
			Method: http.MethodGet, Path: "/metering/price", ID: "getPrices", Summary: "What the use of resources costs",
			Description: "The prices of the configuration, 0 for what has none. Who is logged in may ask.",
			Responses:   answer(Prices{}, "The prices."), Handler: h.prices,
		},
	}
}

// listDevOps lists the DevOps projects of a workspace the caller may see.
func (h *Handler) listDevOps(w http.ResponseWriter, r *http.Request) error {
	return h.devOpsOf(w, r, caller(r))
}

// listMemberDevOps lists the DevOps projects of a workspace a member may see.
func (h *Handler) listMemberDevOps(w http.ResponseWriter, r *http.Request) error {
	account, found, err := h.Directory.Account(r.Context(), r.PathValue("workspacemember"))
	if err != nil {
		return err
	}
	if !found {
		return status.NotFound("user %q not found", r.PathValue("workspacemember"))
	}
	return h.devOpsOf(w, r, &user.DefaultInfo{Name: account.Name, Groups: append(account.Groups, user.AllAuthenticated)})
}

func (h *Handler) devOpsOf(w http.ResponseWriter, r *http.Request, who user.Info) error {
	kind, err := h.Types.Type(r.Context(), devOpsProjects)
	if apierrors.IsNotFound(err) {
		return route.WriteList(w, r, route.List{}, false)
	}
	if err != nil {
		return err
	}
	visible, err := h.visibleDevOps(r.Context(), who, r.PathValue("workspace"), authz.Action{Verb: "list", Group: kind.Group, Resource: kind.Resource})
	if err != nil {
		return err
	}
	return h.list(w, r, kind, visible, of(r))
}

// visibleDevOps are the DevOps projects of a workspace somebody may see: all,
// with the right to list them in the workspace, else those in whose namespaces
// they have it.
func (h *Handler) visibleDevOps(ctx context.Context, who user.Info, workspace string, action authz.Action) (authz.Visible, error) {
	decision, _, err := h.Rights.Authorize(ctx, &authz.Attributes{
		Scope: authz.Scope{Workspace: workspace},
		AttributesRecord: authorizer.AttributesRecord{
			User: who, Verb: action.Verb, APIGroup: action.Group, Resource: action.Resource, ResourceRequest: true,
		},
	})
	if err != nil || decision == authorizer.DecisionAllow {
		return authz.Visible{All: err == nil}, err
	}
	namespaces, err := h.Rights.VisibleNamespaces(ctx, who, action)
	if err != nil {
		return authz.Visible{}, err
	}
	names, err := h.Directory.DevOpsProjects(ctx, namespaces.Has)
	return authz.Visible{Names: sets.New(names...)}, err
}

func (h *Handler) prices(w http.ResponseWriter, _ *http.Request) error {
	configured := h.Prices.Billing.PriceInfo
	status.WriteJSON(w, http.StatusOK, Prices{
		RetentionDay: h.Prices.RetentionDay, Currency: configured.CurrencyUnit,
		CPUPerCorePerHour: configured.CPUPerCorePerHour, MemPerGigabytesPerHour: configured.MemPerGigabytesPerHour,
		IngressNetworkTrafficPerMegabytesPerHour: configured.IngressNetworkTrafficPerMegabytesPerHour,
		EgressNetworkTrafficPerMegabytesPerHour:  configured.EgressNetworkTrafficPerMegabytesPerHour,
		PVCPerGigabytesPerHour:                   configured.PVCPerGigabytesPerHour,
	})
	return nil
}
