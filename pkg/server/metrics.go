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
	reasons  *prometheus.CounterVec
	refused  prometheus.Counter
}

// gauges are numbers of the moment.
type gauges struct{ inFlight, longRunning, connections func() int64 }

func newMetrics(registry prometheus.Registerer, now gauges) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ks_apiserver_requests_total", Help: "Requests answered, by method, route and status.",
		}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ks_apiserver_request_duration_seconds", Help: "Time to answer requests, by method and route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route"}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ks_apiserver_requests_rejected_total", Help: "Requests turned away because too many were in flight, or too slow to arrive.",
		}),
		reasons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ks_apiserver_rejections_total", Help: "Requests that were turned away and connections that were closed to protect the server, by reason.",
		}, []string{"reason"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ks_apiserver_authentication_failures_total", Help: "Requests whose credentials were not accepted.",
		}),
	}
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	for _, collector := range []prometheus.Collector{
		m.requests, m.duration, m.rejected, m.reasons, m.refused,
		gauge("ks_apiserver_requests_in_flight", "Requests being served.", now.inFlight),
		gauge("ks_apiserver_long_running_requests", "Watches, logs and upgraded connections being served.", now.longRunning),
		gauge("ks_apiserver_connections", "Open connections, upgraded ones aside.", now.connections),
	} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// reject counts what is turned away to protect the server.
func (m *metrics) reject(reason string) {
	m.reasons.WithLabelValues(reason).Inc()
	if reason != reasonConnections {
		m.rejected.Inc()
	}
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
