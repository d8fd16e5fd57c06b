package egress

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// answerWithin bounds how long the other side may take to begin its answer.
	answerWithin = 10 * time.Second
	mostHeaders  = 64 << 10
	// mostRedirects is how often a request may be sent on.
	mostRedirects = 3
)

// Why an answer is none.
var (
	ErrTooLarge  = errors.New("the answer is too large")
	ErrRedirects = errors.New("the answer leads elsewhere too often, or from https to http")
)

// Options are what differs between those who ask.
type Options struct {
	// MaxBytes bounds each answer.
	MaxBytes int64
	// Insecure believes any certificate.
	Insecure bool
}

// Transport returns a way to send requests. It keeps no connections: each is
// checked, and used once.
func (g *Guard) Transport(options Options) http.RoundTripper {
	return &bounded{most: options.MaxBytes, next: &http.Transport{
		DialContext: g.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: answerWithin, ResponseHeaderTimeout: answerWithin,
		MaxResponseHeaderBytes: mostHeaders,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: options.Insecure}, //nolint:gosec // the user says so about the own registry
	}}
}

// bounded bounds what comes back. Redirects are followed by whoever uses it,
// and found here: each request names the answer it follows.
type bounded struct {
	next http.RoundTripper
	most int64
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if sentOn(r) {
		return nil, ErrRedirects
	}
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &limited{ReadCloser: response.Body, left: b.most}
	return response, nil
}

// sentOn reports whether a request was redirected too often, or from a
// connection others cannot read to one they can.
func sentOn(r *http.Request) bool {
	for n := 0; r.Response != nil && r.Response.Request != nil; n++ {
		before := r.Response.Request
		if n == mostRedirects || before.URL.Scheme == "https" && r.URL.Scheme != "https" {
			return true
		}
		r = before
	}
	return false
}

// limited is a body that fails when it is too long.
type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(into []byte) (int, error) {
	n, err := l.ReadCloser.Read(into)
	if l.left -= int64(n); l.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
