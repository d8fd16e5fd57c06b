package route

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

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
	var after []byte
	switch media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media {
	case "application/json-patch+json":
		operations, err := jsonpatch.DecodePatch(body)
		if err != nil {
			return status.BadRequest("the body is not a JSON patch")
		}
		if after, err = operations.Apply(before); err != nil {
			return status.New(http.StatusUnprocessableEntity, "Invalid", "the patch cannot be applied: %v", err)
		}
	case "", "application/json", "application/merge-patch+json":
		if after, err = jsonpatch.MergePatch(before, body); err != nil {
			return status.BadRequest("the body is not a merge patch")
		}
	default:
		return status.UnsupportedMediaType(media, "application/merge-patch+json or application/json-patch+json")
	}
	if err := json.Unmarshal(after, into); err != nil {
		return DecodeError("the patched object", err, into)
	}
	return nil
}
