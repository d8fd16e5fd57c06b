package oauth

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
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

func unauthorizedClient(description string) *Error {
	return &Error{Code: "unauthorized_client", Description: description, Status: http.StatusBadRequest}
}

// The same answer for unknown clients and for wrong secrets.
func invalidClient() *Error {
	return &Error{Code: "invalid_client", Description: "client authentication failed", Status: http.StatusUnauthorized}
}

func unavailable() *Error {
	return &Error{Code: "temporarily_unavailable", Description: "the service cannot answer at the moment", Status: http.StatusServiceUnavailable, RetryAfter: 5}
}

// later is when somebody who is one of too many should come again, in seconds:
// not all at once.
func later() int { return 3 + rand.N(5) } //nolint:gosec // spread, not kept secret

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
		slog.ErrorContext(r.Context(), "token request failed", "id", request.ID(r.Context()), "path", r.URL.Path, "error", err)
		answer = &Error{Code: "server_error", Description: "internal error, see the log of the server", Status: http.StatusInternalServerError}
	}
	if answer.Status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="OAuth client"`)
	}
	if answer.RetryAfter > 0 {
		retryAfter(w, answer.RetryAfter)
	}
	if answer.Status == 0 {
		answer = &Error{Code: answer.Code, Description: answer.Description, Status: http.StatusBadRequest}
	}
	noStore(w)
	status.WriteJSON(w, answer.Status, answer)
}

func retryAfter(w http.ResponseWriter, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
}

// translate gives errors of the domains their RFC 6749 code.
func translate(err error) error {
	refused := func(code, description string) error {
		return &Error{Code: code, Description: description, Status: http.StatusBadRequest}
	}
	var throttled *identity.Throttled
	switch {
	case errors.As(err, &throttled):
		return &Error{Code: "invalid_grant", Description: throttled.Error(), Status: http.StatusTooManyRequests, RetryAfter: status.Seconds(throttled.After)}
	case errors.Is(err, identity.ErrIncorrect):
		return invalidGrant("incorrect user name or password")
	case errors.Is(err, identity.ErrNotMapped):
		return invalidGrant(identity.ErrNotMapped.Error())
	case errors.Is(err, identity.ErrBusy):
		return &Error{Code: "temporarily_unavailable", Description: "too many logins at the moment", Status: http.StatusTooManyRequests, RetryAfter: later()}
	case apierrors.IsTooManyRequests(err) && status.IsLocal(err):
		return &Error{Code: "temporarily_unavailable", Description: "too many tokens are being checked, try again later", Status: http.StatusTooManyRequests, RetryAfter: later()}
	case errors.Is(err, session.ErrPending):
		return refused("authorization_pending", session.ErrPending.Error())
	case errors.Is(err, session.ErrDenied):
		return refused("access_denied", session.ErrDenied.Error())
	case errors.Is(err, session.ErrInvalid), errors.Is(err, session.ErrEnded), errors.Is(err, session.ErrReused):
		return invalidGrant("the refresh token is invalid or expired")
	case errors.Is(err, token.ErrNotReady), errors.Is(err, errProvider), errors.Is(err, identity.ErrUnavailable), kube.Unavailable(err):
		return unavailable()
	}
	return err
}

// noStore keeps tokens out of caches (RFC 6749 §5.1).
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}
