package kube

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
)

// Monitor knows whether kube-apiserver answers, and its version.
type Monitor struct {
	Discovery discovery.DiscoveryInterface
	// Interval is the time between two questions; a second while there is no answer.
	Interval time.Duration

	state atomic.Pointer[monitorState]
}

type monitorState struct {
	err     error
	version *version.Info // of the last answer
}

var errNotAsked = errors.New("not asked yet")

// Err is nil when the last question was answered, else it says why not.
func (m *Monitor) Err() error {
	if state := m.state.Load(); state != nil {
		return state.err
	}
	return errNotAsked
}

// Version is what kube-apiserver said last, nil if it never answered.
func (m *Monitor) Version() *version.Info {
	if state := m.state.Load(); state != nil {
		return state.version
	}
	return nil
}

// Run asks until the context ends.
func (m *Monitor) Run(ctx context.Context) {
	for {
		err := m.ask(ctx)
		wait := m.Interval
		if err != nil {
			wait = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (m *Monitor) ask(ctx context.Context) error {
	before := m.state.Load()
	info, err := m.Discovery.ServerVersion()
	if ctx.Err() != nil {
		return err
	}
	next := &monitorState{err: err, version: info}
	if err != nil && before != nil {
		next.version = before.version
	}
	m.state.Store(next)
	switch {
	case err != nil && (before == nil || before.err == nil):
		slog.WarnContext(ctx, "Kubernetes does not answer", "error", err)
	case err == nil && (before == nil || before.err != nil):
		slog.InfoContext(ctx, "Kubernetes answers", "version", info.GitVersion)
	}
	return err
}
