package seed

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

const (
	// requests run at once.
	requests = 8
	// furnished is how many namespaces of a large seed get more than pods.
	furnished = 60
	// services is how many settled deployments get a Service. Each of them
	// costs several writes one after the other.
	services = 60
	// livingNamespaces is how many namespaces the living workloads are in.
	livingNamespaces = 4
)

// api creates objects through kube-apiserver; those that exist are left alone.
type api struct {
	client kubernetes.Interface
}

// creating is one object to be created.
type creating func(context.Context) error

// create makes the living workloads and what surrounds the settled ones.
func (a *api) create(ctx context.Context, pods int, settled []workload) error {
	living := planLiving(pods)
	names := map[string]bool{}
	var namespaces, rest []creating
	for _, name := range namespacesOf(append(living.all(), settled...)) {
		if len(names) == furnished {
			break
		}
		names[name] = true
		namespaces = append(namespaces, a.namespace(name))
		rest = append(rest, a.furnishings(name)...)
	}
	for _, w := range living.deployments {
		rest = append(rest, a.deployment(w), a.service(w))
	}
	for _, w := range living.statefulSets {
		rest = append(rest, a.statefulSet(w), a.service(w))
	}
	for _, w := range living.jobs {
		rest = append(rest, a.job(w))
	}
	for _, w := range settled[:min(len(settled), services)] {
		rest = append(rest, a.service(w))
	}
	if err := together(ctx, namespaces); err != nil {
		return err
	}
	if err := a.waitServiceAccounts(ctx, namespacesOf(living.all())); err != nil {
		return err
	}
	return together(ctx, rest)
}

// together creates several objects at once.
func together(ctx context.Context, work []creating) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requests)
	for _, create := range work {
		group.Go(func() error {
			if err := create(ctx); err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
			return nil
		})
	}
	return group.Wait()
}

// living are the workloads whose pods really roll out.
type living struct {
	deployments, statefulSets, jobs []workload
}

func (l living) all() []workload {
	return append(append(append([]workload(nil), l.deployments...), l.statefulSets...), l.jobs...)
}

// planLiving divides pods, exactly as many as asked for, among kinds.
func planLiving(pods int) living {
	var l living
	take := func(kind string, i, replicas int) workload {
		return workload{
			namespace: namespaceName(i % livingNamespaces),
			name:      fmt.Sprintf("%s-%s", domains[i%len(domains)], kind),
			component: kind,
			replicas:  replicas,
		}
	}
	for i := range min(3, pods/10) {
		l.jobs = append(l.jobs, take("migration", i, 1))
	}
	left := pods - len(l.jobs)
	if left >= 10 {
		l.statefulSets = append(l.statefulSets, take("postgres", 0, 3))
		left -= 3
	}
	for i := 0; left > 0; i++ {
		w := take(components[i/len(domains)%len(components)], i, min(left, 1+i%5))
		if round := i / len(domains) / len(components); round > 0 {
			w.name = fmt.Sprintf("%s-%d", w.name, round)
		}
		left -= w.replicas
		l.deployments = append(l.deployments, w)
	}
	return l
}

// waitServiceAccounts returns when pods can be created in the namespaces.
func (a *api) waitServiceAccounts(ctx context.Context, namespaces []string) error {
	for _, name := range namespaces {
		err := poll(ctx, func(ctx context.Context) (bool, error) {
			_, err := a.client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return fmt.Errorf("wait for the service account of namespace %s: %w", name, err)
		}
	}
	return nil
}

// waitRunning returns when the living workloads are what they should be.
func (a *api) waitRunning(ctx context.Context, pods int) error {
	plan := planLiving(pods)
	for _, w := range plan.all() {
		err := poll(ctx, func(ctx context.Context) (bool, error) { return a.settled(ctx, w) })
		if err != nil {
			return fmt.Errorf("wait for %s/%s: %w", w.namespace, w.name, err)
		}
	}
	return nil
}

func (a *api) settled(ctx context.Context, w workload) (bool, error) {
	switch w.component {
	case "migration":
		job, err := a.client.BatchV1().Jobs(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		return err == nil && hasCompleted(job), err
	case "postgres":
		set, err := a.client.AppsV1().StatefulSets(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		return err == nil && int(set.Status.ReadyReplicas) == w.replicas, err
	}
	d, err := a.client.AppsV1().Deployments(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
	return err == nil && isAvailable(d, w.replicas), err
}

func isAvailable(d *appsv1.Deployment, replicas int) bool {
	return d.Status.ObservedGeneration >= d.Generation && int(d.Status.AvailableReplicas) == replicas
}

func hasCompleted(job *batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func poll(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, condition)
}
