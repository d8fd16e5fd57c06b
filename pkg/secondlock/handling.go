package secondlock

import (
	"bytes"
	"cmp"
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

// Handling returns the transport of requests that handlers make: it has the patience of
// Patient. A kube-apiserver that starts refuses everything, which becomes 503: clients of
// Kubernetes try that again by themselves.
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
	answer, err := h.next.RoundTrip(r)
	identity, _ := kube.IdentityFrom(ctx)
	who, found := kuberequest.UserFrom(ctx)
	if err != nil || answer.StatusCode != http.StatusForbidden || !found || who == nil || identity.Own {
		return answer, err
	}
	refusal, err := ReadRefusal(answer, who)
	if err != nil {
		return nil, err
	}
	if !refusal.ByRoles {
		return answer, nil
	}
	// It may have become ready in the meantime, and permit what it has just refused.
	if h.lock.Starting(ctx) || h.lock.permitsNow(r, refusal.Verb) {
		_ = answer.Body.Close()
		return starting(r), nil
	}
	h.lock.Disagree(ctx, r.URL.Path, refusal.Text)
	return answer, nil
}

// permitsNow reports whether Kubernetes says that it permits a request it has refused for
// the sake of a verb, or of that of the request if it named none.
func (l *Lock) permitsNow(r *http.Request, verb string) bool {
	action := l.actionOf(r)
	if action == nil {
		return false
	}
	action.Verb = cmp.Or(verb, action.Verb)
	permitted, err := l.Review(r.Context(), *action)
	return permitted || err != nil // who does not answer that does not refuse either
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
