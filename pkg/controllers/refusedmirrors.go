package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// refusedPause is how long something is left out that Kubernetes has refused; twice as
	// long after each further refusal, up to maxRefusedPause.
	refusedPause    = 10 * time.Second
	maxRefusedPause = time.Minute
	// retriedPerSecond bounds how many bindings are tried again that were refused: quotas of
	// tenants refuse as many as there can be.
	retriedPerSecond = 20
	// maxRefused bounds what is remembered of refusals.
	maxRefused = 100_000
)

// written is an object that is written, of a type.
type written struct {
	kind string
	types.NamespacedName
}

func writtenOf(object client.Object) written {
	return written{fmt.Sprintf("%T", object), client.ObjectKeyFromObject(object)}
}

var kindRoleBinding = writtenOf(&rbacv1.RoleBinding{}).kind

// refusal is that of a write, which is left out for a while.
type refusal struct {
	until time.Time
	pause time.Duration
}

// waits reports whether Kubernetes has refused a write a moment ago.
func (m *Mirrors) waits(key written) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, refused := m.refused[key]
	return refused && m.Now().Before(last.until)
}

func (m *Mirrors) wasRefused(key written) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, refused := m.refused[key]
	return refused
}

// attempt writes an object, unless Kubernetes has refused that a moment ago: a policy or a
// quota forbids it, or its namespace is being deleted.
func (m *Mirrors) attempt(ctx context.Context, object client.Object, write func() error) error {
	key := writtenOf(object)
	if m.waits(key) {
		m.left.Store(true)
		return nil
	}
	err := write()
	refused := apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !refused {
		delete(m.refused, key)
		return err
	}
	last, waited := m.refused[key]
	if m.refused == nil {
		m.refused = make(map[written]refusal)
	}
	for other := range m.refused { // any one of too many, which is tried once more
		if len(m.refused) < maxRefused || waited {
			break
		}
		delete(m.refused, other)
	}
	last.pause = min(max(2*last.pause, refusedPause), maxRefusedPause)
	last.until = m.Now().Add(last.pause)
	m.refused[key] = last
	m.left.Store(true)
	if !waited && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		m.shown.Do(func() {
			slog.WarnContext(ctx, "Kubernetes refuses what stands for a role, who has it is refused there", "kind", key.kind, "object", key.NamespacedName, "error", err)
		})
	}
	return nil
}
