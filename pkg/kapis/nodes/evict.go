package nodes

import (
	"context"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// What becomes of a pod when its node is drained, beside reasons why it cannot go.
const (
	goes  = "goes"
	stays = "stays"
)

// judge says what becomes of a pod, by the rules of kubectl drain.
func judge(pod *corev1.Pod, o options) string {
	finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	controller := metav1.GetControllerOf(pod)
	switch {
	case pod.Annotations[corev1.MirrorPodAnnotationKey] != "": // it is a file on the node
		return stays
	case controller != nil && controller.Kind == "DaemonSet" && !finished: // it would come back at once
		return stays
	case pod.DeletionTimestamp != nil, finished:
		return goes
	case controller == nil && !o.force:
		return "nobody will make it again"
	case keepsData(pod) && !o.deleteData:
		return "it keeps data in an emptyDir"
	}
	return goes
}

func keepsData(pod *corev1.Pod) bool {
	for n := range pod.Spec.Volumes {
		if pod.Spec.Volumes[n].EmptyDir != nil {
			return true
		}
	}
	return false
}

func name(pod *corev1.Pod) string { return pod.Namespace + "/" + pod.Name }

const (
	// evictionsAtOnce are asked for at the same time.
	evictionsAtOnce = 8
	// askEvery is how often a pod is looked at, and an eviction tried again that a
	// budget does not allow yet.
	askEvery = 500 * time.Millisecond
)

// evict tells pods to go and waits until they are gone, or the time is over.
func (h *Handler) evict(ctx context.Context, pods []corev1.Pod, o options) Drained {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	reasons := make([]string, len(pods))
	var running sync.WaitGroup
	slots := make(chan struct{}, evictionsAtOnce)
	for n := range pods {
		running.Go(func() { reasons[n] = h.evictOne(ctx, &pods[n], o, slots) })
	}
	running.Wait()
	done := Drained{Evicted: []string{}, Left: []Left{}}
	for n := range pods {
		if reasons[n] == "" {
			done.Evicted = append(done.Evicted, name(&pods[n]))
		} else {
			done.Left = append(done.Left, Left{Pod: name(&pods[n]), Reason: reasons[n]})
		}
	}
	return done
}

// evictOne returns why a pod is still there, or nothing.
func (h *Handler) evictOne(ctx context.Context, pod *corev1.Pod, o options, slots chan struct{}) (reason string) {
	reason = "it was not told to go in time"
	told := pod.DeletionTimestamp != nil
	_ = wait.PollUntilContextCancel(ctx, askEvery, true, func(ctx context.Context) (bool, error) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return false, nil
		}
		if !told {
			err := h.Client.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{
				ObjectMeta:    metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
				DeleteOptions: &metav1.DeleteOptions{GracePeriodSeconds: o.grace, Preconditions: &metav1.Preconditions{UID: &pod.UID}},
			})
			switch {
			case apierrors.IsNotFound(err):
				reason = ""
				return true, nil
			case apierrors.IsConflict(err): // another one has its name
				reason = ""
				return true, nil
			case apierrors.IsTooManyRequests(err):
				reason = "a budget for disruptions does not let it go yet"
				return false, nil
			case err != nil:
				// What Kubernetes does not want it will not want again; when it does not
				// answer, or the time is nearly over, the reason stays what it was.
				failure := status.Of(err)
				if refused := failure.Code < http.StatusInternalServerError; refused {
					reason = failure.Message
					return true, nil
				}
				return false, nil
			}
			told, reason = true, "it is still ending"
		} else {
			reason = "it is still ending"
		}
		now := &corev1.Pod{}
		err := h.Client.Get(ctx, client.ObjectKeyFromObject(pod), now)
		if apierrors.IsNotFound(err) || err == nil && now.UID != pod.UID {
			reason = ""
			return true, nil
		}
		return false, nil
	})
	return reason
}
