package statistics

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Metrics are the numbers that were asked for.
type Metrics struct {
	Results []Metric `json:"results" description:"The numbers that were asked for."`
}

// Metric is a number with its name, in the shape of Prometheus' answers.
type Metric struct {
	Name string `json:"metric_name" description:"Name of the number."`
	Data Data   `json:"data" description:"The number now; empty when there is none."`
	// Error says why there is no number.
	Error string `json:"error,omitempty" description:"Why there is no number."`
}

// Data is a vector of one value.
type Data struct {
	Type   string  `json:"resultType,omitempty" description:"vector"`
	Result []Value `json:"result,omitempty" description:"One value."`
}

// Value is a number at a time.
type Value struct {
	Value []any `json:"value" description:"The time in seconds since 1970, and the number as a text."`
}

// Handler serves the numbers.
type Handler struct {
	Cache     *objects.Cache
	Types     *objects.Resolver
	Directory *iam.Directory
	Now       func() time.Time
}

// count is a number and how it is found in a workspace, which is empty for the
// platform.
type count struct {
	name string
	of   func(ctx context.Context, workspace string) (int, error)
}

// platform are the numbers of the platform. KubeSphere's clients know the first
// by its misspelt name.
func (h *Handler) platform() []count {
	return []count{
		{"kubesphere_cluser_count", h.clusters},
		{"kubesphere_workspace_count", h.all("workspaces")},
		{"kubesphere_user_count", h.all("users")},
		{"kubesphere_app_template_count", h.all("helmapplications")},
	}
}

// workspace are the numbers of a workspace.
func (h *Handler) workspace() []count {
	return []count{
		{"workspace_namespace_count", h.projects("!kubesphere.io/devopsproject")},
		{"workspace_devops_project_count", h.projects("kubesphere.io/devopsproject")},
		{"workspace_member_count", h.members},
		{"workspace_role_count", h.roles},
	}
}

// Group declares the operations.
func (h *Handler) Group() route.Group {
	filter := route.Parameter{In: route.InQuery, Name: "metrics_filter", Description: "Regular expression for the names of the numbers; all when it is missing."}
	answer := []route.Response{{Code: http.StatusOK, Description: "The numbers.", Model: Metrics{}}}
	return route.Group{
		Prefix: "/kapis/monitoring.kubesphere.io/v1alpha3", Tag: "Statistics", Description: "Numbers that need no Prometheus.",
		Routes: []route.Route{
			{
				Method: http.MethodGet, Path: "/kubesphere", ID: "getPlatformStatistics", Summary: "Count clusters, workspaces, users and app templates",
				Parameters: []route.Parameter{filter}, Responses: answer, Handler: func(w http.ResponseWriter, r *http.Request) error { return h.write(w, r, h.platform(), "") },
			},
			{
				Method: http.MethodGet, Path: "/workspaces/{workspace}", ID: "getWorkspaceStatistics", Summary: "Count projects, members and roles of a workspace",
				Description: "With type=statistics. Without it the names of the measurements are answered, each with the reason why there is no value: measurements need Prometheus.",
				Parameters: []route.Parameter{
					{In: route.InPath, Name: "workspace", Required: true, Description: "Name of the workspace."},
					{In: route.InQuery, Name: "type", Description: "statistics for the counts; all else are measurements."}, filter,
				},
				Responses: answer, Handler: h.ofWorkspace,
			},
		},
	}
}

// noPrometheus is why there are no measurements.
const noPrometheus = "no Prometheus is configured"

// measurements are the names of the measurements of a workspace, after "workspace_".
var measurements = []string{
	"cpu_usage", "memory_usage", "memory_usage_wo_cache", "net_bytes_transmitted", "net_bytes_received",
	"pod_count", "pod_running_count", "pod_succeeded_count", "pod_abnormal_count", "pod_abnormal_ratio",
	"ingresses_extensions_count", "cronjob_count", "pvc_count", "daemonset_count", "deployment_count", "endpoint_count",
	"hpa_count", "job_count", "statefulset_count", "replicaset_count", "service_count", "secret_count",
}

func (h *Handler) ofWorkspace(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("type") == "statistics" {
		return h.write(w, r, h.workspace(), r.PathValue("workspace"))
	}
	filter, err := filterOf(r)
	if err != nil {
		return err
	}
	metrics := Metrics{Results: []Metric{}}
	for _, name := range measurements {
		if name = "workspace_" + name; filter.MatchString(name) {
			metrics.Results = append(metrics.Results, Metric{Name: name, Error: noPrometheus})
		}
	}
	status.WriteJSON(w, http.StatusOK, metrics)
	return nil
}

// longestFilter bounds the regular expression of a request, in bytes.
const longestFilter = 4096

// filterOf is the filter of a request by the names of metrics.
func filterOf(r *http.Request) (*regexp.Regexp, error) {
	text := r.URL.Query().Get("metrics_filter")
	if len(text) > longestFilter {
		return nil, status.BadRequest("metrics_filter is longer than %d bytes", longestFilter)
	}
	filter, err := regexp.Compile(text)
	if err != nil {
		return nil, status.BadRequest("metrics_filter is no regular expression: %v", err)
	}
	return filter, nil
}

func (h *Handler) write(w http.ResponseWriter, r *http.Request, counts []count, workspace string) error {
	filter, err := filterOf(r)
	if err != nil {
		return err
	}
	metrics := Metrics{Results: []Metric{}}
	for _, one := range counts {
		if !filter.MatchString(one.name) {
			continue
		}
		number, err := one.of(r.Context(), workspace)
		if err != nil {
			return err
		}
		metrics.Results = append(metrics.Results, Metric{Name: one.name, Data: Data{
			Type: "vector", Result: []Value{{Value: []any{h.Now().Unix(), strconv.Itoa(number)}}},
		}})
	}
	status.WriteJSON(w, http.StatusOK, metrics)
	return nil
}

// total counts the objects of a type that have labels and a value of a column.
// A type the cluster does not have has none.
func (h *Handler) total(ctx context.Context, resource, selector string, filters ...query.Filter) (int, error) {
	kind, err := h.Types.Type(ctx, resource)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	view, err := h.Cache.View(ctx, kind)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	parameters, err := request.ParseParameters(url.Values{query.LabelSelector: {selector}, query.Limit: {"0"}}.Encode())
	if err != nil {
		return 0, err
	}
	q, _, err := query.Parse(parameters, nil)
	if err != nil {
		return 0, err
	}
	q.Filters = filters
	for _, filter := range filters {
		q.Raw += "\x00" + filter.Key + "\x00" + filter.Value
	}
	page, err := view.List(ctx, "", &q)
	return page.Total, err
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (h *Handler) all(resource string) func(context.Context, string) (int, error) {
	return func(ctx context.Context, _ string) (int, error) { return h.total(ctx, resource, "") }
}

// clusters counts this one too when there are no Cluster objects.
func (h *Handler) clusters(ctx context.Context, _ string) (int, error) {
	number, err := h.total(ctx, "clusters", "")
	return max(1, number), err
}

func (h *Handler) projects(selector string) func(context.Context, string) (int, error) {
	return func(ctx context.Context, workspace string) (int, error) {
		return h.total(ctx, "namespaces", "kubesphere.io/workspace="+workspace+","+selector)
	}
}

func (h *Handler) members(ctx context.Context, workspace string) (int, error) {
	members, err := h.Directory.Members(ctx, iam.Place{Workspace: workspace})
	return len(members), err
}

func (h *Handler) roles(ctx context.Context, workspace string) (int, error) {
	return h.total(ctx, "workspaceroles", "", query.Filter{Key: "workspace", Value: workspace})
}
