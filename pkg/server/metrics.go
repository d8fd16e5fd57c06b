package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count requests. Labels are route patterns, never paths, so that
// clients cannot make them grow.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	rejected prometheus.Counter
	refused  prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, inFlight func() float64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ks_apiserver_requests_total", Help: "Requests answered, by method, route and status.",
		}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ks_apiserver_request_duration_seconds", Help: "Time to answer requests, by method and route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route"}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ks_apiserver_requests_rejected_total", Help: "Requests turned away because too many were in flight.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ks_apiserver_authentication_failures_total", Help: "Requests whose credentials were not accepted.",
		}),
	}
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ks_apiserver_requests_in_flight", Help: "Requests being served.",
	}, inFlight)
	for _, collector := range []prometheus.Collector{m.requests, m.duration, m.rejected, m.refused, running} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) observe(method, route string, code int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(method, route).Observe(took.Seconds())
}
