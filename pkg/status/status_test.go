package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestWrite(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for _, test := range []struct {
		name    string
		err     error
		code    int
		reason  metav1.StatusReason
		message string
		header  map[string]string
	}{
		{"bad request", BadRequest("page %d", -1), 400, metav1.StatusReasonBadRequest, "page -1", nil},
		{"unauthorized says how to authenticate", Unauthorized("no"), 401, metav1.StatusReasonUnauthorized, "no", map[string]string{"WWW-Authenticate": "Bearer"}},
		{"kubernetes' own error keeps its code", apierrors.NewNotFound(pods, "a"), 404, metav1.StatusReasonNotFound, `pods "a" not found`, nil},
		{"wrapped", fmt.Errorf("listing: %w", apierrors.NewConflict(pods, "a", errors.New("x"))), 409, metav1.StatusReasonConflict, "", nil},
		{"unavailable says when to retry", Unavailable(3, "away"), 503, metav1.StatusReasonServiceUnavailable, "away", map[string]string{"Retry-After": "3"}},
		{"too large", fmt.Errorf("reading: %w", &http.MaxBytesError{Limit: 7}), 413, metav1.StatusReasonRequestEntityTooLarge, "the request body is larger than 7 bytes", nil},
		{"deadline", context.DeadlineExceeded, 504, metav1.StatusReasonTimeout, "the request took too long", nil},
		{"an unknown error is not shown", errors.New("password=hunter2"), 500, metav1.StatusReasonInternalError, "internal error, see the log of the server", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			Write(recorder, httptest.NewRequest(http.MethodGet, "/x", nil), test.err)
			var got metav1.Status
			if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
				t.Fatalf("body %q: %v", recorder.Body, err)
			}
			if recorder.Code != test.code || int(got.Code) != test.code || got.Reason != test.reason || got.Kind != "Status" || got.APIVersion != "v1" || got.Status != "Failure" {
				t.Errorf("got %d %+v, want code %d reason %s", recorder.Code, got, test.code, test.reason)
			}
			if test.message != "" && got.Message != test.message {
				t.Errorf("message %q, want %q", got.Message, test.message)
			}
			for key, value := range test.header {
				if recorder.Header().Get(key) != value {
					t.Errorf("header %s is %q, want %q", key, recorder.Header().Get(key), value)
				}
			}
			if contentType := recorder.Header().Get("Content-Type"); contentType != "application/json" {
				t.Errorf("content type %q", contentType)
			}
			if strings.Contains(recorder.Body.String(), "hunter2") {
				t.Error("the text of an unknown error reached the client")
			}
		})
	}
}
