package kubeproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/coder/websocket"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// listsNamespaces reports whether a request lists or watches all namespaces,
// which everybody may do and sees the own ones.
func listsNamespaces(info *request.Info) bool {
	return (info.Verb == "list" || info.Verb == "watch") && info.APIGroup == "" && info.Resource == "namespaces" &&
		info.Namespace == "" && info.Name == "" && info.Subresource == ""
}

func namespacesSeen(verb string) authz.Action {
	return authz.Action{Verb: verb, Resource: "namespaces"}
}

func (p *Proxy) listNamespaces(w http.ResponseWriter, r *http.Request, who user.Info) {
	info := request.InfoFrom(r.Context())
	visible, err := p.rights.VisibleNamespaces(r.Context(), who, namespacesSeen(info.Verb))
	switch {
	case err != nil:
		status.Write(w, r, err)
		return
	case visible.All:
		p.forward(w, r, info)
		return
	}
	// What is filtered has to be readable, and its rows to have names.
	r = r.Clone(r.Context())
	var readable []string
	for accepted := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if strings.HasPrefix(strings.TrimSpace(accepted), "application/json") {
			readable = append(readable, accepted)
		}
	}
	r.Header.Set("Accept", strings.Join(append(readable, "application/json"), ","))
	r.Header.Del("Accept-Encoding")
	values := r.URL.Query()
	values.Del("includeObject")
	r.URL.RawQuery = values.Encode()
	if r.Header.Get("Upgrade") != "" {
		p.watchBySocket(w, r)
		return
	}
	p.namespaces.ServeHTTP(w, r)
}

// watchBySocket is the watch of the caller's namespaces over a WebSocket, a
// message for each event: what Kubernetes would send over one cannot be looked
// into on its way.
func (p *Proxy) watchBySocket(w http.ResponseWriter, r *http.Request) {
	info := request.InfoFrom(r.Context())
	if info.Verb != "watch" || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		status.Write(w, r, status.BadRequest("only a watch can be asked for over a WebSocket, and namespaces over nothing else"))
		return
	}
	if !sameSite(r) {
		status.Write(w, r, otherSite(r))
		return
	}
	question, err := p.question(r.Context(), http.MethodGet, r.URL, r.URL.Query(), http.Header{}, nil)
	if err != nil {
		status.Write(w, r, err)
		return
	}
	answer, err := p.lasting.RoundTrip(question)
	if err == nil {
		err = p.filter(answer) //nolint:contextcheck // it is the answer's
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
		status.Write(w, r, statusError(answer.StatusCode, text))
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // by sameSite
	if err != nil {
		return // it has been answered
	}
	defer func() { _ = conn.CloseNow() }()
	ctx := conn.CloseRead(r.Context())
	defer context.AfterFunc(ctx, func() { _ = answer.Body.Close() })()
	for decoder := json.NewDecoder(answer.Body); ; {
		var event json.RawMessage
		if err := decoder.Decode(&event); err != nil {
			_ = conn.Close(websocket.StatusNormalClosure, "the watch is over")
			return
		}
		if conn.Write(ctx, websocket.MessageText, event) != nil {
			return
		}
	}
}

// filter leaves of a list or watch of namespaces what the caller sees. It runs
// after kube-apiserver has answered.
func (p *Proxy) filter(answer *http.Response) error {
	switch {
	case answer.StatusCode == http.StatusSwitchingProtocols:
		return errors.New("the connection changes protocols unasked")
	case answer.StatusCode != http.StatusOK:
		return p.look(answer)
	case answer.Request.Method == http.MethodHead:
		return nil
	}
	ctx := answer.Request.Context()
	who, _ := kuberequest.UserFrom(ctx)
	verb := request.InfoFrom(ctx).Verb
	// Asked for each time: who is invited during a watch sees it at once.
	visible := func() (authz.Visible, error) { return p.rights.VisibleNamespaces(ctx, who, namespacesSeen(verb)) }
	if verb == "watch" {
		answer.Body = filteredWatch(answer.Body, visible)
		return nil
	}
	defer func() { _ = answer.Body.Close() }()
	seen, err := visible()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if text, err = filteredList(text, seen); err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	answer.ContentLength = int64(len(text))
	answer.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// named is an object, or a row of a table about one.
type named struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Object *named `json:"object"`
}

func (n *named) name() string {
	if n.Object != nil {
		return n.Object.Metadata.Name
	}
	return n.Metadata.Name
}

// filteredList leaves the visible items of a list, or rows of a table.
func filteredList(text []byte, seen authz.Visible) ([]byte, error) {
	var list map[string]json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	field := "items"
	if _, table := list["rows"]; table {
		field = "rows"
	}
	var all []json.RawMessage
	if err := json.Unmarshal(list[field], &all); err != nil {
		return nil, err
	}
	left := []json.RawMessage{}
	for _, item := range all {
		var one named
		if err := json.Unmarshal(item, &one); err != nil {
			return nil, err
		}
		if seen.Has(one.name()) {
			left = append(left, item)
		}
	}
	var err error
	if list[field], err = json.Marshal(left); err != nil {
		return nil, err
	}
	// How many are left on the next pages is of all namespaces.
	var metadata map[string]json.RawMessage
	if err := json.Unmarshal(list["metadata"], &metadata); err != nil {
		return nil, err
	}
	delete(metadata, "remainingItemCount")
	if list["metadata"], err = json.Marshal(metadata); err != nil {
		return nil, err
	}
	return json.Marshal(list)
}

// filteredWatch passes on the events of a watch about visible namespaces, and
// those about none, each with one read at least.
func filteredWatch(events io.ReadCloser, visible func() (authz.Visible, error)) io.ReadCloser {
	return &watchBody{events: events, decoder: json.NewDecoder(events), visible: visible}
}

type watchBody struct {
	events  io.ReadCloser
	decoder *json.Decoder
	visible func() (authz.Visible, error)
	event   []byte // what of the present event has not been read
}

// Read implements io.Reader.
func (b *watchBody) Read(into []byte) (int, error) {
	for len(b.event) == 0 {
		var err error
		if b.event, err = b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(into, b.event)
	b.event = b.event[n:]
	return n, nil
}

// next is the next event, empty when it is not shown.
func (b *watchBody) next() ([]byte, error) {
	var event struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := b.decoder.Decode(&event); err != nil {
		return nil, err
	}
	seen, err := b.visible()
	if err != nil || !shows(event.Type, event.Object, seen) {
		return nil, err
	}
	text, err := json.Marshal(event)
	return append(text, '\n'), err
}

// Close implements io.Closer.
func (b *watchBody) Close() error { return b.events.Close() }

func shows(kind string, object json.RawMessage, seen authz.Visible) bool {
	if kind == "BOOKMARK" || kind == "ERROR" {
		return true
	}
	var one struct {
		named
		Rows []named `json:"rows"`
	}
	if err := json.Unmarshal(object, &one); err != nil {
		return false
	}
	if len(one.Rows) > 0 {
		return !slices.ContainsFunc(one.Rows, func(row named) bool { return !seen.Has(row.name()) })
	}
	return seen.Has(one.name())
}
