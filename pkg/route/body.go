package route

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// Message is the answer to operations that have nothing else to say.
type Message struct {
	// Message is "success".
	Message string `json:"message" description:"Always success."`
}

// WriteSuccess answers that what was asked for is done.
func WriteSuccess(w http.ResponseWriter) { status.WriteJSON(w, http.StatusOK, Message{"success"}) }

// ReadJSON reads the body of a request into a value. Fields the value does not
// have are ignored, as clients send whole objects of other versions; a body
// that is no JSON, or of another media type, or a list of more than MaxEntries entries,
// is an error of the client.
func ReadJSON(r *http.Request, into any) error {
	body, err := ReadBody(r)
	if err != nil {
		return err
	}
	return Decode("the body", body, into)
}

// ReadBody reads the body of a request of a media type of JSON, any other is an error of the
// client. It is decoded by Decode.
func ReadBody(r *http.Request) ([]byte, error) {
	if given := r.Header.Get("Content-Type"); given != "" {
		media, _, err := mime.ParseMediaType(given)
		if err != nil || media != "application/json" && media != "application/merge-patch+json" && media != "application/json-patch+json" {
			return nil, status.UnsupportedMediaType(given, "application/json")
		}
	}
	return io.ReadAll(r.Body)
}

// Decode decodes the JSON of a client into a value. Name is what the JSON is called. An
// object that has a key twice is an error with status 400, since other readers of the text could
// take the other value, and so is one that takes too much memory.
func Decode(name string, text []byte, into any) error {
	if err := strictjson.CheckKeys(text); strictjson.IsRefusal(err) {
		return status.BadRequest("%s cannot be read: %v", name, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return DecodeError(name, err, into)
	}
	return checkList(into)
}

// WriteObject answers with an object in JSON.
func WriteObject(w http.ResponseWriter, object string, pretty bool) error {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	return ObjectStream(object).Write(w, nil, pretty)
}
