package gateways

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

const (
	tag         = "Gateways"
	description = "The gateways of projects, of which a controller makes ingress controllers."
)

// Groups declare the operations.
func (h *Handler) Groups() []route.Group {
	namespace := route.Parameter{In: route.InPath, Name: "namespace", Required: true, Description: "Name of the namespace the gateway is for; kubesphere-system for the one of the cluster."}
	name := route.Parameter{In: route.InPath, Name: "gateway", Required: true, Description: "Name of the gateway."}
	gateway := []route.Response{{Code: http.StatusOK, Description: "The gateway.", Model: route.Object{}}}
	service := []route.Response{{Code: http.StatusOK, Description: "The service.", Model: corev1.Service{}}}
	of, named := []route.Parameter{namespace}, []route.Parameter{namespace, name}
	const at, one, router = "/namespaces/{namespace}/gateways", "/namespaces/{namespace}/gateways/{gateway}", "/namespaces/{namespace}/router"
	return []route.Group{
		{
			Prefix: "/kapis/gateway.kubesphere.io/v1alpha1", Tag: tag, Description: description,
			Routes: []route.Route{
				{
					Method: http.MethodGet, Path: "/gateways", ID: "listGateways", Summary: "List the gateways of all projects",
					Parameters: []route.Parameter{
						{In: route.InQuery, Name: "name", Description: "A part of the name."},
						{In: route.InQuery, Name: query.Page, Type: "integer", Description: "Number of the page, from 1."},
						{In: route.InQuery, Name: query.Limit, Type: "integer", Description: "Objects per page; all without."},
					},
					Responses: []route.Response{{Code: http.StatusOK, Description: "The page.", Model: List{}}}, Handler: h.list,
				},
				{
					Method: http.MethodGet, Path: at, ID: "getGateways", Summary: "Get the gateways a project has", Parameters: of,
					Description: "That of the cluster and its own. The status has the ports of the service and its load balancer.",
					Responses:   []route.Response{{Code: http.StatusOK, Description: "The gateways.", Model: []route.Object{}}}, Handler: h.get,
				},
				{Method: http.MethodPost, Path: at, ID: "createGateway", Summary: "Create the gateway of a project", Parameters: of, Body: route.Object{}, Responses: gateway, Handler: h.create},
				{Method: http.MethodPut, Path: at, ID: "updateGateway", Summary: "Change the gateway of a project", Parameters: of, Body: route.Object{}, Responses: gateway, Handler: h.update},
				{
					Method: http.MethodDelete, Path: at, ID: "deleteGateway", Summary: "Delete the gateway of a project", Parameters: of,
					Responses: []route.Response{{Code: http.StatusOK, Description: "It is deleted.", Model: route.Message{}}}, Handler: h.delete,
				},
				{
					Method: http.MethodPost, Path: one + "/upgrade", ID: "upgradeGateway", Summary: "Make a gateway of a router", Parameters: named,
					Description: "A router is what KubeSphere 3.0 made. It goes, and the gateway has its type and annotations.", Responses: gateway, Handler: h.upgrade,
				},
				{
					Method: http.MethodGet, Path: one + "/pods", ID: "listGatewayPods", Summary: "List the pods of a gateway", Parameters: named,
					Responses: []route.Response{{Code: http.StatusOK, Description: "The pods.", Model: List{}}}, Handler: h.pods,
				},
			},
		},
		{
			Prefix: "/kapis/resources.kubesphere.io/v1alpha2", Tag: tag, Description: description,
			Routes: []route.Route{
				{Method: http.MethodGet, Path: router, ID: "getRouter", Summary: "Get the service of a project's gateway", Parameters: of, Responses: service, Handler: h.router},
				{Method: http.MethodPost, Path: router, ID: "createRouter", Summary: "Create a project's gateway, by its service", Parameters: of, Body: Router{}, Responses: service, Handler: h.createRouter},
				{Method: http.MethodPut, Path: router, ID: "updateRouter", Summary: "Change the service of a project's gateway", Parameters: of, Body: Router{}, Responses: service, Handler: h.updateRouter},
				{Method: http.MethodDelete, Path: router, ID: "deleteRouter", Summary: "Delete a project's gateway, and answer with its service", Parameters: of, Responses: service, Handler: h.deleteRouter},
			},
		},
	}
}
