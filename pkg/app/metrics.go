package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/secondlock"
)

// cacheMetrics tells how much of each type is kept in memory. It implements
// prometheus.Collector.
type cacheMetrics struct {
	cache          *objects.Cache
	objects, bytes *prometheus.Desc
}

func newCacheMetrics(cache *objects.Cache) *cacheMetrics {
	labels := []string{"resource"}
	return &cacheMetrics{
		cache:   cache,
		objects: prometheus.NewDesc("ks_apiserver_cached_objects", "Objects in memory, by resource type.", labels, nil),
		bytes:   prometheus.NewDesc("ks_apiserver_cached_bytes", "Bytes of the JSON of objects in memory, by resource type.", labels, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *cacheMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.objects
	to <- m.bytes
}

// Collect implements prometheus.Collector.
func (m *cacheMetrics) Collect(to chan<- prometheus.Metric) {
	for _, size := range m.cache.Sizes() {
		to <- prometheus.MustNewConstMetric(m.objects, prometheus.GaugeValue, float64(size.Objects), size.Resource)
		to <- prometheus.MustNewConstMetric(m.bytes, prometheus.GaugeValue, float64(size.Bytes), size.Resource)
	}
}

// newDisagreements counts what Kubernetes has refused although it was permitted here.
func newDisagreements(lock *secondlock.Lock) prometheus.Collector {
	return prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: "ks_apiserver_second_lock_disagreements_total", Help: "How often Kubernetes refused by its roles what this server had permitted."},
		func() float64 { return float64(lock.Disagreements()) },
	)
}

// newGroupOmissions counts how often a user had more groups than a header takes.
func newGroupOmissions() prometheus.Collector {
	return prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: "ks_apiserver_group_omissions_total", Help: "How often groups of a user were left out of a request to Kubernetes or an extension, since more do not fit into a header."},
		func() float64 { return float64(kube.GroupOmissions()) },
	)
}
