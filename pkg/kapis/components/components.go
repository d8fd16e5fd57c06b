package components

import (
	"context"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Component is a service of the system with the pods behind it.
type Component struct {
	Name      string            `json:"name" description:"Name of the service."`
	Namespace string            `json:"namespace" description:"Namespace of the service."`
	SelfLink  string            `json:"selfLink" description:"Empty; Kubernetes has none any more."`
	Label     map[string]string `json:"label" description:"Labels by which the service selects pods."`
	StartedAt time.Time         `json:"startedAt" description:"When the service was created."`
	Total     int               `json:"totalBackends" description:"Number of pods behind the service."`
	Healthy   int               `json:"healthyBackends" description:"Number of them that run and are ready."`
}

// Nodes counts the nodes of the cluster.
type Nodes struct {
	Total   int `json:"totalNodes" description:"Number of nodes."`
	Healthy int `json:"healthyNodes" description:"Number of nodes that are ready."`
}

// Health is that of the system.
type Health struct {
	Components []Component `json:"kubesphereStatus" description:"The services of the system."`
	Nodes      Nodes       `json:"nodeStatus" description:"The nodes."`
}

// Handler serves the health of the system.
type Handler struct {
	Cache   *objects.Cache
	Catalog *objects.Catalog
}

// Groups declare the operations, which two versions have.
func (h *Handler) Groups() []route.Group {
	group := func(version, suffix string) route.Group {
		component := []route.Parameter{{In: route.InPath, Name: "component", Required: true, Description: "Name of the service."}}
		return route.Group{
			Prefix: "/kapis/resources.kubesphere.io/" + version, Tag: "Components", Description: "The health of what the platform runs on.",
			Routes: []route.Route{
				{
					Method: http.MethodGet, Path: "/components", ID: "listComponents" + suffix, Summary: "List the services of the system with the health of their pods",
					Responses: []route.Response{{Code: http.StatusOK, Description: "The services.", Model: []Component{}}}, Handler: h.list,
				},
				{
					Method: http.MethodGet, Path: "/components/{component}", ID: "getComponent" + suffix, Summary: "The health of a service of the system", Parameters: component,
					Responses: []route.Response{{Code: http.StatusOK, Description: "The service.", Model: Component{}}}, Handler: h.get,
				},
				{
					Method: http.MethodGet, Path: "/componenthealth", ID: "getComponentHealth" + suffix, Summary: "The health of the system",
					Responses: []route.Response{{Code: http.StatusOK, Description: "Services and nodes.", Model: Health{}}}, Handler: h.health,
				},
			},
		}
	}
	return []route.Group{group("v1alpha2", "V1alpha2"), group("v1alpha3", "")}
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	all, err := h.components(r.Context())
	if err != nil {
		return err
	}
	status.WriteJSON(w, http.StatusOK, all)
	return nil
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	all, err := h.components(r.Context())
	if err != nil {
		return err
	}
	name := r.PathValue("component")
	n := slices.IndexFunc(all, func(c Component) bool { return c.Name == name })
	if n < 0 {
		return status.NotFound("component %q not found", name)
	}
	status.WriteJSON(w, http.StatusOK, all[n])
	return nil
}

func (h *Handler) health(w http.ResponseWriter, r *http.Request) error {
	all, err := h.components(r.Context())
	if err != nil {
		return err
	}
	nodes, err := h.items(r.Context(), "nodes", "")
	if err != nil {
		return err
	}
	health := Health{Components: all, Nodes: Nodes{Total: len(nodes)}}
	for _, node := range nodes {
		if node.Field(`status.conditions.#(type=="Ready").status`).String() == "True" {
			health.Nodes.Healthy++
		}
	}
	status.WriteJSON(w, http.StatusOK, health)
	return nil
}

// components are the services of the system that select pods, by name in each
// namespace.
func (h *Handler) components(ctx context.Context) ([]Component, error) {
	all := []Component{}
	for _, namespace := range reserved.ComponentNamespaces() {
		services, err := h.items(ctx, "services", namespace)
		if err != nil {
			return nil, err
		}
		if len(services) == 0 {
			continue
		}
		pods, err := h.items(ctx, "pods", namespace)
		if err != nil {
			return nil, err
		}
		for _, service := range services {
			if c := componentOf(service, pods); len(c.Label) > 0 {
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// componentOf counts the pods behind a service.
func componentOf(service *objects.Item, pods []*objects.Item) Component {
	c := Component{Name: service.Name(), Namespace: service.Namespace(), Label: make(map[string]string)}
	for key, value := range service.Field("spec.selector").Map() {
		c.Label[key] = value.String()
	}
	c.StartedAt, _ = time.Parse(time.RFC3339, service.Field("metadata.creationTimestamp").String()) // Kubernetes writes it so
	selector := labels.SelectorFromSet(c.Label)
	for _, pod := range pods {
		if selector.Matches(pod.Labels()) {
			c.Total++
			if healthy(pod) {
				c.Healthy++
			}
		}
	}
	return c
}

// healthy reports whether a pod runs with all its containers ready.
func healthy(pod *objects.Item) bool {
	if pod.Field("status.phase").String() != "Running" {
		return false
	}
	for _, container := range pod.Field("status.containerStatuses").Array() {
		if !container.Get("ready").Bool() {
			return false
		}
	}
	return true
}

func (h *Handler) items(ctx context.Context, resource, namespace string) ([]*objects.Item, error) {
	view, err := h.Cache.View(ctx, h.Catalog.Type(resource))
	if err != nil {
		return nil, err
	}
	page, err := view.List(ctx, namespace, &query.Query{Limit: query.Unlimited, Page: 1, SortBy: "name", Ascending: true})
	return page.Items, err
}
