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
	"sigs.k8s.io/yaml"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
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

// withoutCreation returns a write that creates nothing, unless the caller may create
// the object: Kubernetes asks for the verb create as well, but of a member of the
// authorized group. The object has to exist, and the write is bound to its UID, so that
// it does not create the object anew when that is deleted meanwhile.
func (p *Proxy) withoutCreation(w http.ResponseWriter, r *http.Request, info *request.Info, who user.Info) (*http.Request, error) {
	if p.options.Authorizer == nil || !createsMissing(r, info) {
		return r, nil
	}
	attributes := authz.AttributesOf(info)
	attributes.User, attributes.Verb = who, "create"
	decision, reason, err := p.options.Authorizer.Authorize(r.Context(), attributes)
	if err != nil || decision == authorizer.DecisionAllow {
		return r, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return r, err
	}
	existing, err := p.before(r, info)
	if err != nil {
		return r, err
	}
	if existing == nil {
		if _, err := p.dryRun(r, body); err != nil {
			return r, err // most types are not created by replacing
		}
		return r, authz.Forbidden(attributes, reason)
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch media {
	case "", "application/json", "application/yaml", string(types.ApplyYAMLPatchType):
		var object map[string]any
		if err := yaml.Unmarshal(body, &object); err != nil || object == nil {
			return r, status.BadRequest("the body is not an object")
		}
		metadata, _ := object["metadata"].(map[string]any)
		if metadata == nil {
			metadata = map[string]any{}
			object["metadata"] = metadata
		}
		if uid, _ := metadata["uid"].(string); uid == "" { // another one is refused by Kubernetes
			metadata["uid"] = string(existing.GetUID())
		}
		if body, err = json.Marshal(object); err != nil {
			return r, err
		}
	case string(types.ApplyCBORPatchType):
		return r, status.UnsupportedMediaType(media, string(types.ApplyYAMLPatchType))
	}
	return withBody(r, body), nil
}

// withBody returns a request with another body.
func withBody(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return r
}
