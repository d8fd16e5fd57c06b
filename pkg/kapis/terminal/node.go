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
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
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
	shells, err := shellsOf(r.URL.Query().Get("shell"))
	if err != nil {
		return err
	}
	everything := rbacv1.PolicyRule{Verbs: []string{rbacv1.VerbAll}, APIGroups: []string{rbacv1.APIGroupAll}, Resources: []string{rbacv1.ResourceAll}}
	if err := h.needs(r, authz.Scope{Cluster: authz.ThisCluster}, everything, "a shell on a node is root there: it takes all rights in the cluster"); err != nil {
		return err
	}
	node := &corev1.Node{}
	if err := h.Client.Get(r.Context(), client.ObjectKey{Name: r.PathValue("node")}, node); err != nil {
		return kube.Err(err)
	}
	who, _ := kuberequest.UserFrom(r.Context())
	pod, err := h.shellPod(node.Name, who.GetName())
	if err != nil {
		return err
	}
	// It is the person's doing, and everybody shall see that.
	acting := kube.WithCaller(r.Context(), who)
	defer h.remove(acting, pod)
	return h.upgrade(w, r, shells, func(ctx context.Context) (target, error) {
		ctx = kube.WithCaller(ctx, who)
		if err := h.Client.Create(ctx, pod); err != nil {
			return target{}, err
		}
		return target{pod.Namespace, pod.Name, shellContainer, []string{"nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--"}}, h.running(ctx, pod)
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
			Labels: map[string]string{"app.kubernetes.io/name": "node-shell", iamv1alpha2.LabelUserReference: session.UserLabel(user)},
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
func (h *Handler) running(ctx context.Context, pod *corev1.Pod) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, runsWithin, true, func(ctx context.Context) (bool, error) {
		err := h.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return err == nil && pod.Status.Phase == corev1.PodRunning, err
	})
	if wait.Interrupted(err) {
		return status.Unavailable(5, "the pod of the terminal does not run after %s; it is %s", runsWithin, pod.Status.Phase)
	}
	return err
}

// remove gives a pod back, though the request may be over.
func (h *Handler) remove(ctx context.Context, pod *corev1.Pod) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removedWithin)
	defer cancel()
	if err := client.IgnoreNotFound(h.Client.Delete(ctx, pod, client.GracePeriodSeconds(0))); err != nil {
		slog.WarnContext(ctx, "the pod of a terminal is left", "pod", pod.Name, "error", err)
	}
}
