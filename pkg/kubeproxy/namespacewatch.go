package kubeproxy

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// namespaceEntry is a namespace, or a row of a table about one.
type namespaceEntry struct {
	Metadata namespaceMetadata `json:"metadata"`
	Object   *namespaceEntry   `json:"object"`
}

type namespaceMetadata struct {
	Name              string       `json:"name"`
	ResourceVersion   string       `json:"resourceVersion"`
	DeletionTimestamp *metav1.Time `json:"deletionTimestamp"`
}

func (e *namespaceEntry) metadata() namespaceMetadata {
	if e.Object != nil {
		return e.Object.Metadata
	}
	return e.Metadata
}

// namespaceEvent is an event of a watch of namespaces, as a client of any form gets it.
type namespaceEvent struct {
	Type   watch.EventType `json:"type"`
	Object json.RawMessage `json:"object"`
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

	events chan namespaceEvent
	failed chan error
	closed chan struct{}
	close  sync.Once
	text   []byte // what of the present event has not been read
}

// filteredWatch returns the body of a watch with what the caller sees.
func (p *Proxy) filteredWatch(answer *http.Response, visible func() (authz.Visible, error)) (io.ReadCloser, error) {
	ctx := answer.Request.Context()
	b := &namespaceWatch{
		upstream: answer.Body, visible: visible, interval: p.recheck, form: formOf(answer.Request.Header.Get("Accept")), told: make(map[string]bool),
		events: make(chan namespaceEvent), failed: make(chan error, 1), closed: make(chan struct{}),
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
	go b.decode()
	return b, nil
}

// decode reads the events of Kubernetes until the body is closed.
func (b *namespaceWatch) decode() {
	for decoder := json.NewDecoder(b.upstream); ; {
		var event namespaceEvent
		if err := decoder.Decode(&event); err != nil {
			b.failed <- err
			return
		}
		select {
		case b.events <- event:
		case <-b.closed:
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
		case event := <-b.events:
			if err := b.pass(event); err != nil {
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

// pass adds an event to the text if the caller sees it.
func (b *namespaceWatch) pass(event namespaceEvent) error {
	var one struct {
		namespaceEntry
		Rows []namespaceEntry `json:"rows"`
	}
	if event.Type == watch.Error {
		return b.add(event)
	}
	if err := json.Unmarshal(event.Object, &one); err != nil {
		return err
	}
	about := one.metadata()
	switch len(one.Rows) {
	case 0:
	case 1:
		about = one.Rows[0].metadata()
	default:
		return nil // of a table there is one row for each event
	}
	version := about.ResourceVersion
	if version == "" {
		version = one.Metadata.ResourceVersion
	}
	if event.Type == watch.Bookmark {
		b.version = version
		return b.add(event)
	}
	seen, err := b.visible()
	if err != nil {
		return err
	}
	_, told := b.told[about.Name]
	terminating := about.DeletionTimestamp != nil
	switch {
	case event.Type == watch.Deleted:
		if !told && !seen.Has(about.Name) {
			return nil
		}
		delete(b.told, about.Name)
	case seen.Has(about.Name):
		if !told && event.Type == watch.Modified {
			event.Type = watch.Added // it begins to be seen
		}
		b.told[about.Name] = terminating
	case told && terminating: // its end is still to come
		b.told[about.Name] = true
	case told:
		event.Type = watch.Deleted
		delete(b.told, about.Name)
	default:
		return nil
	}
	b.version = version
	return b.add(event)
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
		if err := b.add(namespaceEvent{Type: watch.Deleted, Object: object}); err != nil {
			return err
		}
	}
	return nil
}

func (b *namespaceWatch) add(event namespaceEvent) error {
	text, err := json.Marshal(event)
	b.text = append(append(b.text, text...), '\n')
	return err
}

// Close implements io.Closer.
func (b *namespaceWatch) Close() error {
	b.close.Do(func() { close(b.closed) })
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
