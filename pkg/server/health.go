package server

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Check is a named condition of the server.
type Check struct {
	Name string
	// Err says why the condition does not hold; nil when it does.
	Err func() error
	// Detail is told beside a condition that holds; nil or empty for nothing.
	Detail func() string
}

// HealthGroup are the operations of probes. Ready are the conditions for requests to be sent
// to the server.
func HealthGroup(ready []Check) route.Group {
	alive := []Check{{Name: "ping", Err: func() error { return nil }}}
	probe := func(path, id, summary string, checks []Check) route.Route {
		return route.Route{
			Method: http.MethodGet, Path: path, ID: id, Summary: summary, Public: true, Produces: []string{"text/plain"},
			Parameters: []route.Parameter{{In: route.InQuery, Name: "verbose", Description: "Set, with any value, to list the conditions."}},
			Responses:  []route.Response{{Code: http.StatusOK, Description: "It is.", Model: ""}, {Code: http.StatusServiceUnavailable, Description: "It is not; the conditions that do not hold.", Model: ""}},
			Handler:    route.Serve(healthHandler(checks)),
		}
	}
	return route.Group{Tag: "Health", Description: "Probes and metrics.", Routes: []route.Route{
		probe("/livez", "getLivez", "Tell whether the server is alive", alive),
		probe("/healthz", "getHealthz", "Tell whether the server is alive, at the older path", alive),
		probe("/readyz", "getReadyz", "Tell whether requests may be sent to the server", ready),
	}}
}

// MetricsGroup are the operations that serve what a registry gathers.
func MetricsGroup(registry *prometheus.Registry) route.Group {
	measured := route.Serve(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	metrics := func(path, id string) route.Route {
		return route.Route{
			Method: http.MethodGet, Path: path, ID: id, Summary: "Get the metrics of the server", Produces: []string{"text/plain"},
			Responses: []route.Response{{Code: http.StatusOK, Description: "The metrics, as Prometheus reads them.", Model: ""}}, Handler: measured,
		}
	}
	return route.Group{Tag: "Health", Description: "Probes and metrics.", Routes: []route.Route{
		metrics("/metrics", "getMetrics"), metrics("/kapis/metrics", "getPlatformMetrics"),
	}}
}

// healthHandler answers 200 when all checks hold, else 503 with the reasons,
// a line per check as kube-apiserver writes them.
func healthHandler(checks []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var b strings.Builder
		failed := false
		for _, check := range checks {
			if err := check.Err(); err != nil {
				failed = true
				fmt.Fprintf(&b, "[-]%s failed: %v\n", check.Name, err)
			} else {
				fmt.Fprintf(&b, "[+]%s ok%s\n", check.Name, detail(check))
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case failed:
			w.WriteHeader(http.StatusServiceUnavailable)
			b.WriteString("not ready\n")
		case !r.URL.Query().Has("verbose"):
			b.Reset()
			b.WriteString("ok")
		default:
			b.WriteString("ok\n")
		}
		_, _ = w.Write([]byte(b.String()))
	}
}

func detail(check Check) string {
	if check.Detail == nil {
		return ""
	}
	if text := check.Detail(); text != "" {
		return ", but " + text
	}
	return ""
}
