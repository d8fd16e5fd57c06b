package extensions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// documentsEvery is how often the documents of back ends are read again.
	documentsEvery = time.Minute
	// maxDocument bounds a document, in bytes.
	maxDocument = 8 << 20
)

// Document is the Swagger 2.0 document of a back end.
type Document struct {
	// Name is that of the back end, Prefix what of the document counts: the
	// paths below it.
	Name, Prefix string
	// JSON is the document as it was sent.
	JSON []byte
}

// Documents collects what back ends say of their APIs.
type Documents struct {
	Registry *Registry
	// Publish makes the documents part of that of this server. It says which
	// cannot be.
	Publish func(ctx context.Context, documents []Document) error
}

// Run collects until the context ends.
func (d *Documents) Run(ctx context.Context) {
	ticker := time.NewTicker(documentsEvery)
	defer ticker.Stop()
	known := make(map[string]Document)
	for {
		if d.collect(ctx, known) {
			all := make([]Document, 0, len(known))
			for _, document := range known {
				all = append(all, document)
			}
			slices.SortFunc(all, func(a, b Document) int { return strings.Compare(a.Prefix, b.Prefix) })
			if err := d.Publish(ctx, all); err != nil {
				slog.WarnContext(ctx, "documents of back ends are left out", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-d.Registry.changed:
		case <-ticker.C:
		}
	}
}

// collect reads the documents anew and reports whether one changed. That of a
// back end that does not answer stays as it was.
func (d *Documents) collect(ctx context.Context, known map[string]Document) (changed bool) {
	t := d.Registry.table.Load()
	if t == nil {
		return false
	}
	for id := range known {
		if t.byID[id] == nil {
			delete(known, id)
			changed = true
		}
	}
	for _, b := range t.backends {
		if b.kind != kindAPIService {
			continue
		}
		text, err := b.document(ctx)
		if err != nil {
			slog.DebugContext(ctx, "a back end has no document", "backend", b.id(), "reason", err)
			continue
		}
		if before := known[b.id()]; before.Prefix != b.path || string(before.JSON) != string(text) {
			known[b.id()] = Document{Name: b.id(), Prefix: b.path, JSON: text}
			changed = true
		}
	}
	return changed
}

var errTooLarge = errors.New("the document is too large")

// document reads what a back end says of its API.
func (b *backend) document(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, b.target.JoinPath("/openapi/v2").String(), nil)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Accept", "application/json")
	q.Header.Set("User-Agent", "ks-apiserver")
	answer, err := b.transport.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = errTooLarge
	}
	return text, err
}
