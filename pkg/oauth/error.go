package oauth

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Error is an error answer of the token endpoint (RFC 6749 §5.2).
type Error struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	// Status is the HTTP status.
	Status int `json:"-"`
	// RetryAfter is when to try again, in seconds; 0 for no advice.
	RetryAfter int `json:"-"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

func invalidRequest(code int, description string) *Error {
	return &Error{Code: "invalid_request", Description: description, Status: code}
}

func invalidGrant(description string) *Error {
	return &Error{Code: "invalid_grant", Description: description, Status: http.StatusBadRequest}
}

// The same answer for unknown clients and for wrong secrets.
func invalidClient() *Error {
	return &Error{Code: "invalid_client", Description: "client authentication failed", Status: http.StatusUnauthorized}
}

func unavailable() *Error {
	return &Error{Code: "temporarily_unavailable", Description: "the service cannot answer at the moment", Status: http.StatusServiceUnavailable, RetryAfter: 5}
}

// writeError answers with an error; one that is not an Error is logged and
// answered as server_error.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	var answer *Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &answer):
	case errors.As(err, &tooLarge):
		answer = invalidRequest(http.StatusRequestEntityTooLarge, "the body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes")
	default:
		slog.ErrorContext(r.Context(), "token request failed", "path", r.URL.Path, "error", err)
		answer = &Error{Code: "server_error", Description: "internal error, see the log of the server", Status: http.StatusInternalServerError}
	}
	if answer.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="OAuth client"`)
	}
	if answer.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(answer.RetryAfter))
	}
	noStore(w)
	status.WriteJSON(w, answer.Status, answer)
}

// noStore keeps tokens out of caches (RFC 6749 §5.1).
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}
