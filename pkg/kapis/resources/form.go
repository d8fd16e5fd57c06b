package resources

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// as is what objects are shown as.
type as int

const (
	asObject as = iota
	asMetadata
	asTable
)

// envelope is what a list is wrapped in.
type envelope int

const (
	viewerEnvelope     envelope = iota // {"items","totalItems"}
	kubernetesEnvelope                 // a List of Kubernetes
	legacyEnvelope                     // {"items","total_count"}
)

// form is how an answer looks.
type form struct {
	kind       *objects.Type
	as         as
	envelope   envelope
	events     bool // server-sent events, for a watch
	secrets    bool
	include    metav1.IncludeObjectPolicy
	projection *query.Projection
	now        time.Time
}

// form reads what the client accepts.
func (h *Handler) form(r *http.Request, kind *objects.Type, namespace string) (form, error) {
	f := form{kind: kind, secrets: h.secretsShown(r, kind, namespace), now: h.Now()}
	var err error
	if f.as, f.events, err = accepted(r.Header.Get("Accept")); err != nil {
		return f, err
	}
	if f.as != asTable {
		return f, nil
	}
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return f, err
	}
	switch include := metav1.IncludeObjectPolicy(parameters.Get(query.IncludeObject)); include {
	case "", metav1.IncludeMetadata, metav1.IncludeNone, metav1.IncludeObject:
		f.include = include
	default:
		return f, status.BadRequest("%s must be None, Metadata or Object, not %q", query.IncludeObject, include)
	}
	return f, nil
}

const eventStream = "text/event-stream"

// accepted finds the first media type of an Accept header that is served here.
// Clients that name none of them get JSON, as browsers and old SDKs expect,
// unless what they name is a form of JSON there is not.
func accepted(header string) (shown as, events bool, err error) {
	if header == "" || header == "*/*" || header == "application/json" {
		return asObject, false, nil
	}
	unknown := ""
	for text := range strings.SplitSeq(header, ",") {
		media, parameters, err := mime.ParseMediaType(text)
		switch {
		case err != nil || parameters["q"] == "0":
			continue
		case media == eventStream:
			return asObject, true, nil
		case media != "application/json" && media != "*/*" && media != "application/*":
			continue
		}
		known := parameters["g"] == "" || parameters["g"] == metav1.GroupName && parameters["v"] == "v1"
		switch parameters["as"] {
		case "":
			return asObject, false, nil
		case "Table":
			if known {
				return asTable, false, nil
			}
		case "PartialObjectMetadataList", "PartialObjectMetadata":
			if known {
				return asMetadata, false, nil
			}
		}
		unknown = text
	}
	if unknown != "" {
		return 0, false, status.New(http.StatusNotAcceptable, metav1.StatusReasonNotAcceptable, "%s is not served here", strings.TrimSpace(unknown))
	}
	return asObject, false, nil
}

// tag tells answers of the same state apart.
func (f form) tag() string {
	tag := ""
	if !f.secrets {
		tag += "-masked"
	}
	if f.as == asMetadata {
		tag += "-metadata"
	}
	return tag
}

// plain reports whether objects are shown as they are stored.
func (f form) plain() bool { return f.as == asObject && f.projection == nil }

// object is an object as it is shown.
func (f form) object(item *objects.Item) string {
	shown := item.Shown(f.secrets)
	if f.as == asMetadata {
		shown = item.Metadata(f.secrets)
	}
	if f.projection != nil {
		shown = f.projection.Of(shown)
	}
	return shown
}

// around is what comes before and after the objects of a list.
func (f form) around(listed objects.Listed, q *query.Query) (head, tail string) {
	switch {
	case f.as == asMetadata:
		return listHead("PartialObjectMetadataList", metav1.SchemeGroupVersion.String(), f.listMeta(listed, q)), "]}"
	case f.envelope == kubernetesEnvelope:
		return listHead(f.kind.Kind+"List", f.kind.GroupVersion().String(), f.listMeta(listed, q)), "]}"
	case f.envelope == legacyEnvelope:
		return `{"items":[`, `],"total_count":` + strconv.Itoa(listed.Total) + "}"
	}
	return `{"items":[`, `],"totalItems":` + strconv.Itoa(listed.Total) + "}"
}

func listHead(kind, apiVersion string, meta metav1.ListMeta) string {
	head := `{"kind":"` + kind + `","apiVersion":"` + apiVersion + `","metadata":{"resourceVersion":"` + meta.ResourceVersion + `"`
	if meta.Continue != "" {
		head += `,"continue":"` + meta.Continue + `","remainingItemCount":` + strconv.FormatInt(*meta.RemainingItemCount, 10)
	}
	return head + `},"items":[`
}

// listMeta tells of which version a list is, and what is left of it: a token by
// which the next page is asked for, and how many objects come after this one.
func (f form) listMeta(listed objects.Listed, q *query.Query) metav1.ListMeta {
	meta := metav1.ListMeta{ResourceVersion: listed.VersionText()}
	next := q.Offset() + len(listed.Items)
	if remaining := int64(listed.Total - next); remaining > 0 && len(listed.Items) > 0 {
		meta.RemainingItemCount = &remaining
		meta.Continue = query.Continuation{Version: listed.Version(), Offset: next}.String()
	}
	return meta
}

// kubernetesList reports whether a list is answered in a form of Kubernetes, whose
// limit and continue have Kubernetes' meaning.
func (f form) kubernetesList() bool { return f.as != asObject || f.envelope == kubernetesEnvelope }

// writeList answers with a page. Objects that are not shown as they are stored are
// made one after the other, while the answer is sent.
func (f form) writeList(w http.ResponseWriter, r *http.Request, listed objects.Listed, q *query.Query) error {
	if f.as == asTable {
		return f.writeTable(w, r, listed, q)
	}
	head, tail := f.around(listed, q)
	return route.Stream{
		Head: head, Tail: tail, Count: len(listed.Items), Stored: f.plain() && listed.Derive == nil,
		Text: func(n int) (string, error) { return f.object(listed.Item(n)), nil },
	}.Write(w, r, q.Pretty)
}

// writeTable answers with a page as a table, whose rows are its elements.
func (f form) writeTable(w http.ResponseWriter, r *http.Request, listed objects.Listed, q *query.Query) error {
	table := f.kind.Table(nil, f.include, f.secrets, f.now)
	table.ListMeta = f.listMeta(listed, q)
	encoded, err := json.Marshal(table)
	if err != nil {
		return err
	}
	head, found := strings.CutSuffix(string(encoded), "]}")
	if !found {
		return errors.New("a table does not end with its rows")
	}
	return route.Stream{
		Head: head, Tail: "]}", Count: len(listed.Items),
		Text: func(n int) (string, error) {
			row, err := json.Marshal(f.kind.Row(listed.Item(n), f.include, f.secrets, f.now))
			return string(row), err
		},
	}.Write(w, r, q.Pretty)
}

// writeObject answers with an object.
func (f form) writeObject(w http.ResponseWriter, item *objects.Item, pretty bool) error {
	if f.as == asTable {
		table := f.kind.Table([]*objects.Item{item}, f.include, f.secrets, f.now)
		table.ResourceVersion = item.ResourceVersion()
		return writeValue(w, table, pretty)
	}
	return route.ObjectStream(f.object(item)).Write(w, nil, pretty)
}
