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
	servedDebounce = time.Second
)

// Mirrors keeps the ClusterRoles and bindings of Kubernetes that stand for the roles of the
// platform and of workspaces. It implements manager.Runnable.
type Mirrors struct {
	// Client writes as this server.
	Client client.Client
	// Rights returns the present roles and bindings of both.
	Rights func(context.Context) (iam.Rights, error)
	// Workspaces returns the UIDs of workspaces by name.
	Workspaces func(context.Context) (map[string]string, error)
	// Definitions returns what changes with each CustomResourceDefinition and APIService.
	Definitions func(context.Context) uint64
	Discovery   discovery.DiscoveryInterface
	Names       *reserved.Register
	Now         func() time.Time

	served      []authz.ServedResource
	servedAt    time.Time
	definitions uint64
	known       mirror.State
	complete    atomic.Bool
}

// Run writes what is missing, once, and leaves the rest to the replica that reconciles: an
// earlier version may do that, which knows nothing of mirrors.
func (m *Mirrors) Run(ctx context.Context) {
	ticker := time.NewTicker(firstInterval)
	defer ticker.Stop()
	for told := false; ; {
		missing, err := m.changes(ctx)
		if err == nil {
			missing = missing.Missing()
			if missing.Empty() {
				m.complete.Store(true)
				return
			}
			err = m.apply(ctx, &missing)
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

// changes returns what makes the present mirrors the wanted ones.
func (m *Mirrors) changes(ctx context.Context) (mirror.Changes, error) {
	rights, err := m.Rights(ctx)
	if err != nil {
		return mirror.Changes{}, errNotRead
	}
	present, err := m.Workspaces(ctx)
	if err != nil {
		return mirror.Changes{}, errNotRead
	}
	if m.discover(ctx); m.served == nil {
		return mirror.Changes{}, errNotRead
	}
	return m.known.Changes(mirror.Source{Rights: rights, Served: m.served, UIDs: present, Names: m.Names}), nil
}

var (
	errNotRead     = errors.New("what Kubernetes serves, or roles and workspaces, are not read yet")
	errNotMirrored = errors.New("not all roles are mirrored to Kubernetes yet")
)

// Start implements manager.Runnable.
func (m *Mirrors) Start(ctx context.Context) error {
	ticker := time.NewTicker(mirrorInterval)
	defer ticker.Stop()
	var done iam.Rights
	var uids map[string]string
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		rights, err := m.Rights(ctx)
		if err != nil {
			continue // the caches are not filled yet
		}
		present, err := m.Workspaces(ctx)
		if err != nil {
			continue
		}
		if !m.discover(ctx) && failures == 0 && rights.Same(&done) && maps.Equal(uids, present) || m.served == nil {
			continue
		}
		changes := m.known.Changes(mirror.Source{Rights: rights, Served: m.served, UIDs: present, Names: m.Names})
		if err := m.apply(ctx, &changes); err != nil {
			if failures++; failures == 1 || failures%100 == 0 {
				slog.ErrorContext(ctx, "roles cannot be mirrored to Kubernetes", "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(min(time.Duration(failures)*100*time.Millisecond, 10*time.Second)):
			}
			continue
		}
		done, uids, failures = rights, present, 0
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

func (m *Mirrors) apply(ctx context.Context, c *mirror.Changes) error {
	if c.Empty() {
		return nil
	}
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
	return errors.Join(failed...)
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
	err := m.Client.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, "NamespaceTerminating") {
		return nil // the cache is behind
	}
	return err
}

func (m *Mirrors) update(ctx context.Context, object client.Object) error {
	return client.IgnoreNotFound(m.Client.Update(ctx, object))
}

func (m *Mirrors) remove(ctx context.Context, object client.Object) error {
	return client.IgnoreNotFound(m.Client.Delete(ctx, object))
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
