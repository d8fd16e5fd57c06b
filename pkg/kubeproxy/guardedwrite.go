package kubeproxy

import (
	"bytes"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// retryWithin bounds how long a guarded write is tried again on a fresh object.
const retryWithin = 30 * time.Second

// forwardInspected forwards a write that is inspected: one that is guarded, or that must
// not create the object, which is denied then.
func (p *Proxy) forwardInspected(w http.ResponseWriter, r *http.Request, info *request.Info, who user.Info, denied error) {
	body, err := readBody(w, r, maxBody)
	if err == nil {
		body, err = p.unambiguous(r, body)
	}
	if err == nil && denied != nil {
		body, err = p.inspectCreation(r, info, body, denied)
	}
	switch {
	case err != nil:
		status.Write(w, r, err)
	case p.guards(info):
		p.forwardGuarded(w, withBody(r, body), info, who, body)
	default:
		p.forward(w, withBody(r, body), info)
	}
}

// unambiguous is unambiguousBody as an inspection.
func (p *Proxy) unambiguous(r *http.Request, body []byte) ([]byte, error) {
	release, err := p.inspections.Take(r.Context(), turns.HolderFrom(r.Context()))
	if err != nil {
		return nil, err
	}
	defer release()
	return unambiguousBody(r.Context(), turns.HolderFrom(r.Context()), r.Header.Get("Content-Type"), body)
}

// inspectCreation is withoutCreation as an inspection.
func (p *Proxy) inspectCreation(r *http.Request, info *request.Info, body []byte, denied error) ([]byte, error) {
	release, err := p.inspections.Take(r.Context(), turns.HolderFrom(r.Context()))
	if err != nil {
		return nil, err
	}
	defer release()
	return p.withoutCreation(r, info, body, denied)
}

// guardedWrite is a write that was checked.
type guardedWrite struct {
	request  *http.Request
	warnings []string
	// release gives back the room that was reserved for a new object.
	release func()
}

// forwardGuarded forwards a write whose outcome the caller may bring about. The outcome
// that was checked is bound to a version of the object; when another client was faster,
// and the client named no version itself, the write is checked and tried again, as
// kube-apiserver does with such writes.
func (p *Proxy) forwardGuarded(w http.ResponseWriter, r *http.Request, info *request.Info, who user.Info, body []byte) {
	p.forwardOnPresent(w, r, info, retriesConflicts(r, body), func() (*guardedWrite, error) { return p.guard(r, info, who, body) })
}

// forwardOnPresent forwards a write that check returns for the present state of its object,
// and where it retries, again when another client was faster.
func (p *Proxy) forwardOnPresent(w http.ResponseWriter, r *http.Request, info *request.Info, retries bool, check func() (*guardedWrite, error)) {
	until, warnings := time.Now().Add(retryWithin), slices.Clone(w.Header()["Warning"])
	for p.tryGuarded(w, r, info, retries && time.Now().Before(until), warnings, check) {
	}
}

// tryGuarded checks a write and forwards it, and reports whether it is to be tried again,
// since another client was faster. warnings are those of the answer to come. When the client
// has gone, forwarding panics.
func (p *Proxy) tryGuarded(w http.ResponseWriter, r *http.Request, info *request.Info, retry bool, warnings []string, check func() (*guardedWrite, error)) (again bool) {
	release, err := p.inspections.Take(r.Context(), turns.HolderFrom(r.Context()))
	if err != nil {
		status.Write(w, r, err)
		return false
	}
	defer release()
	checked, err := check()
	if err != nil {
		status.Write(w, r, err)
		return false
	}
	w.Header().Del("Warning")
	for _, warning := range warnings {
		w.Header().Add("Warning", warning)
	}
	for _, warning := range checked.warnings {
		route.WriteWarning(w, "%s", warning)
	}
	answer := &conflictRecorder{ResponseWriter: w, method: r.Method, retry: retry, answered: release}
	p.forwardChecked(answer, checked, info)
	if answer.conflicted() && r.Context().Err() == nil {
		return true
	}
	release()
	answer.replay()
	return false
}

// forwardChecked forwards a write and gives back what it reserved, also when the client
// has gone and the connection is aborted.
func (p *Proxy) forwardChecked(w http.ResponseWriter, write *guardedWrite, info *request.Info) {
	defer write.release()
	p.forward(w, write.request, info)
}

// retriesConflicts reports whether a client leaves the version of the object to write to
// the server: it replaces, merges or applies the object without a version, or sends a JSON
// patch, whose own tests fail again on a fresh object. Conflicts between managers of fields
// are those of the dry run before.
func retriesConflicts(r *http.Request, body []byte) bool {
	if r.Method == http.MethodPut {
		return !namesVersion(body)
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch types.PatchType(media) {
	case types.JSONPatchType:
		return r.Method == http.MethodPatch
	case types.MergePatchType, types.StrategicMergePatchType, types.ApplyYAMLPatchType: // see pinned
		return !namesVersion(body)
	}
	return false
}

// namesVersion reports whether an object in JSON has a version. Of one in another
// encoding that is not known, so that it counts as one that has.
func namesVersion(body []byte) bool {
	var object struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	return strictjson.Unmarshal(body, &object) != nil || object.Metadata.ResourceVersion != ""
}

// conflictRecorder passes an answer on, but for one that may say that the object has
// changed since it was looked at: that it keeps.
type conflictRecorder struct {
	http.ResponseWriter
	method string
	retry  bool
	// answered is called when an answer begins: a client that reads it slowly holds
	// nothing meanwhile.
	answered func()
	header   http.Header
	code     int // of an answer that is kept
	body     bytes.Buffer
}

// Header implements http.ResponseWriter. The headers are sent with the answer that
// is passed on.
func (c *conflictRecorder) Header() http.Header {
	if c.header == nil {
		c.header = c.ResponseWriter.Header().Clone()
	}
	return c.header
}

// WriteHeader implements http.ResponseWriter.
func (c *conflictRecorder) WriteHeader(code int) {
	c.answered()
	if c.retry && (code == http.StatusConflict || code == http.StatusUnprocessableEntity && c.method == http.MethodPatch) {
		c.code = code
		return
	}
	maps.Copy(c.ResponseWriter.Header(), c.Header())
	c.ResponseWriter.WriteHeader(code)
}

// Write implements io.Writer.
func (c *conflictRecorder) Write(data []byte) (int, error) {
	if c.code != 0 {
		return c.body.Write(data)
	}
	return c.ResponseWriter.Write(data)
}

// FlushError implements what http.ResponseController looks for.
func (c *conflictRecorder) FlushError() error { return nil }

// SetWriteDeadline implements what http.ResponseController looks for.
func (c *conflictRecorder) SetWriteDeadline(end time.Time) error {
	return http.NewResponseController(c.ResponseWriter).SetWriteDeadline(end)
}

// conflicted reports whether the object has changed. A JSON patch is bound to a version
// by a test, which fails with 422 and without a reason; any other cause of it fails the
// dry run of the next try as well.
func (c *conflictRecorder) conflicted() bool { return c.code != 0 }

// replay passes an answer on that was kept.
func (c *conflictRecorder) replay() {
	if c.code == 0 {
		return
	}
	maps.Copy(c.ResponseWriter.Header(), c.Header())
	c.ResponseWriter.WriteHeader(c.code)
	_, _ = c.ResponseWriter.Write(c.body.Bytes())
}

// mayReplace reports whether the caller holds all rights that the new object grants,
// whatever the object was before. Then the write need not be bound to a version, which
// protects what another client takes away meanwhile. outcome decides about the new
// object alone.
func (p *Proxy) mayReplace(r *http.Request, info *request.Info, who user.Info, body []byte, outcome func() error) bool {
	if r.Method == http.MethodPut && namesVersion(body) {
		return false
	}
	if administers, err := p.rights.Administers(r.Context(), who); err == nil && administers {
		return true
	}
	// Roles and bindings give what they say and nothing else. What other objects lose
	// by a write decides, too.
	return r.Method == http.MethodPut && info.APIGroup == rbacv1.GroupName && outcome() == nil
}
