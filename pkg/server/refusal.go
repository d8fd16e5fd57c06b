package server

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// writeRefusal answers a request that gets no place, or whose body is not read. The
// clients of the token service expect the errors of RFC 6749 §5.2, all others a Status.
func writeRefusal(w http.ResponseWriter, r *http.Request, err error) {
	if !strings.HasPrefix(r.URL.Path, "/oauth/") {
		status.Write(w, r, err)
		return
	}
	refusal := status.Of(err)
	code := "invalid_request"
	if refusal.Code == http.StatusTooManyRequests || refusal.Code >= http.StatusInternalServerError {
		code = "temporarily_unavailable"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	if refusal.Details != nil && refusal.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(refusal.Details.RetryAfterSeconds)))
	}
	status.WriteJSON(w, int(refusal.Code), map[string]string{"error": code, "error_description": refusal.Message})
}
