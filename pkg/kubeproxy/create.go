package kubeproxy

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// createsMissing reports whether a write could create the object it is about: Kubernetes
// creates what is applied, and of some types what is replaced, when it is not there.
func createsMissing(r *http.Request, info *request.Info) bool {
	if info.Subresource != "" || info.Name == "" {
		return false
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return info.Verb == "update" || info.Verb == "patch" && (media == string(types.ApplyYAMLPatchType) || media == string(types.ApplyCBORPatchType))
}

// creationDenied returns why the caller may not create the object that a write would
// create if it were missing. It is nil when the caller may, and when the write creates
// nothing. Kubernetes asks for the verb create as well, but of a member of the
// authorized group.
func (p *Proxy) creationDenied(r *http.Request, info *request.Info, who user.Info) (denied, err error) {
	if p.options.Authorizer == nil || !createsMissing(r, info) {
		return nil, nil
	}
	attributes := authz.AttributesOf(info)
	attributes.User, attributes.Verb = who, "create"
	decision, reason, err := p.options.Authorizer.Authorize(r.Context(), attributes)
	if err != nil || decision == authorizer.DecisionAllow {
		return nil, err
	}
	return authz.Forbidden(attributes, reason), nil
}

// withoutCreation returns the body of a write that creates nothing. The object has to
// exist, and the write is bound to its UID, so that it does not create the object anew
// when that is deleted meanwhile. For an object that is missing the error is denied.
func (p *Proxy) withoutCreation(r *http.Request, info *request.Info, body []byte, denied error) ([]byte, error) {
	existing, err := p.before(r, info)
	if err != nil {
		return nil, err
	}
	if existing == nil {
		if _, err := p.dryRun(r, body); err != nil {
			return nil, err // most types are not created by replacing
		}
		return nil, denied
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch media {
	case "", "application/json", "application/yaml", string(types.ApplyYAMLPatchType):
		object, err := strictjson.Object(body) // YAML was converted
		if err != nil {
			return nil, status.BadRequest("the body is not an object: %v", err)
		}
		metadata, _ := object["metadata"].(map[string]any)
		if metadata == nil {
			metadata = map[string]any{}
			object["metadata"] = metadata
		}
		if uid, _ := metadata["uid"].(string); uid == "" { // another one is refused by Kubernetes
			metadata["uid"] = string(existing.GetUID())
		}
		return json.Marshal(object)
	case string(types.ApplyCBORPatchType):
		return nil, status.UnsupportedMediaType(media, string(types.ApplyYAMLPatchType))
	}
	return body, nil
}

// withBody returns a request with another body.
func withBody(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return r
}
