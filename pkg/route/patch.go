package route

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/super-kubenetes/ks-apiserver/pkg/jsonpatch"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// PatchType is the media type of a patch. An array that is sent as a merge patch, or
// as JSON, is a JSON patch, as KubeSphere's clients send it: RFC 7396 would replace the
// object by it.
func PatchType(media string, body []byte) string {
	switch media {
	case "", "application/json", "application/merge-patch+json":
		if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
			return "application/json-patch+json"
		}
	}
	return media
}

// Patched applies the patch in the body of a request to an object: a merge
// patch (RFC 7396), or a JSON patch (RFC 6902) when the media type says so.
// The result is as untrusted as a whole object from the same client.
func Patched(r *http.Request, present, into any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body)) // it may be applied again to what changed meanwhile
	before, err := json.Marshal(present)
	if err != nil {
		return err
	}
	after, err := ApplyPatch(r.Header.Get("Content-Type"), before, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(after, into); err != nil {
		return DecodeError("the patched object", err, into)
	}
	return nil
}

// ApplyPatch applies a patch of a media type to an object in JSON: a JSON patch
// (RFC 6902) when the media type says so or the patch is an array, else a merge patch
// (RFC 7396). pkg/jsonpatch bounds what a patch costs. Errors are statuses: 400 for a
// malformed patch, 413 beyond a limit, 415 for another media type and 422 for a patch that
// cannot be applied to this object.
func ApplyPatch(contentType string, object, patch []byte) ([]byte, error) {
	media, _, _ := mime.ParseMediaType(contentType)
	apply, kind := jsonpatch.Merge, "merge patch"
	switch PatchType(media, patch) {
	case "application/json-patch+json":
		apply, kind = jsonpatch.Apply, "JSON patch"
	case "", "application/json", "application/merge-patch+json":
	default:
		return nil, status.UnsupportedMediaType(media, "application/merge-patch+json or application/json-patch+json")
	}
	if err := strictjson.CheckKeys(patch); strictjson.IsRefusal(err) {
		return nil, status.BadRequest("the body is not a %s: %v", kind, err)
	}
	patched, err := apply(object, patch)
	switch {
	case errors.Is(err, jsonpatch.ErrMalformed):
		return nil, status.BadRequest("the body is not a %s: %v", kind, err)
	case errors.Is(err, jsonpatch.ErrTooLarge):
		return nil, status.New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "%v", err)
	case err != nil:
		return nil, status.New(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "the patch cannot be applied: %v", err)
	}
	return patched, nil
}

// BindPatch returns a patch of a media type that applies to one version of an object
// alone: otherwise it is a conflict, or for a JSON patch a failed test (422). Other patches
// are JSON or YAML, which is converted in the turn of a holder.
func BindPatch(ctx context.Context, holder, media string, body []byte, version string) ([]byte, error) {
	if PatchType(media, body) == "application/json-patch+json" {
		var operations []json.RawMessage
		if err := json.Unmarshal(body, &operations); err != nil {
			return nil, status.BadRequest("the body is no JSON patch")
		}
		test, err := json.Marshal(map[string]string{"op": "test", "path": "/metadata/resourceVersion", "value": version})
		if err != nil {
			return nil, err
		}
		return json.Marshal(append([]json.RawMessage{test}, operations...))
	}
	text := body
	if !json.Valid(body) {
		var err error
		if text, err = JSONFromYAML(ctx, holder, body, "the body is no patch"); err != nil {
			return nil, err
		}
	}
	patch, err := strictjson.Object(text)
	if err != nil {
		return nil, status.BadRequest("the body is no patch: %v", err)
	}
	if err := unstructured.SetNestedField(patch, version, "metadata", "resourceVersion"); err != nil {
		return nil, status.BadRequest("the body is no patch: %v", err)
	}
	return json.Marshal(patch)
}

// JSONFromYAML is strictjson.FromYAML for the body of a request. Errors are those of the
// context and statuses: 400 with what is wrong, 413 for a body that is not converted and 429
// when the holder has no turn in time.
func JSONFromYAML(ctx context.Context, holder string, body []byte, wrong string) ([]byte, error) {
	text, err := strictjson.FromYAML(ctx, holder, body)
	switch {
	case err == nil || ctx.Err() != nil:
		return text, ctx.Err()
	case errors.Is(err, strictjson.ErrYAMLTooLarge):
		return nil, status.New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "%s: %v", wrong, err)
	case apierrors.IsTooManyRequests(err):
		return nil, err
	}
	return nil, status.BadRequest("%s: %v", wrong, err)
}
