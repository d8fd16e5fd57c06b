package kwoknodes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/klog/v2"
)

// retryDelay is the pause after a watch could not be opened.
const retryDelay = time.Second

// Reaper finishes the deletion of static pods, which a kubelet would do:
// kube-apiserver only marks a pod that is bound to a node.
type Reaper struct {
	client metadata.Interface
}

// NewReaper makes a reaper.
func NewReaper(client metadata.Interface) *Reaper { return &Reaper{client: client} }

// Run reaps until ctx ends. It watches without keeping anything: there may be
// 100,000 pods and nobody wants a third copy of them.
func (r *Reaper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.watch(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "finish the deletion of pods")
			select {
			case <-ctx.Done():
			case <-time.After(retryDelay):
			}
		}
	}
	return ctx.Err()
}

func (r *Reaper) watch(ctx context.Context) error {
	pods := r.client.Resource(corev1.SchemeGroupVersion.WithResource("pods"))
	// Without a version the watch begins with all the pods there are.
	watcher, err := pods.Watch(ctx, metav1.ListOptions{LabelSelector: StaticLabel})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if event.Type == watch.Error {
			return fmt.Errorf("watch pods: %w", apierrors.FromObject(event.Object))
		}
		pod, err := meta.Accessor(event.Object)
		if err != nil || event.Type == watch.Deleted || pod.GetDeletionTimestamp() == nil {
			continue
		}
		uid, now := pod.GetUID(), int64(0)
		err = pods.Namespace(pod.GetNamespace()).Delete(ctx, pod.GetName(), metav1.DeleteOptions{
			GracePeriodSeconds: &now,
			// Its successor of the same name must live.
			Preconditions: &metav1.Preconditions{UID: &uid},
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("delete pod %s/%s: %w", pod.GetNamespace(), pod.GetName(), err)
		}
	}
	return nil
}
