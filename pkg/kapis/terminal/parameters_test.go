package terminal

import (
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestRepeatedParameters: a terminal is opened and a file moved where every server on
// the way reads the same container, path and shell.
func TestRepeatedParameters(t *testing.T) {
	h := &Handler{}
	for query, open := range map[string]func(query string) error{
		"?shell=sh&shell=bash": func(query string) error {
			return h.pod(httptest.NewRecorder(), httptest.NewRequest("GET", "/"+query, nil))
		},
		"?container=a&container=b": func(query string) error {
			return h.pod(httptest.NewRecorder(), httptest.NewRequest("GET", "/"+query, nil))
		},
		"?shell=sh&shell=sh": func(query string) error {
			return h.node(httptest.NewRecorder(), httptest.NewRequest("GET", "/"+query, nil))
		},
		"?shell=ash&shell=sh": func(query string) error {
			return h.kubectl(httptest.NewRecorder(), httptest.NewRequest("GET", "/"+query, nil))
		},
		"?path=/a&path=/b": func(query string) error {
			_, _, err := h.transfer(httptest.NewRequest("GET", "/"+query, nil))
			return err
		},
		"?path=/a&container=a&container=b": func(query string) error {
			_, _, err := h.transfer(httptest.NewRequest("GET", "/"+query, nil))
			return err
		},
	} {
		if err := open(query); !apierrors.IsBadRequest(err) {
			t.Errorf("%s: %v", query, err)
		}
	}
}
