package outbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// What a provider may take and answer.
const (
	timeout    = 10 * time.Second
	mostBytes  = 1 << 20
	mostOfAnID = 64 << 10 // of an error
)

// Client returns a client that gives up in time, reads no more than a megabyte,
// follows no redirect, and of errors keeps their RFC 6749 code only: what else
// a provider answers with is not for logs.
func Client(trust Trust) (*http.Client, error) {
	config, err := trust.Config("")
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
		MaxIdleConns: 10, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: timeout, MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{
		Timeout: timeout, Transport: reduced{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// reduced answers with bodies of bounded size, and errors without theirs. What
// is the provider's own fault is an error of the call, whoever makes it.
type reduced struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t reduced) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		response.Body = &limited{ReadCloser: response.Body, left: mostBytes}
		return response, nil
	}
	if response.StatusCode >= http.StatusInternalServerError {
		_ = response.Body.Close()
		return nil, fmt.Errorf("it answers with status %d", response.StatusCode)
	}
	content, _ := io.ReadAll(io.LimitReader(response.Body, mostOfAnID))
	_ = response.Body.Close()
	kept := []byte("{}")
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(content, &answer) == nil && errorCode.MatchString(answer.Error) {
		kept = fmt.Appendf(nil, `{"error":%q}`, answer.Error)
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(kept)), int64(len(kept))
	response.Header = http.Header{"Content-Type": {"application/json"}}
	return response, nil
}

// errorCode is what codes of errors look like.
var errorCode = regexp.MustCompile(`^[a-z_]{1,64}$`)

// limited is a body that fails when it is too long.
type limited struct {
	io.ReadCloser
	left int
}

var errTooLarge = errors.New("the answer is too large")

func (l *limited) Read(into []byte) (int, error) {
	n, err := l.ReadCloser.Read(into)
	if l.left -= n; l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// Get reads from an address, with a bearer token unless it is empty.
func Get(ctx context.Context, client *http.Client, address, token, accept string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: the address cannot be called", identity.ErrUnavailable)
	}
	request.Header.Set("Accept", accept)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, Unavailable("asking the provider", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: it answers with status %d", identity.ErrUnavailable, response.StatusCode)
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, Unavailable("reading the provider's answer", err)
	}
	return content, nil
}

// GetJSON decodes what Get reads.
func GetJSON(ctx context.Context, client *http.Client, address, token string, into any) error {
	content, err := Get(ctx, client, address, token, "application/json")
	if err != nil {
		return err
	}
	if json.Unmarshal(content, into) != nil { // the error may quote the answer
		return fmt.Errorf("%w: its answer is not the JSON it should be", identity.ErrUnavailable)
	}
	return nil
}

// Unavailable is the error of a call that failed, without its address, which
// may hold a secret.
func Unavailable(doing string, err error) error {
	var call *url.Error
	if errors.As(err, &call) {
		err = call.Err
	}
	return fmt.Errorf("%w: %s: %w", identity.ErrUnavailable, doing, err)
}
