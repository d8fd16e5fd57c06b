package secondlock

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// retryStarting is after how long a request is worth another try that a starting
// kube-apiserver has refused, in seconds.
const retryStarting = 1

// Handling returns the transport of requests that handlers make: those of users are tried
// again as Patient does. A kube-apiserver that starts refuses everything, which becomes 503.
func (l *Lock) Handling(next http.RoundTripper) http.RoundTripper {
	return &handling{next: l.Patient(next), lock: l}
}

type handling struct {
	next http.RoundTripper
	lock *Lock
}

// RoundTrip implements http.RoundTripper.
func (h *handling) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	identity, _ := kube.IdentityFrom(ctx)
	if _, found := kuberequest.UserFrom(ctx); !found || identity.Own {
		return h.next.RoundTrip(r)
	}
	r, err := replayable(ctx, r)
	if err != nil {
		return nil, err
	}
	answer, text, err := h.try(r)
	if err != nil || text == nil {
		return answer, err
	}
	if h.lock.Starting(ctx) {
		_ = answer.Body.Close()
		return starting(r), nil
	}
	if repeats(r) { // it may have been ready a moment too late
		_ = answer.Body.Close()
		again, err := repeated(ctx, r)
		if err != nil {
			return nil, err
		}
		if answer, text, err = h.try(again); err != nil || text == nil {
			return answer, err
		}
	}
	h.lock.Disagree(ctx, r.URL.Path, text)
	return answer, nil
}

// try sends a request, and returns the beginning of a refusal by Kubernetes' roles, nil for
// any other answer.
func (h *handling) try(r *http.Request) (*http.Response, []byte, error) {
	answer, err := h.next.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusForbidden {
		return answer, nil, err
	}
	text, refused, err := refusalByRoles(answer)
	if err != nil || !refused {
		return answer, nil, err
	}
	return answer, text, nil
}

// starting is the answer in the place of a refusal that is none.
func starting(r *http.Request) *http.Response {
	body, err := json.Marshal(&metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusServiceUnavailable,
		Reason: metav1.StatusReasonServiceUnavailable, Message: "Kubernetes is starting", Details: &metav1.StatusDetails{RetryAfterSeconds: retryStarting},
	})
	if err != nil {
		panic(err) // it has nothing but texts
	}
	return &http.Response{
		Status: http.StatusText(http.StatusServiceUnavailable), StatusCode: http.StatusServiceUnavailable, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}, "Retry-After": {strconv.Itoa(retryStarting)}}, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// maxShown bounds what is logged of a refusal, in bytes.
const maxShown = 512

// Disagree notes that Kubernetes refuses what this server has permitted: one of the two is
// wrong. The log shows one a second after the first few, since clients repeat requests.
func (l *Lock) Disagree(ctx context.Context, path string, answer []byte) {
	l.disagreements.Add(1)
	l.shown.Do(func() {
		slog.WarnContext(ctx, "Kubernetes refuses what is permitted here", "path", path, "answer", string(answer[:min(len(answer), maxShown)]))
	})
}

// Disagreements returns how often Kubernetes has refused what this server has permitted.
func (l *Lock) Disagreements() uint64 { return l.disagreements.Load() }
