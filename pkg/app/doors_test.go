package app

import (
	"net/http"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// TestRoutesMount: no two routes overlap without one being more specific, for
// which net/http's mux panics: components/{component} and {resources}/summary did.
func TestRoutesMount(t *testing.T) {
	if err := route.Mount(http.NewServeMux(), Routes()); err != nil {
		t.Error(err)
	}
}
