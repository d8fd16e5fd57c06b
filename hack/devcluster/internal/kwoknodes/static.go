package kwoknodes

import (
	"net/http"
)

// StaticLabel marks nodes whose kubelet nobody plays, and the pods that were
// written onto them: those have been running since then and will not change.
const StaticLabel = "devcluster/static"

// withoutStaticPods keeps the pods of static nodes away from KWOK. It would
// ignore them one by one, but only after it has listed all of them at once,
// and there may be 100,000. Its configuration has no selector for pods.
func withoutStaticPods(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet && r.URL.Path == "/api/v1/pods" {
			r = r.Clone(r.Context())
			query := r.URL.Query()
			query.Set("labelSelector", "!"+StaticLabel)
			r.URL.RawQuery = query.Encode()
		}
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
