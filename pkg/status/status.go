package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// clientClosedRequest is what access logs show for a client that went away
// before its answer (nginx' 499); no client ever sees it.
const clientClosedRequest = 499

// ReasonUnsupportedMediaType is the reason of a 415; Kubernetes has no constant for it.
const ReasonUnsupportedMediaType metav1.StatusReason = "UnsupportedMediaType"

// New returns an error that is written as a Status with the code and reason.
func New(code int, reason metav1.StatusReason, format string, args ...any) *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    int32(code), //nolint:gosec // an HTTP status code
		Reason:  reason,
		Message: fmt.Sprintf(format, args...),
	}}
}

// BadRequest is a 400 that says what is wrong with the request.
func BadRequest(format string, args ...any) *apierrors.StatusError {
	return New(http.StatusBadRequest, metav1.StatusReasonBadRequest, format, args...)
}

// Invalid is a 422 about the value of a field of an object.
func Invalid(field, format string, args ...any) *apierrors.StatusError {
	err := New(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, field+": "+format, args...)
	err.ErrStatus.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{
		{Type: metav1.CauseTypeFieldValueInvalid, Field: field, Message: fmt.Sprintf(format, args...)},
	}}
	return err
}

// Unauthorized is a 401. The message is for people; it never says which of
// several credentials was wrong.
func Unauthorized(format string, args ...any) *apierrors.StatusError {
	return New(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, format, args...)
}

// Forbidden is a 403 in kube-apiserver's words.
func Forbidden(resource schema.GroupResource, name, format string, args ...any) *apierrors.StatusError {
	return apierrors.NewForbidden(resource, name, fmt.Errorf(format, args...))
}

// NotFound is a 404 about a path or type rather than an object.
func NotFound(format string, args ...any) *apierrors.StatusError {
	return New(http.StatusNotFound, metav1.StatusReasonNotFound, format, args...)
}

// TooLarge is a 413 for a body over the limit, in bytes.
func TooLarge(limit int64) *apierrors.StatusError {
	return New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge,
		"the request body is larger than %d bytes", limit)
}

// UnsupportedMediaType is a 415 naming what would be accepted.
func UnsupportedMediaType(got, want string) *apierrors.StatusError {
	return New(http.StatusUnsupportedMediaType, ReasonUnsupportedMediaType,
		"the body is of media type %q, accepted is %s", got, want)
}

// LocalError is a 429 or 503 that this server answers with because of its own limits or
// state, as opposed to one of kube-apiserver.
type LocalError struct{ *apierrors.StatusError }

// Unwrap returns the error with the Status.
func (e *LocalError) Unwrap() error { return e.StatusError }

// IsLocal reports whether an error is a LocalError or wraps one.
func IsLocal(err error) bool {
	var local *LocalError
	return errors.As(err, &local)
}

// Unavailable is a 503 that asks the client to come back after some seconds.
func Unavailable(retryAfterSeconds int, format string, args ...any) *LocalError {
	err := New(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, format, args...)
	err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(retryAfterSeconds)} //nolint:gosec // seconds
	return &LocalError{err}
}

// TooManyRequests is a 429 that says when to come back.
func TooManyRequests(after time.Duration, format string, args ...any) *LocalError {
	err := New(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, format, args...)
	err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(Seconds(after))} //nolint:gosec // seconds
	return &LocalError{err}
}

// Seconds rounds a time up to whole seconds, as Retry-After has them.
func Seconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}

// Of returns the Status an error is written as: the one it carries, 413 for a
// body over the limit of http.MaxBytesReader, else a 500 whose message does
// not reveal the error.
func Of(err error) metav1.Status {
	var carried apierrors.APIStatus
	var tooLarge *http.MaxBytesError
	var result metav1.Status
	switch {
	case errors.As(err, &carried):
		result = carried.Status()
	case errors.As(err, &tooLarge):
		result = TooLarge(tooLarge.Limit).Status()
	case errors.Is(err, context.DeadlineExceeded):
		result = New(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "the request took too long").Status()
	case errors.Is(err, context.Canceled):
		result = New(clientClosedRequest, metav1.StatusReasonTimeout, "the client closed the request").Status()
	default:
		result = New(http.StatusInternalServerError, metav1.StatusReasonInternalError, "internal error, see the log of the server").Status()
	}
	result.Kind, result.APIVersion = "Status", "v1"
	if result.Code == 0 {
		result.Code = http.StatusInternalServerError
	}
	return result
}

// headerRequestID is that of the answer that names the request.
const headerRequestID = "Audit-Id"

// Write answers a request with an error. Errors that carry no status are
// logged, since the client does not learn what they say.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	result := Of(err)
	if result.Code == http.StatusInternalServerError {
		slog.ErrorContext(r.Context(), "request failed", "id", w.Header().Get(headerRequestID), "method", r.Method, "path", r.URL.Path, "error", err)
	}
	header := w.Header()
	if result.Code == http.StatusUnauthorized && header.Get("WWW-Authenticate") == "" {
		header.Set("WWW-Authenticate", "Bearer")
	}
	if result.Details != nil && result.Details.RetryAfterSeconds > 0 {
		header.Set("Retry-After", strconv.Itoa(int(result.Details.RetryAfterSeconds)))
	}
	WriteJSON(w, int(result.Code), &result)
}

// WriteJSON answers with a value in compact JSON. A value that cannot be
// encoded is a programming error and answered with 500.
func WriteJSON(w http.ResponseWriter, code int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		code = http.StatusInternalServerError
		body = []byte(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the answer cannot be encoded","reason":"InternalError","code":500}`)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
