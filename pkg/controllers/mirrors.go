package controllers

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/mirror"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

const (
	// firstInterval is how often a replica that starts looks what is missing.
	firstInterval = 100 * time.Millisecond
	// mirrorInterval is how often it is looked whether roles or bindings have changed,
	// which costs a few microseconds while they have not.
	mirrorInterval = 20 * time.Millisecond
	// mirrorWrites is how many mirrors are written at once.
	mirrorWrites = 8
	// servedInterval is how often kube-apiserver is asked what it serves; at once when a
	// definition has changed.
	servedInterval = 30 * time.Second
	// fairMirrors is how many bindings of one workspace are written at a time.
	fairMirrors    = 100
	servedDebounce = time.Second
)

// Mirrors keeps the ClusterRoles and bindings of Kubernetes that stand for the roles of the
// platform and of workspaces. It implements manager.Runnable.
type Mirrors struct {
	// Client writes as this server.
	Client client.Client
	// Rights returns the present roles and bindings of both.
	Rights func(context.Context) (iam.Rights, error)
	// Workspaces returns the present ones.
	Workspaces func(context.Context) (Workspaces, error)
	// Definitions returns what changes with each CustomResourceDefinition and APIService.
	Definitions func(context.Context) uint64
	Discovery   discovery.DiscoveryInterface
	Names       *reserved.Register
	Now         func() time.Time

	served      []authz.ServedResource
	servedAt    time.Time
	definitions uint64
	uids        map[string]string
	known       mirror.State

	mu       sync.Mutex
	refused  map[written]refusal
	left     atomic.Bool
	shown    rate.Sometimes // in the log
	complete atomic.Bool
}

// Workspaces are all of a moment.
type Workspaces struct {
	// Revision is another one when they have changed.
	Revision uint64
	// UIDs returns theirs, by name.
	UIDs func() map[string]string
}

func (m *Mirrors) prepare(fair int) {
	m.shown = rate.Sometimes{First: 10, Interval: time.Minute}
	m.known.Fair = fair
	retries := rate.NewLimiter(retriedPerSecond, retriedPerSecond)
	m.known.Refused = func(key types.NamespacedName) bool { return m.wasRefused(written{kindRoleBinding, key}) }
	m.known.Retry = func(key types.NamespacedName) bool {
		return !m.waits(written{kindRoleBinding, key}) && retries.AllowN(m.Now(), 1)
	}
}

// Run writes what is missing, once, and leaves the rest to the replica that reconciles: an
// earlier version may do that, which knows nothing of mirrors.
func (m *Mirrors) Run(ctx context.Context) {
	m.prepare(0)
	ticker := time.NewTicker(firstInterval)
	defer ticker.Stop()
	defer func() { m.known, m.uids = mirror.State{}, nil }() // of tens of thousands of bindings, maybe
	var last sources
	for told := false; ; {
		source, _, err := m.read(ctx, &last)
		if err == nil {
			changes := m.known.Changes(source)
			missing := changes.Missing()
			if _, err = m.apply(ctx, &missing); err == nil { // Kubernetes has them, or has refused them
				m.complete.Store(true)
				return
			}
		}
		if err != nil && !errors.Is(err, errNotRead) && !told {
			slog.WarnContext(ctx, "roles cannot be mirrored to Kubernetes yet", "error", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Ready reports why Kubernetes does not know all roles yet; nil when it does.
func (m *Mirrors) Ready() error {
	if m.complete.Load() {
		return nil
	}
	return errNotMirrored
}

// sources are what mirrors are made of, as they were last.
type sources struct {
	rights     iam.Rights
	workspaces uint64
}

// read returns what mirrors are made of, and whether that may have changed since.
func (m *Mirrors) read(ctx context.Context, last *sources) (mirror.Source, bool, error) {
	rights, err := m.Rights(ctx)
	if err != nil {
		return mirror.Source{}, false, errNotRead
	}
	present, err := m.Workspaces(ctx)
	if err != nil {
		return mirror.Source{}, false, errNotRead
	}
	served := m.discover(ctx)
	if m.served == nil {
		return mirror.Source{}, false, errNotRead
	}
	source := mirror.Source{Rights: rights, Served: m.served, UIDs: m.uids, Names: m.Names}
	changed := served
	if m.uids == nil || present.Revision != last.workspaces {
		if uids := present.UIDs(); !maps.Equal(uids, m.uids) {
			m.uids, source.UIDs, changed = uids, uids, true
		}
	}
	changed = changed || !rights.Same(&last.rights)
	last.rights, last.workspaces = rights, present.Revision
	return source, changed, nil
}

var (
	errNotRead     = errors.New("what Kubernetes serves, or roles and workspaces, are not read yet")
	errNotMirrored = errors.New("not all roles are mirrored to Kubernetes yet")
)

// Start implements manager.Runnable.
func (m *Mirrors) Start(ctx context.Context) error {
	m.prepare(fairMirrors)
	ticker := time.NewTicker(mirrorInterval)
	defer ticker.Stop()
	var last sources
	var again time.Time // when what is left is tried, zero for nothing is
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		source, changed, err := m.read(ctx, &last)
		if err != nil || !changed && (again.IsZero() || m.Now().Before(again)) {
			continue
		}
		changes := m.known.Changes(source)
		left, err := m.apply(ctx, &changes)
		switch {
		case err != nil:
			if failures++; failures == 1 || failures%100 == 0 {
				slog.ErrorContext(ctx, "roles cannot be mirrored to Kubernetes", "error", err)
			}
			again = m.Now().Add(min(time.Duration(failures)*100*time.Millisecond, refusedPause))
			continue
		case changes.Partial:
			again = m.Now()
		case left || changes.Refused:
			again = m.Now().Add(time.Second)
		default:
			again = time.Time{}
		}
		failures = 0
	}
}

// discover asks what kube-apiserver serves when it is time, and reports whether that
// has changed.
func (m *Mirrors) discover(ctx context.Context) bool {
	now, definitions := m.Now(), m.Definitions(ctx)
	since := now.Sub(m.servedAt)
	if m.served != nil && since < servedInterval && (definitions == m.definitions || since < servedDebounce) {
		return false
	}
	served, err := mirror.ReadServed(m.Discovery, m.served)
	if err != nil {
		return false
	}
	changed := !slices.Equal(served, m.served)
	m.served, m.servedAt, m.definitions = served, now, definitions
	return changed
}

var mirrorLabels = map[string]string{reserved.LabelManagedBy: reserved.ManagedByServer}

// apply makes changes, and reports whether some of them are left since Kubernetes has
// refused them: those are tried again after a while, and keep no others from being made.
func (m *Mirrors) apply(ctx context.Context, c *mirror.Changes) (left bool, err error) {
	if c.Empty() {
		return false, nil
	}
	m.left.Store(false)
	steps := [][]func() error{
		append(each(c.CreateRoles, func(name string, rules []rbacv1.PolicyRule) error { return m.create(ctx, clusterRole(name, rules)) }),
			each(c.UpdateRoles, func(name string, rules []rbacv1.PolicyRule) error { return m.update(ctx, clusterRole(name, rules)) })...),
		append(every(c.ReplaceClusterBindings, func(name string) error {
			return m.remove(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}), every(c.ReplaceBindings, func(key types.NamespacedName) error { return m.remove(ctx, roleBinding(key, mirror.Binding{})) })...),
		append(each(c.CreateClusterBindings, func(name string, binding mirror.Binding) error {
			return m.create(ctx, &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: mirrorLabels}, RoleRef: binding.RoleRef(), Subjects: binding.Subjects(),
			})
		}), each(c.CreateBindings, func(key types.NamespacedName, binding mirror.Binding) error {
			return m.create(ctx, roleBinding(key, binding))
		})...),
		append(every(c.DeleteClusterBindings, func(name string) error {
			return m.remove(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}), every(c.DeleteBindings, func(key types.NamespacedName) error { return m.remove(ctx, roleBinding(key, mirror.Binding{})) })...),
		every(c.DeleteRoles, func(name string) error { return m.remove(ctx, clusterRole(name, nil)) }),
	}
	const creating = 3 // steps, after which what they take the place of goes
	var failed []error
	for n, step := range steps {
		if n == creating && len(failed) > 0 {
			break
		}
		if err := inParallel(ctx, step); err != nil { // one that fails keeps no others from being made
			failed = append(failed, err)
		}
	}
	return m.left.Load(), errors.Join(failed...)
}

func clusterRole(name string, rules []rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: mirrorLabels}, Rules: rules}
}

func roleBinding(key types.NamespacedName, binding mirror.Binding) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: mirrorLabels}, RoleRef: binding.RoleRef(), Subjects: binding.Subjects(),
	}
}

func (m *Mirrors) create(ctx context.Context, object client.Object) error {
	return m.attempt(ctx, object, func() error {
		err := m.Client.Create(ctx, object)
		if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
			return nil // the cache is behind
		}
		return err
	})
}

func (m *Mirrors) update(ctx context.Context, object client.Object) error {
	return m.attempt(ctx, object, func() error { return client.IgnoreNotFound(m.Client.Update(ctx, object)) })
}

func (m *Mirrors) remove(ctx context.Context, object client.Object) error {
	return m.attempt(ctx, object, func() error { return client.IgnoreNotFound(m.Client.Delete(ctx, object)) })
}

func each[K comparable, V any](all map[K]V, do func(K, V) error) []func() error {
	steps := make([]func() error, 0, len(all))
	for key, value := range all {
		steps = append(steps, func() error { return do(key, value) })
	}
	return steps
}

func every[T any](all []T, do func(T) error) []func() error {
	steps := make([]func() error, 0, len(all))
	for _, one := range all {
		steps = append(steps, func() error { return do(one) })
	}
	return steps
}

// inParallel does all, a few at once. One that fails does not keep the others from being
// done.
func inParallel(ctx context.Context, all []func() error) error {
	work := make(chan func() error)
	failed := make([]error, mirrorWrites)
	var working sync.WaitGroup
	for n := range mirrorWrites {
		working.Go(func() {
			for do := range work {
				if err := do(); err != nil {
					failed[n] = err
				}
			}
		})
	}
	for _, do := range all {
		if ctx.Err() != nil {
			break
		}
		work <- do
	}
	close(work)
	working.Wait()
	return errors.Join(append(failed, ctx.Err())...)
}
