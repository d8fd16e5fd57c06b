package kubeproxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// namespaceMetadata is what the filter reads of a namespace.
type namespaceMetadata struct {
	name, version string
	terminating   bool
}

// readMetadata reads a namespace, or the table of one; false for a table of none or several:
// there is one row for each event.
func readMetadata(object gjson.Result) (namespaceMetadata, bool) {
	about, version := object, object.Get("metadata.resourceVersion").String()
	if rows := object.Get("rows").Array(); len(rows) > 1 {
		return namespaceMetadata{}, false
	} else if len(rows) == 1 {
		if about = rows[0]; about.Get("object").Exists() {
			about = about.Get("object")
		}
	}
	if own := about.Get("metadata.resourceVersion").String(); own != "" {
		version = own
	}
	deletion := about.Get("metadata.deletionTimestamp")
	return namespaceMetadata{
		name: about.Get("metadata.name").String(), version: version, terminating: deletion.Exists() && deletion.Type != gjson.Null,
	}, true
}

// namespaceWatch passes on the events of a watch about the namespaces the caller sees,
// and no other. A client that received ADDED for a namespace also receives DELETED: the
// roles of a project go before the project, and members are removed without an event.
type namespaceWatch struct {
	upstream io.ReadCloser
	visible  func() (authz.Visible, error)
	changed  func() bool // since the last call
	interval time.Duration
	form     namespaceForm
	// told are the namespaces the client knows, each with whether it is being deleted.
	told map[string]bool
	// version is the last one the client was told.
	version string
	// share is what the watch has of the work of all watches of its user.
	share *turns.Share
	ctx   context.Context //nolint:containedctx // of the request, which Read does not get

	events chan []byte
	failed chan error
	closed chan struct{}
	close  sync.Once
	begun  []byte // of an event in several lines
	text   []byte // what of the present event has not been read
}

// filteredWatch returns the body of a watch with what the caller sees.
func (p *Proxy) filteredWatch(answer *http.Response, visible func() (authz.Visible, error)) (io.ReadCloser, error) {
	ctx := answer.Request.Context()
	b := &namespaceWatch{
		upstream: answer.Body, visible: visible, interval: p.recheck, form: formOf(answer.Request.Header.Get("Accept")), told: make(map[string]bool),
		ctx: ctx, events: make(chan []byte), failed: make(chan error, 1), closed: make(chan struct{}),
	}
	changes := (&request.Reauthorization{Revision: p.options.Revision}).NewChanges(ctx)
	b.changed = func() bool { return changes.Found(ctx) }
	if info := request.InfoFrom(ctx); info != nil && info.Parameters != nil {
		// Who watches from a version knows what there was at it.
		b.version = info.Parameters.ResourceVersion
	}
	if b.version != "" && b.version != "0" {
		seen, err := visible()
		if err != nil {
			return nil, err
		}
		for name := range seen.Names {
			b.told[name] = false
		}
	}
	b.share = objects.WatchShare(turns.HolderFrom(ctx))
	go b.receive()
	return b, nil
}

// maxEventBytes bounds an event of Kubernetes.
const maxEventBytes = 32 << 20

var errNoEvent = errors.New("what Kubernetes sends is no event of a watch")

// receive reads the lines of Kubernetes, one for each event, until the body is closed.
func (b *namespaceWatch) receive() {
	for lines := bufio.NewReader(b.upstream); ; {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			select {
			case b.events <- line:
			case <-b.closed:
				return
			}
		}
		if err != nil {
			b.failed <- err
			return
		}
	}
}

// Read implements io.Reader.
func (b *namespaceWatch) Read(into []byte) (int, error) {
	if len(b.text) == 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(into, b.text)
	b.text = b.text[n:]
	return n, nil
}

// next waits for an event that is shown.
func (b *namespaceWatch) next() error {
	ticker := time.NewTicker(b.interval)
	defer ticker.Stop()
	for len(b.text) == 0 {
		select {
		case line := <-b.events:
			if err := b.passInTurn(line); err != nil {
				return err
			}
		case err := <-b.failed:
			return err
		case <-ticker.C:
			if b.changed() {
				if err := b.withdraw(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// passInTurn passes on an event in turn with the other watches of the user: a change of a
// large namespace is one for each of them. No turn is held while the event is sent.
func (b *namespaceWatch) passInTurn(line []byte) error {
	event, err := b.readInTurn(line)
	if err != nil || event == nil {
		return err
	}
	return b.pass(event)
}

// namespaceEvent is an event of a watch.
type namespaceEvent struct {
	kind   watch.EventType
	object gjson.Result
	about  namespaceMetadata
	one    bool // about says which one the event is about
}

// readInTurn reads an event; nil if the rest of it is in further lines.
func (b *namespaceWatch) readInTurn(line []byte) (*namespaceEvent, error) {
	release, err := b.share.Wait(b.ctx, len(line))
	if err != nil {
		return nil, err
	}
	defer release()
	if b.begun = append(b.begun, line...); len(b.begun) > maxEventBytes {
		return nil, errNoEvent
	}
	if !gjson.ValidBytes(b.begun) {
		return nil, nil
	}
	parsed := gjson.ParseBytes(b.begun)
	b.begun = nil
	event := &namespaceEvent{kind: watch.EventType(parsed.Get("type").String()), object: parsed.Get("object")}
	event.about, event.one = readMetadata(event.object)
	return event, nil
}

// pass adds an event to the text if the caller sees it.
func (b *namespaceWatch) pass(event *namespaceEvent) error {
	kind, object, about := event.kind, event.object, event.about
	if kind == watch.Error {
		return b.add(kind, object.Raw)
	}
	if !event.one {
		return nil
	}
	if kind == watch.Bookmark {
		b.version = about.version
		return b.add(kind, object.Raw)
	}
	seen, err := b.visible()
	if err != nil {
		return err
	}
	_, told := b.told[about.name]
	switch {
	case kind == watch.Deleted:
		if !told && !seen.Has(about.name) {
			return nil
		}
		delete(b.told, about.name)
	case seen.Has(about.name):
		if !told && kind == watch.Modified {
			kind = watch.Added // it begins to be seen
		}
		b.told[about.name] = about.terminating
	case told && about.terminating: // its end is still to come
		b.told[about.name] = true
	case told:
		kind = watch.Deleted
		delete(b.told, about.name)
	default:
		return nil
	}
	b.version = about.version
	return b.add(kind, object.Raw)
}

// withdraw tells the client of the end of namespaces the caller sees no more, about
// which there may be no event. Of one that is being deleted there will be.
func (b *namespaceWatch) withdraw() error {
	seen, err := b.visible()
	if err != nil {
		return err
	}
	for name, terminating := range b.told {
		if terminating || seen.Has(name) {
			continue
		}
		delete(b.told, name)
		object, err := b.form.namespace(name, b.version)
		if err != nil {
			return err
		}
		if err := b.add(watch.Deleted, string(object)); err != nil {
			return err
		}
	}
	return nil
}

// add adds an event, whose object is valid JSON.
func (b *namespaceWatch) add(kind watch.EventType, object string) error {
	quoted, err := json.Marshal(kind)
	b.text = append(append(append(append(append(b.text, `{"type":`...), quoted...), `,"object":`...), object...), "}\n"...)
	return err
}

// Close implements io.Closer.
func (b *namespaceWatch) Close() error {
	b.close.Do(func() {
		close(b.closed)
		b.share.Close()
	})
	return b.upstream.Close()
}

// namespaceForm is what a client accepts objects as.
type namespaceForm int

const (
	formObject namespaceForm = iota
	formTable
	formMetadata
)

// formOf reads the first media type of an Accept header, which Kubernetes answers with.
func formOf(accept string) namespaceForm {
	first, _, _ := strings.Cut(accept, ",")
	switch {
	case strings.Contains(first, "as=Table"):
		return formTable
	case strings.Contains(first, "as=PartialObjectMetadata"):
		return formMetadata
	}
	return formObject
}

// namespace is a namespace of which nothing but the name is told.
func (f namespaceForm) namespace(name, version string) (json.RawMessage, error) {
	metadata := map[string]any{"name": name, "resourceVersion": version}
	partial := map[string]any{"kind": "PartialObjectMetadata", "apiVersion": metav1.SchemeGroupVersion.String(), "metadata": metadata}
	switch f {
	case formTable:
		return json.Marshal(map[string]any{
			"kind": "Table", "apiVersion": metav1.SchemeGroupVersion.String(), "metadata": map[string]any{"resourceVersion": version},
			"columnDefinitions": nil, "rows": []any{map[string]any{"cells": []any{name, "", ""}, "object": partial}},
		})
	case formMetadata:
		return json.Marshal(partial)
	}
	return json.Marshal(map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": metadata})
}
