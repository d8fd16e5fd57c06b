package terminal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

const (
	// runsWithin bounds how long the pod of a terminal is waited for.
	runsWithin = time.Minute
	// removedWithin bounds how long it takes to give it back.
	removedWithin = 10 * time.Second
	// shellContainer is the container of the pod.
	shellContainer = "shell"
)

// node opens a terminal on a node, in a pod of its own that sees all of it.
func (h *Handler) node(w http.ResponseWriter, r *http.Request) error {
	shells, err := shellsOf(r)
	if err != nil {
		return err
	}
	node := &corev1.Node{}
	var pod *corev1.Pod
	defer func() {
		if pod != nil {
			h.remove(r.Context(), pod)
		}
	}()
	return h.open(w, r, opening{
		shells: shells,
		check: func(ctx context.Context, who user.Info) error {
			const reason = "a shell on a node is root there and reaches the platform's credentials: it takes all rights on the platform"
			if authz.IsLimited(who) {
				return status.Forbidden(inContainers, r.PathValue("node"), reason+", and no personal access token")
			}
			return h.needs(ctx, who, authz.Scope{}, r.PathValue("node"), authz.Everything()[0], reason)
		},
		find: func(ctx context.Context) error {
			return h.Client.Get(ctx, client.ObjectKey{Name: r.PathValue("node")}, node)
		},
		// It is the person's doing, and everybody shall see that.
		prepare: func(ctx context.Context, who user.Info) (target, error) {
			made, err := h.shellPod(node.Name, who.GetName())
			if err != nil {
				return target{}, err
			}
			pod = made // it may be there even when creating it fails
			if err := h.Client.Create(ctx, pod); err != nil {
				return target{}, err
			}
			return target{pod.Namespace, pod.Name, shellContainer, []string{"nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--"}}, running(ctx, h.Client, pod)
		},
	})
}

// shellPod is a pod that is root on a node as long as a terminal may last.
func (h *Handler) shellPod(node, user string) (*corev1.Pod, error) {
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: kube.Namespace, Name: "node-shell-" + hex.EncodeToString(random),
			Labels: map[string]string{labelName: nameNodeShell, iamv1alpha2.LabelUserReference: session.UserLabel(user)},
		},
		Spec: corev1.PodSpec{
			NodeName: node, HostPID: true, HostNetwork: true, HostIPC: true, RestartPolicy: corev1.RestartPolicyNever,
			Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			ActiveDeadlineSeconds:         ptr.To(int64(h.MaxLifetime / time.Second)),
			AutomountServiceAccountToken:  ptr.To(false),
			TerminationGracePeriodSeconds: ptr.To(int64(0)),
			Containers: []corev1.Container{{
				Name: shellContainer, Image: h.Image, Command: []string{"sleep", fmt.Sprint(int64(h.MaxLifetime / time.Second))},
				SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}, Stdin: true, TTY: true,
			}},
		},
	}, nil
}

// running waits until a pod runs.
func running(ctx context.Context, c client.Reader, pod *corev1.Pod) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, runsWithin, true, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		if err == nil && finished(pod) {
			return false, status.Unavailable(5, "the pod of the terminal has ended: %s", pod.Status.Phase)
		}
		return err == nil && pod.Status.Phase == corev1.PodRunning, err
	})
	if wait.Interrupted(err) {
		return status.Unavailable(5, "the pod of the terminal does not run after %s; it is %s", runsWithin, pod.Status.Phase)
	}
	return err
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// remove gives a pod back, though the request may be over.
func (h *Handler) remove(ctx context.Context, pod *corev1.Pod) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removedWithin)
	defer cancel()
	if err := client.IgnoreNotFound(h.Client.Delete(ctx, pod, client.GracePeriodSeconds(0))); err != nil {
		slog.WarnContext(ctx, "the pod of a terminal is left", "pod", pod.Name, "error", err)
	}
}
