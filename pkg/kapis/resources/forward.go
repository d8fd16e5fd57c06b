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
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
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
		if r.Method == http.MethodPatch {
			return d.patchConfined(w, r, t, body)
		}
		if body, err = d.confine(r, t, body); err != nil {
			return err
		}
	}
	return d.forward(w, r, t, r.URL.RawQuery, body)
}

// maxConfinedTries bounds how often a patch below a workspace is tried on an object that
// other clients change meanwhile.
const maxConfinedTries = 5

// confine keeps what is written below a workspace in it: the path is what the
// caller was authorized for. The body is decoded once, and what was decided on is
// what is forwarded.
func (d *Dynamic) confine(r *http.Request, t target, body []byte) ([]byte, error) {
	if r.Method != http.MethodPost {
		if err := d.belongs(r, t); err != nil {
			return nil, err
		}
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.Header.Get("Content-Type") != "" && (err != nil || media != "application/json") {
			return nil, status.UnsupportedMediaType(r.Header.Get("Content-Type"), "application/json")
		}
		object, err := strictjson.Object(body)
		if err != nil {
			return nil, status.BadRequest("the body is not an object in JSON: %v", err)
		}
		for _, path := range [][]string{{"metadata"}, {"metadata", "labels"}} {
			if value, found, _ := unstructured.NestedFieldNoCopy(object, path...); found && value == nil {
				unstructured.RemoveNestedField(object, path...) // null is none
			}
		}
		if err := unstructured.SetNestedField(object, t.workspace, "metadata", "labels", workspaceLabel); err != nil {
			return nil, status.BadRequest("the body is not an object of Kubernetes: %v", err)
		}
		return json.Marshal(object)
	}
	return body, nil
}

// patchConfined patches an object below a workspace, and leaves it there. What a patch
// makes of an object is for Kubernetes to say, so that it is tried. The patch that is sent
// applies to the version it was tried on; when another client was faster it is tried again.
func (d *Dynamic) patchConfined(w http.ResponseWriter, r *http.Request, t target, body []byte) error {
	if err := d.belongs(r, t); err != nil {
		return err
	}
	query := r.URL.Query()
	query.Set(request.ParameterDryRun, "All")
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	for try := 1; ; try++ {
		tried := newCapture()
		if err := d.send(tried, r, t, query.Encode(), body); err != nil {
			return err
		}
		if tried.code != http.StatusOK {
			return d.respond(w, r, t, body, tried)
		}
		metadata := gjson.GetBytes(tried.body.Bytes(), "metadata")
		version := metadata.Get("resourceVersion").String()
		if metadata.Get(`labels.kubesphere\.io/workspace`).String() != t.workspace || version == "" {
			return status.BadRequest("a patch below a workspace cannot move the object to another")
		}
		bound, err := route.BindPatch(r.Context(), turns.HolderFrom(r.Context()), media, body, version)
		if err != nil {
			return err
		}
		written := newCapture()
		if err := d.send(written, r, t, r.URL.RawQuery, bound); err != nil {
			return err
		}
		if try == maxConfinedTries || written.code != http.StatusConflict && written.code != http.StatusUnprocessableEntity {
			return d.respond(w, r, t, bound, written)
		}
	}
}

// forward sends the request and passes the answer on.
func (d *Dynamic) forward(w http.ResponseWriter, r *http.Request, t target, query string, body []byte) error {
	answer := newCapture()
	if err := d.send(answer, r, t, query, body); err != nil {
		return err
	}
	return d.respond(w, r, t, body, answer)
}

// respond passes the answer of Kubernetes to a body on, and notes what was written.
func (d *Dynamic) respond(w http.ResponseWriter, r *http.Request, t target, body []byte, answer *capture) error {
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
