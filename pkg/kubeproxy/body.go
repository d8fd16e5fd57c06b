package kubeproxy

import (
	"context"
	"errors"
	"mime"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// unambiguousBody returns a body that every reader understands alike: JSON without a key
// twice, to which YAML is converted. What is not JSON is left to Kubernetes, and so are
// protobuf and CBOR, which this server forwards as they came.
func unambiguousBody(ctx context.Context, contentType string, body []byte) ([]byte, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return body, nil //nolint:nilerr // Kubernetes refuses the media type
	}
	switch media {
	case "", runtime.ContentTypeJSON, string(types.MergePatchType), string(types.StrategicMergePatchType), string(types.JSONPatchType):
		if err := strictjson.CheckKeys(body); strictjson.IsRefusal(err) {
			return nil, status.BadRequest("strict decoding error: %v", err)
		}
	case runtime.ContentTypeYAML, string(types.ApplyYAMLPatchType):
		text, err := strictjson.FromYAML(ctx, body)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, status.BadRequest("strict decoding error: %v", err)
		}
		if err := strictjson.CheckKeys(text); errors.Is(err, strictjson.ErrTooComplex) {
			return nil, status.BadRequest("strict decoding error: %v", err)
		}
		return text, nil
	}
	return body, nil
}
