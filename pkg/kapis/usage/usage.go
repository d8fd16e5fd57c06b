package usage

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/quantity"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Quotas are limits and use by the name of the resource.
type Quotas struct {
	Namespace string     `json:"namespace" description:"Name of the namespace, empty for the cluster."`
	Data      QuotasData `json:"data" description:"The numbers."`
}

// QuotasData are the numbers of Quotas.
type QuotasData struct {
	Hard map[string]string `json:"hard,omitempty" description:"What may be used."`
	Used map[string]string `json:"used" description:"What is used."`
}

// Abnormal counts what does not work.
type Abnormal struct {
	Namespace string         `json:"namespace" description:"Name of the namespace, empty for the cluster."`
	Data      map[string]int `json:"data" description:"Numbers of objects that are not as they should be, by type."`
}

// Handler serves the counts.
type Handler struct {
	Cache   *objects.Cache
	Catalog *objects.Catalog
	Client  client.Reader
}

// Group declares the operations.
func (h *Handler) Group() route.Group {
	namespace := []route.Parameter{{In: route.InPath, Name: "namespace", Required: true, Description: "Name of the namespace."}}
	quotas := []route.Response{{Code: http.StatusOK, Description: "The numbers.", Model: Quotas{}}}
	abnormal := []route.Response{{Code: http.StatusOK, Description: "The numbers.", Model: Abnormal{}}}
	return route.Group{
		Prefix: "/kapis/resources.kubesphere.io/v1alpha2", Tag: "Usage", Description: "What is used, and what does not work.",
		Routes: []route.Route{
			{Method: http.MethodGet, Path: "/quotas", ID: "getClusterQuotas", Summary: "Count what the cluster uses", Responses: quotas, Handler: h.quotas},
			{Method: http.MethodGet, Path: "/namespaces/{namespace}/quotas", ID: "getNamespaceQuotas", Summary: "Limits and use of a namespace", Parameters: namespace, Responses: quotas, Gathers: true, Handler: h.quotas},
			{Method: http.MethodGet, Path: "/abnormalworkloads", ID: "getClusterAbnormalWorkloads", Summary: "Count what does not work in the cluster", Responses: abnormal, Handler: h.abnormal},
			{Method: http.MethodGet, Path: "/namespaces/{namespace}/abnormalworkloads", ID: "getNamespaceAbnormalWorkloads", Summary: "Count what does not work in a namespace", Parameters: namespace, Responses: abnormal, Handler: h.abnormal},
		},
	}
}

// counted are the types counted, by the names the console knows the numbers by.
func counted() map[string]string {
	return map[string]string{
		"count/cronjobs.batch": "cronjobs", "count/daemonsets.apps": "daemonsets", "count/deployments.apps": "deployments",
		"count/ingresses.extensions": "ingresses", "count/jobs.batch": "jobs", "count/pods": "pods", "count/services": "services",
		"count/statefulsets.apps": "statefulsets", "persistentvolumeclaims": "persistentvolumeclaims",
	}
}

func (h *Handler) quotas(w http.ResponseWriter, r *http.Request) error {
	namespace := r.PathValue("namespace")
	result := Quotas{Namespace: namespace, Data: QuotasData{Used: make(map[string]string)}}
	for name, resource := range counted() {
		n, err := h.count(r, namespace, resource, "")
		if err != nil {
			return err
		}
		result.Data.Used[name] = strconv.Itoa(n)
	}
	if namespace != "" {
		if err := h.limits(r, namespace, &result.Data); err != nil {
			return kube.Err(err)
		}
		if result.Data.shorten() {
			route.WriteWarning(w, "the quotas of the namespace are of more than %d resources, of which the first in the alphabet are listed", mostNames)
		}
	}
	status.WriteJSON(w, http.StatusOK, result)
	return nil
}

// mostNames bounds how many names of resources an answer has: quotas of Kubernetes have any
// number of them, and may be of resources that there are not.
const mostNames = 1000

// shorten leaves the first names in the alphabet, and reports whether there were more. What
// this server counts is always there.
func (d *QuotasData) shorten() bool {
	shortened := false
	for _, numbers := range []map[string]string{d.Hard, d.Used} {
		if len(numbers) <= mostNames {
			continue
		}
		shortened = true
		for _, name := range slices.Sorted(maps.Keys(numbers))[mostNames:] {
			if _, found := counted()[name]; !found {
				delete(numbers, name)
			}
		}
	}
	return shortened
}

// limits adds what Kubernetes limits and counts. Of several limits the lowest
// counts.
func (h *Handler) limits(r *http.Request, namespace string, into *QuotasData) error {
	found := &corev1.ResourceQuotaList{}
	if err := h.Client.List(r.Context(), found, client.InNamespace(namespace)); err != nil {
		return err
	}
	lowest := make(corev1.ResourceList)
	for n := range found.Items {
		for name, hard := range quantity.CappedList(found.Items[n].Status.Hard) {
			if before, has := lowest[name]; !has || hard.Cmp(before) < 0 {
				lowest[name] = hard
			}
		}
		for name, used := range quantity.CappedList(found.Items[n].Status.Used) {
			into.Used[string(name)] = used.String()
		}
	}
	if len(lowest) > 0 {
		into.Hard = make(map[string]string, len(lowest))
		for name, hard := range lowest {
			into.Hard[string(name)] = hard.String()
		}
	}
	return nil
}

func (h *Handler) abnormal(w http.ResponseWriter, r *http.Request) error {
	namespace := r.PathValue("namespace")
	result := Abnormal{Namespace: namespace, Data: make(map[string]int)}
	for resource, states := range map[string][]string{
		"deployments": {"updating"}, "statefulsets": {"updating"}, "daemonsets": {"updating"}, "jobs": {"failed"}, "persistentvolumeclaims": {"pending", "lost"},
	} {
		for _, state := range states {
			n, err := h.count(r, namespace, resource, state)
			if err != nil {
				return err
			}
			result.Data[resource] += n
		}
	}
	status.WriteJSON(w, http.StatusOK, result)
	return nil
}

// count returns how many objects there are, in a namespace or in all, and in a
// state unless it is empty.
func (h *Handler) count(r *http.Request, namespace, resource, state string) (int, error) {
	view, err := h.Cache.View(r.Context(), h.Catalog.Type(resource))
	if err != nil {
		return 0, err
	}
	q := &query.Query{Limit: 0, Page: 1, SortBy: "name"}
	if state != "" {
		q.Filters, q.Raw = []query.Filter{{Key: "status", Value: state}}, "status\x00"+state
	}
	page, err := view.List(r.Context(), namespace, q)
	return page.Total, err
}
