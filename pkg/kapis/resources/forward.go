package resources

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// write hands a request to Kubernetes and answers with what it says, without
// what is never shown here. Who reads the type next finds what was written.
func (d *Dynamic) write(w http.ResponseWriter, r *http.Request) error {
	t, err := d.target(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, d.MaxBodyBytes))
	if err != nil {
		return err
	}
	if t.workspace != "" {
		if body, err = d.confine(r, t, body); err != nil {
			return err
		}
	}
	return d.forward(w, r, t, r.URL.RawQuery, body)
}

// confine keeps what is written below a workspace in it: the path is what the
// caller was authorized for.
func (d *Dynamic) confine(r *http.Request, t target, body []byte) ([]byte, error) {
	if r.Method != http.MethodPost {
		if err := d.belongs(r, t); err != nil {
			return nil, err
		}
	}
	const label = `metadata.labels.kubesphere\.io/workspace`
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.Header.Get("Content-Type") != "" && (err != nil || media != "application/json") {
			return nil, status.UnsupportedMediaType(r.Header.Get("Content-Type"), "application/json")
		}
		if !json.Valid(body) || !gjson.ParseBytes(body).IsObject() {
			return nil, status.BadRequest("the body is not an object in JSON")
		}
		return sjson.SetBytes(body, label, t.workspace)
	case http.MethodPatch:
		// What a patch makes of an object is for Kubernetes to say.
		query := r.URL.Query()
		query.Set(request.ParameterDryRun, "All")
		tried := newCapture()
		if err := d.send(tried, r, t, query.Encode(), body); err != nil {
			return nil, err
		}
		if tried.code == http.StatusOK && gjson.GetBytes(tried.body.Bytes(), label).String() != t.workspace {
			return nil, status.BadRequest("a patch below a workspace cannot move the object to another")
		}
	}
	return body, nil
}

// forward sends the request and passes the answer on.
func (d *Dynamic) forward(w http.ResponseWriter, r *http.Request, t target, query string, body []byte) error {
	answer := newCapture()
	if err := d.send(answer, r, t, query, body); err != nil {
		return err
	}
	text := answer.body.String()
	if object := gjson.Parse(text); answer.code < http.StatusMultipleChoices {
		if object.Get("kind").Str == t.kind.Kind {
			var err error
			if text, err = t.kind.Clean(text, d.secretsShown(r, t.kind, t.namespace)); err != nil {
				return err
			}
		}
		info := request.InfoFrom(r.Context())
		dryRun := info != nil && info.Parameters.Has(request.ParameterDryRun) || r.Method == http.MethodDelete && gjson.GetBytes(body, "dryRun.0").Exists()
		if !dryRun {
			if r.Method == http.MethodDelete {
				d.Cache.Removed(r.Context(), t.kind, t.namespace, t.name)
			} else {
				d.Cache.Wrote(t.kind, object.Get("metadata.resourceVersion").String())
			}
		}
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(answer.code)
	_, _ = io.WriteString(w, text)
	return nil
}

// send gives Kubernetes the request as if it had come to its own path, once that
// request is authorized: below a workspace the path here says less than the one there.
func (d *Dynamic) send(answer *capture, r *http.Request, t target, query string, body []byte) error {
	to := r.Clone(r.Context())
	to.URL.Path = "/apis" + strings.TrimPrefix(r.URL.Path, "/kapis")
	to.URL.RawPath = ""
	if r.URL.RawPath != "" {
		to.URL.RawPath = "/apis" + strings.TrimPrefix(r.URL.RawPath, "/kapis")
	}
	// Below a workspace is a place of ours; to Kubernetes the type belongs to
	// the cluster.
	if t.workspace != "" {
		to.URL.RawPath = ""
		to.URL.Path = strings.Replace(to.URL.Path, "/workspaces/"+t.workspace+"/", "/", 1)
	}
	to.URL.RawQuery = query
	to.Body, to.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	to.Header.Set("Accept", "application/json")
	to.Header.Del("Accept-Encoding")
	to.Header.Del("Upgrade")
	to, err := authz.AuthorizeRewritten(to, d.Authorizer, func(info *request.Info) {
		// The object is of the workspace: confine has seen to it.
		if t.workspace != "" && authz.OfWorkspace(info.APIGroup, info.Resource) {
			info.InWorkspace(t.workspace)
		}
	})
	if err != nil {
		return err
	}
	d.Kubernetes.ServeHTTP(answer, to)
	return nil
}

// capture keeps an answer. Objects are at most a few megabytes, which is what
// Kubernetes stores.
type capture struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func newCapture() *capture { return &capture{header: http.Header{}, code: http.StatusOK} }

func (c *capture) Header() http.Header { return c.header }

func (c *capture) WriteHeader(code int) { c.code = code }

func (c *capture) Write(data []byte) (int, error) { return c.body.Write(data) }

// Flush implements http.Flusher: there is nobody to flush to.
func (c *capture) Flush() {}
