package kubeproxy

import (
	"context"
	"mime"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// unambiguousBody returns a body that every reader understands alike: JSON without a key
// twice, to which YAML is converted in the turn of a holder. What is not JSON is left to
// Kubernetes, and so are protobuf, of a bounded complexity, and CBOR, which this server
// forwards as they came: it reads what Kubernetes makes of them, see decodeAnswer.
func unambiguousBody(ctx context.Context, holder, contentType string, body []byte) ([]byte, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return body, nil //nolint:nilerr // Kubernetes refuses the media type
	}
	switch media {
	case "", runtime.ContentTypeJSON, string(types.MergePatchType), string(types.StrategicMergePatchType), string(types.JSONPatchType):
		if err := strictjson.CheckKeys(body); strictjson.IsRefusal(err) {
			return nil, status.BadRequest("strict decoding error: %v", err)
		}
	case runtime.ContentTypeProtobuf:
		if isProtobufTooComplex(body) {
			return nil, status.New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "the body has too many values")
		}
	case runtime.ContentTypeYAML, string(types.ApplyYAMLPatchType):
		return route.JSONFromYAML(ctx, holder, body, "strict decoding error")
	}
	return body, nil
}
