package app

import (
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// TestRoutes: what is declared can be served.
func TestRoutes(t *testing.T) {
	if _, err := route.NewContainer(Routes()...); err != nil {
		t.Error(err)
	}
}
