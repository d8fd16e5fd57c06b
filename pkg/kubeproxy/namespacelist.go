package kubeproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

const (
	// namedNamespaces is how many visible namespaces are read one by one; the list of
	// all namespaces is filtered for callers who see more.
	namedNamespaces = 32
	// noNamespace is no name of a namespace: its list is empty, in the form asked for.
	noNamespace = ".none"
	// namespaceListTime bounds how long reading them takes.
	namespaceListTime = 10 * time.Second
	// Lists of all namespaces that are filtered are in memory: this many at once, and
	// of one user.
	maxFilteredLists        = 4
	maxFilteredListsPerUser = 1
	// Lists that are merged of namespaces read by name are, too.
	maxMergedLists        = 8
	maxMergedListsPerUser = 2
	// Lists that are filtered or merged are in memory until the client has read them, in bytes.
	maxUnreadLists        = 256 << 20
	maxUnreadListsPerUser = 64 << 20
	// filteredListWait is how long a list waits for its turn.
	filteredListWait = 20 * time.Second
)

// listByName answers a list with the few namespaces the caller sees, each read by its
// name, and reports whether it did.
func (p *Proxy) listByName(w http.ResponseWriter, r *http.Request, seen authz.Visible) bool {
	info, values := request.InfoFrom(r.Context()), r.URL.Query()
	if info.Verb != "list" || r.Method != http.MethodGet || seen.All || len(seen.Names) > namedNamespaces {
		return false
	}
	release, err := p.mergedLists.Take(r.Context(), turns.HolderFrom(r.Context()))
	if err != nil {
		fail(w, r, err)
		return true
	}
	defer release()
	names := seen.Names.UnsortedList()
	slices.Sort(names)
	if len(names) == 0 {
		names = []string{noNamespace}
	}
	ctx, cancel := context.WithTimeout(r.Context(), namespaceListTime)
	defer cancel()
	var merged namespaceList
	selector := values.Get("fieldSelector")
	for _, name := range names {
		named := "metadata.name=" + name
		if selector != "" {
			named = selector + "," + named
		}
		values.Set("fieldSelector", named)
		question, err := p.question(ctx, http.MethodGet, r.URL, values, http.Header{}, nil)
		if err != nil {
			fail(w, r, err)
			return true
		}
		question.Header.Set("Accept", r.Header.Get("Accept"))
		answer, err := p.transport.RoundTrip(question) //nolint:bodyclose // mergeNamed closes it
		if err != nil {
			fail(w, r, err)
			return true
		}
		if done := p.mergeNamed(w, r, answer, &merged); done { //nolint:contextcheck // the answer has its own
			return true
		}
	}
	text, err := merged.text()
	if err != nil {
		fail(w, r, err)
		return true
	}
	if err := p.unreadLists.Take(turns.HolderFrom(r.Context()), int64(len(text))); err != nil {
		fail(w, r, errUnreadLists())
		return true
	}
	defer p.unreadLists.Release(turns.HolderFrom(r.Context()), int64(len(text)))
	release() // other lists do not wait for a client that does not read
	merged.write(w, text)
	return true
}

// mergeNamed adds an answer about one namespace to a list. An answer that is no list is
// passed on instead, and done is true.
func (p *Proxy) mergeNamed(w http.ResponseWriter, r *http.Request, answer *http.Response, merged *namespaceList) (done bool) {
	defer func() { _ = answer.Body.Close() }()
	err := p.look(answer) //nolint:contextcheck // it is the answer's
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(answer.Body, 2*maxBody))
	}
	if err != nil {
		fail(w, r, err)
		return true
	}
	if answer.StatusCode != http.StatusOK {
		for _, name := range []string{"Content-Type", "Retry-After", "Warning"} {
			if values := answer.Header.Values(name); len(values) > 0 {
				w.Header()[http.CanonicalHeaderKey(name)] = values
			}
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(text)
		return true
	}
	if err := merged.add(text, answer.Header); err != nil {
		fail(w, r, err)
		return true
	}
	return false
}

// namespaceList is a list, or a table, that is put together of several.
type namespaceList struct {
	fields   map[string]json.RawMessage
	metadata map[string]json.RawMessage
	field    string // that of the entries
	entries  []json.RawMessage
	version  uint64 // the oldest one: a watch from there misses nothing
	header   http.Header
}

// add adds the entries of a list.
func (l *namespaceList) add(text []byte, header http.Header) error {
	var fields, metadata map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	field := "items"
	if _, table := fields["rows"]; table {
		field = "rows"
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(fields[field], &entries); err != nil {
		return err
	}
	if err := json.Unmarshal(fields["metadata"], &metadata); err != nil {
		return err
	}
	var version string
	_ = json.Unmarshal(metadata["resourceVersion"], &version)
	number, _ := strconv.ParseUint(version, 10, 64) // 0 if it is none
	if l.fields == nil || number < l.version {
		l.fields, l.metadata, l.field, l.version, l.header = fields, metadata, field, number, header
	}
	l.entries = append(l.entries, entries...)
	return nil
}

// text is the list in JSON.
func (l *namespaceList) text() ([]byte, error) {
	if l.entries == nil {
		l.entries = []json.RawMessage{}
	}
	delete(l.metadata, "remainingItemCount")
	var err error
	if l.fields[l.field], err = json.Marshal(l.entries); err != nil {
		return nil, err
	}
	if l.fields["metadata"], err = json.Marshal(l.metadata); err != nil {
		return nil, err
	}
	return json.Marshal(l.fields)
}

// write answers a request with the text of the list.
func (l *namespaceList) write(w http.ResponseWriter, text []byte) {
	for _, name := range []string{"Content-Type", "Cache-Control", "Warning"} {
		if values := l.header.Values(name); len(values) > 0 {
			w.Header()[name] = values
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text)
}

// filterList leaves the visible entries of a list of all namespaces. Its entries are
// read one after the other, so that those the caller does not see take no memory.
func (p *Proxy) filterList(answer *http.Response, seen authz.Visible) error {
	release, err := p.filteredLists.Take(answer.Request.Context(), turns.HolderFrom(answer.Request.Context()))
	if err != nil {
		return err
	}
	defer release()
	text, err := filteredList(answer.Body, seen)
	if err != nil {
		return err
	}
	holder, size := turns.HolderFrom(answer.Request.Context()), int64(len(text))
	if err := p.unreadLists.Take(holder, size); err != nil {
		return errUnreadLists()
	}
	answer.Body = &held{Reader: bytes.NewReader(text), release: sync.OnceFunc(func() { p.unreadLists.Release(holder, size) })}
	answer.ContentLength = int64(len(text))
	answer.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// held is a text whose memory counts until it is closed.
type held struct {
	io.Reader
	release func()
}

// Close implements io.Closer.
func (h *held) Close() error {
	h.release()
	return nil
}

func errUnreadLists() error {
	return status.TooManyRequests(time.Second, "you have as many lists of namespaces that are not read yet as one client may have at the same time, read them or try again later")
}

// filteredList reads a list, or a table, and leaves its visible entries.
func filteredList(source io.Reader, seen authz.Visible) ([]byte, error) {
	decoder := json.NewDecoder(source)
	if err := expectDelimiter(decoder, '{'); err != nil {
		return nil, err
	}
	fields := make(map[string]json.RawMessage)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if name == "items" || name == "rows" {
			fields[name], err = filteredEntries(decoder, seen)
		} else {
			var value json.RawMessage
			err = decoder.Decode(&value)
			fields[name] = value
		}
		if err != nil {
			return nil, err
		}
	}
	if err := expectDelimiter(decoder, '}'); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

// namespaceEntry is a namespace, or a row of a table about one.
type namespaceEntry struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Object *namespaceEntry `json:"object"`
}

func (e *namespaceEntry) name() string {
	if e.Object != nil {
		return e.Object.Metadata.Name
	}
	return e.Metadata.Name
}

// filteredEntries reads the entries of a list and returns the visible ones as a list.
func filteredEntries(decoder *json.Decoder, seen authz.Visible) (json.RawMessage, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	left := []json.RawMessage{}
	if token == nil { // null
		return json.Marshal(left)
	}
	if token != json.Delim('[') {
		return nil, errNoList
	}
	var entry json.RawMessage
	for decoder.More() {
		if err := decoder.Decode(&entry); err != nil { // into the memory of the one before
			return nil, err
		}
		var one namespaceEntry
		if err := json.Unmarshal(entry, &one); err != nil {
			return nil, err
		}
		if seen.Has(one.name()) {
			left = append(left, bytes.Clone(entry))
		}
	}
	if err := expectDelimiter(decoder, ']'); err != nil {
		return nil, err
	}
	return json.Marshal(left)
}

// expectDelimiter reads a delimiter of JSON.
func expectDelimiter(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	if token != want {
		return errNoList
	}
	return nil
}
