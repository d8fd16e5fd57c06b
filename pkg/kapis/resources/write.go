package resources

import (
	"encoding/json"
	"net/http"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// chunk is how much of a watch is put together before it is sent, in bytes.
const chunk = 64 << 10

// writeValue answers with a value that has to be encoded.
func writeValue(w http.ResponseWriter, value any, pretty bool) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return route.ObjectStream(string(encoded)).Write(w, nil, pretty)
}
