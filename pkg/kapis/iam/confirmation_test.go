package iam

import (
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestConfirmed: confirmBindings is read as every Boolean, and once.
func TestConfirmed(t *testing.T) {
	for query, test := range map[string]struct{ confirmed, refused bool }{
		"":                       {false, false},
		"?confirmBindings=true":  {true, false},
		"?confirmBindings=1":     {true, false},
		"?confirmBindings=false": {false, false},
		"?confirmBindings=yes":   {false, true},
		"?confirmBindings=true&confirmBindings=false": {false, true},
	} {
		got, err := confirmed(httptest.NewRequest("POST", "/users"+query, nil))
		if got != test.confirmed || apierrors.IsBadRequest(err) != test.refused || (err == nil) == test.refused {
			t.Errorf("%q: %v, %v", query, got, err)
		}
	}
}
