package server

import (
	"io"
	"net/http"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// BenchmarkRequest is what the filters and net/http take for a small answer over a
// connection that is kept.
func BenchmarkRequest(b *testing.B) {
	s := newServer(b, func(o *Options) { o.Config.MaxRequestsInFlight = 400 }, map[string]route.Handler{"a": text("a")})
	go func() { _ = s.Run(b.Context()) }()
	address := "http://" + s.Address().String() + "/kapis/test.io/v1/a"
	for b.Loop() {
		response, err := http.Get(address)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}
