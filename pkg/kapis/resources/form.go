package resources

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
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
	switch include := metav1.IncludeObjectPolicy(r.URL.Query().Get(query.IncludeObject)); include {
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
	remaining := max(0, listed.Total-q.Offset()-len(listed.Items))
	switch {
	case f.as == asMetadata:
		return listHead("PartialObjectMetadataList", metav1.SchemeGroupVersion.String(), listed.VersionText(), remaining), "]}\n"
	case f.envelope == kubernetesEnvelope:
		return listHead(f.kind.Kind+"List", f.kind.GroupVersion().String(), listed.VersionText(), remaining), "]}\n"
	}
	if f.envelope == legacyEnvelope {
		return `{"items":[`, `],"total_count":` + strconv.Itoa(listed.Total) + "}\n"
	}
	return `{"items":[`, `],"totalItems":` + strconv.Itoa(listed.Total) + "}\n"
}

func listHead(kind, apiVersion, version string, remaining int) string {
	return `{"kind":"` + kind + `","apiVersion":"` + apiVersion + `","metadata":{"resourceVersion":"` + version + `","remainingItemCount":` + strconv.Itoa(remaining) + `},"items":[`
}

// writeList answers with a page.
func (f form) writeList(w http.ResponseWriter, r *http.Request, listed objects.Listed, q *query.Query) error {
	if f.as == asTable {
		table := f.kind.Table(listed.Items, f.include, f.secrets, f.now)
		table.ResourceVersion = listed.VersionText()
		if remaining := int64(listed.Total - q.Offset() - len(listed.Items)); remaining > 0 {
			table.RemainingItemCount = &remaining
		}
		return writeValue(w, table, q.Pretty)
	}
	head, tail := f.around(listed, q)
	b := body{head: head, tail: tail, count: len(listed.Items), text: func(n int) string { return listed.Items[n].Shown(f.secrets) }}
	if !f.plain() { // made once: a text is asked for to measure and to write it
		texts := make([]string, len(listed.Items))
		for n, item := range listed.Items {
			texts[n] = f.object(item)
		}
		b.text = func(n int) string { return texts[n] }
	}
	return b.write(w, r, q.Pretty)
}

// writeObject answers with an object.
func (f form) writeObject(w http.ResponseWriter, item *objects.Item, pretty bool) error {
	if f.as == asTable {
		table := f.kind.Table([]*objects.Item{item}, f.include, f.secrets, f.now)
		table.ResourceVersion = item.ResourceVersion()
		return writeValue(w, table, pretty)
	}
	return writeObject(w, f.object(item), pretty)
}
