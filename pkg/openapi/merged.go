package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	openapiv2 "github.com/google/gnostic-models/openapiv2"
	"github.com/tidwall/gjson"
	"google.golang.org/protobuf/proto"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// V3Path is where the OpenAPI 3.0 document of our operations is served. Kubernetes'
// index of such documents, at /openapi/v3, names it beside its own.
const V3Path = "/openapi/v3/kapis"

// mediaProtobuf is how clients of Kubernetes ask for the Swagger 2.0 document.
const mediaProtobuf = "com.github.proto-openapi.spec.v2"

// merged are the documents of our operations together with those of Kubernetes,
// where both have theirs. Kubernetes shows its own to who is logged in, as the
// caller; everybody else sees ours alone.
type merged struct {
	kubernetes http.Handler
	ours       func() *rendered
	// joining are the turns in which documents are asked for and put together.
	joining *turns.Turns
	// joined are the latest Swagger 2.0 documents, by whether they are in protobuf.
	// All answers share them, however slowly they are read.
	joined [2]atomic.Pointer[joinedDocument]
}

// joinedDocument is a document of Kubernetes with ours.
type joinedDocument struct {
	theirs, ours string // the entity tag of Kubernetes, and our hash
	contentType  string
	body         []byte
}

// joinsAtOnce is small: a document takes several megabytes while it is put together.
const (
	joinsAtOnce = 2
	joinWait    = 15 * time.Second
)

func newMerged(kubernetes http.Handler, ours func() *rendered) *merged {
	return &merged{kubernetes: kubernetes, ours: ours, joining: turns.New(joinsAtOnce, 1, joinWait, "as many documents are put together as can be at the moment, try again later")}
}

// binary is a Swagger 2.0 document in the protobuf of Kubernetes' clients.
func binary(v2 []byte) ([]byte, error) {
	parsed, err := openapiv2.ParseDocument(v2)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(parsed)
}

// index is Kubernetes' index of its OpenAPI 3.0 documents, with ours.
func (m *merged) index(w http.ResponseWriter, r *http.Request) {
	var index struct {
		Paths map[string]json.RawMessage `json:"paths"`
	}
	answer := m.ask(r, "application/json", "")
	if !answer.serves(w, &index) {
		return
	}
	if index.Paths == nil {
		index.Paths = make(map[string]json.RawMessage)
	}
	index.Paths["kapis"] = json.RawMessage(fmt.Sprintf(`{"serverRelativeURL":%q}`, V3Path+"?hash="+m.ours().hash))
	w.Header().Add("Vary", "Authorization")
	status.WriteJSON(w, http.StatusOK, index)
}

// swagger is Kubernetes' Swagger 2.0 document, with ours.
func (m *merged) swagger(w http.ResponseWriter, r *http.Request) {
	media := "application/json"
	if asked := r.Header.Get("Accept"); strings.Contains(asked, mediaProtobuf) {
		media = asked
	}
	document := m.document(w, r, media)
	if document == nil {
		return
	}
	header := w.Header()
	header.Set("Content-Type", document.contentType)
	header.Add("Vary", "Accept, Authorization")
	if document.theirs != "" {
		tag := `"` + document.theirs + "-" + document.ours + `"`
		header.Set("Etag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(document.body)))
	_, _ = w.Write(document.body)
}

// document returns the document of Kubernetes with ours, nil when the request has
// been answered. Kubernetes is asked each time, as the caller; what it answers is
// not kept while the client reads, but the latest document, which is the same.
func (m *merged) document(w http.ResponseWriter, r *http.Request, media string) *joinedDocument {
	release, err := m.joining.Take(r.Context(), turns.HolderFrom(r.Context()))
	if err != nil {
		status.Write(w, r, err)
		return nil
	}
	defer release()
	mine := m.ours()
	latest := &m.joined[0]
	if media != "application/json" {
		latest = &m.joined[1]
	}
	known, kept := latest.Load(), ""
	if known != nil && known.ours == mine.hash {
		kept = known.theirs
	}
	// The document costs Kubernetes some milliseconds, and that it is the same nothing.
	answer := m.ask(r, media, kept)
	if kept != "" && answer.code == http.StatusNotModified {
		return known
	}
	if !answer.serves(w, nil) {
		return nil
	}
	tag := tagOf(answer)
	// What one writes behind the other, a reader of protobuf reads as one.
	isBinary := strings.Contains(answer.header.Get("Content-Type"), mediaProtobuf)
	result := &joinedDocument{theirs: tag, ours: mine.hash, contentType: "application/json", body: mine.v2}
	switch {
	case answer.body.Len() == 0:
		return result
	case isBinary:
		var ours []byte
		result.contentType = answer.header.Get("Content-Type")
		if ours, err = mine.protobuf(); err == nil {
			result.body = append(ours[:len(ours):len(ours)], answer.body.Bytes()...)
		}
	default:
		result.body, err = join(answer.body.Bytes(), mine.v2)
	}
	if err != nil {
		status.Write(w, r, err)
		return nil
	}
	if result.theirs != "" && isBinary == (latest == &m.joined[1]) {
		latest.Store(result)
	}
	return result
}

// tagOf is the entity tag of an answer, without its quotes.
func tagOf(answer *document) string { return strings.Trim(answer.header.Get("Etag"), `"`) }

// ask gets a document from Kubernetes, an empty one for who may not see it. One that has an
// entity tag already is answered with 304.
func (m *merged) ask(r *http.Request, accept, kept string) *document {
	answer := &document{header: http.Header{}, code: http.StatusOK}
	if who, found := kuberequest.UserFrom(r.Context()); !found || who.GetName() == user.Anonymous {
		return answer
	}
	r = r.Clone(r.Context())
	r.Method = http.MethodGet
	r.Header.Set("Accept", accept)
	for _, name := range []string{"Accept-Encoding", "If-None-Match", "If-Modified-Since", "Upgrade"} {
		r.Header.Del(name)
	}
	if kept != "" {
		r.Header.Set("If-None-Match", `"`+kept+`"`)
	}
	m.kubernetes.ServeHTTP(answer, r)
	return answer
}

// join puts the parts of one document in JSON into another that has others.
func join(into, from []byte) ([]byte, error) {
	var joined bytes.Buffer
	joined.Grow(len(into) + len(from))
	last := 0 // what is written of the first; its parts come in any order
	for key, there := range gjson.ParseBytes(into).ForEach {
		more := gjson.GetBytes(from, gjson.Escape(key.Str))
		if !slices.Contains([]string{"paths", "definitions", "securityDefinitions"}, key.Str) || !there.IsObject() || !more.IsObject() {
			continue
		}
		inner := strings.TrimSpace(more.Raw)
		inner = strings.TrimSpace(inner[1 : len(inner)-1])
		joined.Write(into[last : there.Index+1])
		last = there.Index + 1
		joined.WriteString(inner)
		if inner != "" && strings.TrimSpace(there.Raw[1:len(there.Raw)-1]) != "" {
			joined.WriteByte(',')
		}
	}
	joined.Write(into[last:])
	if !json.Valid(joined.Bytes()) {
		return nil, fmt.Errorf("the document of Kubernetes is no JSON: %.100q", into)
	}
	return joined.Bytes(), nil
}

// document is an answer of Kubernetes.
type document struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (d *document) Header() http.Header { return d.header }

// WriteHeader implements http.ResponseWriter.
func (d *document) WriteHeader(code int) { d.code = code }

// Write implements http.ResponseWriter.
func (d *document) Write(data []byte) (int, error) { return d.body.Write(data) }

// serves passes an answer on that is no document, and else reads it, when it is
// given something to read it into.
func (d *document) serves(w http.ResponseWriter, into any) bool {
	if d.code == http.StatusOK && (into == nil || d.body.Len() == 0 || json.Unmarshal(d.body.Bytes(), into) == nil) {
		return true
	}
	for name, values := range d.header {
		w.Header()[name] = values
	}
	w.WriteHeader(d.code)
	_, _ = w.Write(d.body.Bytes())
	return false
}
