package terminal

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
)

const (
	// home is where kubectl finds its kubeconfig: in memory, and never in an
	// object of Kubernetes.
	home = "/home/kubectl"
	// nobody is who the container runs as.
	nobody = 65532
	// touchEvery is how often an open terminal says that its pod is used. The
	// idle timeout is more than that.
	touchEvery = 20 * time.Second
	// equipWithin bounds how long it takes to write the kubeconfig.
	equipWithin = 20 * time.Second
)

// template is the pod of a user: it has no rights in the cluster and no way to
// get any, and goes with the user.
func (k *Kubectl) template(owner *iamv1alpha2.User) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: k.Namespace, Name: PodName(owner.Name),
			Labels:      map[string]string{labelName: nameKubectl, iamv1alpha2.LabelUserReference: session.UserLabel(owner.Name)},
			Annotations: map[string]string{annotationUser: owner.Name, annotationUsed: k.Now().UTC().Format(time.RFC3339)},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: iamv1alpha2.SchemeGroupVersion.String(), Kind: "User", Name: owner.Name, UID: owner.UID,
			}},
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			TerminationGracePeriodSeconds: ptr.To(int64(0)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(nobody)), RunAsGroup: ptr.To(int64(nobody)), FSGroup: ptr.To(int64(nobody)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: kubectlContainer, Image: k.Image, Command: []string{"tail", "-f", "/dev/null"}, WorkingDir: home,
				Env: []corev1.EnvVar{{Name: "HOME", Value: home}, {Name: "KUBECONFIG", Value: home + "/.kube/config"}},
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
					Limits: corev1.ResourceList{
						corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi"), corev1.ResourceEphemeralStorage: resource.MustParse("256Mi"),
					},
				},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				VolumeMounts: []corev1.VolumeMount{{Name: "home", MountPath: home}, {Name: "tmp", MountPath: "/tmp"}},
			}},
			Volumes: []corev1.Volume{
				{Name: "home", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: ptr.To(resource.MustParse("64Mi"))}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(resource.MustParse("128Mi"))}}},
			},
		},
	}
}

// equip writes a kubeconfig with a fresh token into the pod of a user. It is
// there before the shell is, which a Secret that changes would not be.
func (h *Handler) equip(ctx context.Context, who user.Info, where target, session string) error {
	authority, err := h.Kubectl.Authority()
	if err != nil {
		return err
	}
	content, err := h.Kubectl.Credentials.Kubeconfig(who.GetName(), session, h.Kubectl.Server, authority, h.Kubectl.Lifetime)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, header := range []*tar.Header{
		{Name: ".kube/", Typeflag: tar.TypeDir, Mode: 0o700, Uid: nobody, Gid: nobody},
		{Name: ".kube/config", Typeflag: tar.TypeReg, Mode: 0o600, Uid: nobody, Gid: nobody, Size: int64(len(content)), ModTime: h.Now()},
	} {
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
	}
	if _, err := writer.Write(content); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, equipWithin)
	defer cancel()
	var complaint beginning
	err = h.exec(ctx, who, where, []string{"tar", "-x", "-m", "-f", "-", "-C", home}, remotecommand.StreamOptions{Stdin: &archive, Stderr: &complaint})
	if err != nil {
		return fmt.Errorf("writing a kubeconfig: %w: %.200q", err, complaint.String())
	}
	return nil
}

// tendKubectl keeps the token in a pod valid and the pod in use as long as a
// terminal is open.
func (h *Handler) tendKubectl(ctx context.Context, who user.Info, where target, session string) {
	every := min(touchEvery, h.Kubectl.IdleTimeout/3)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	renewed := h.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := h.Kubectl.keep(kube.AsServer(ctx), where); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "the pod of a terminal may be taken for unused", "pod", where.pod, "error", err)
		}
		if h.Now().Sub(renewed) < h.Kubectl.Lifetime/3 {
			continue
		}
		if err := h.equip(ctx, who, where, session); err != nil {
			slog.WarnContext(ctx, "the token of a terminal is not renewed", "pod", where.pod, "error", err)
			continue
		}
		renewed = h.Now()
	}
}

// keep notes that a pod is used.
func (k *Kubectl) keep(ctx context.Context, where target) error {
	pod := &corev1.Pod{}
	if err := k.Client.Get(ctx, client.ObjectKey{Namespace: where.namespace, Name: where.pod}, pod); err != nil {
		return err
	}
	if err := k.touch(ctx, pod); !apierrors.IsConflict(err) { // another terminal did
		return err
	}
	return nil
}

// sweepEvery is how often pods nobody uses are looked for.
const sweepEvery = time.Minute

// Run removes pods nobody uses, until the context ends. Every replica does.
func (k *Kubectl) Run(ctx context.Context) {
	ticker := time.NewTicker(max(time.Second, min(sweepEvery, k.IdleTimeout/2)))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := k.Sweep(ctx); err != nil && !kube.Unavailable(err) {
			slog.WarnContext(ctx, "pods of terminals may be left", "error", err)
		}
	}
}

// Sweep removes the pods of kubectl nobody uses or whose user is gone, and those
// of shells on nodes that have ended.
func (k *Kubectl) Sweep(ctx context.Context) error {
	pods := &corev1.PodList{}
	if err := k.Client.List(ctx, pods, client.InNamespace(k.Namespace), client.MatchingLabels{labelName: nameKubectl}); err != nil {
		return err
	}
	left := &corev1.PodList{}
	if err := k.Client.List(ctx, left, client.InNamespace(kube.Namespace), client.MatchingLabels{labelName: nameNodeShell}); err != nil {
		return err
	}
	for n := range pods.Items {
		pod := &pods.Items[n]
		unused, err := k.unused(ctx, pod)
		if err != nil {
			return err
		}
		if unused {
			left.Items = append(left.Items, *pod)
		}
	}
	for n := range left.Items {
		pod := &left.Items[n]
		if pod.Labels[labelName] == nameNodeShell && !finished(pod) {
			continue // its deadline ends it
		}
		if err := k.delete(ctx, pod); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}

// settled is how long an account may be unknown here that another replica has
// just made.
const settled = time.Minute

// unused reports whether a pod is left over.
func (k *Kubectl) unused(ctx context.Context, pod *corev1.Pod) (bool, error) {
	used, err := time.Parse(time.RFC3339, pod.Annotations[annotationUsed])
	if err != nil {
		used = pod.CreationTimestamp.Time
	}
	since := k.Now().Sub(used)
	if since > k.IdleTimeout {
		return true, nil
	}
	account, found, err := k.Accounts.Account(ctx, pod.Annotations[annotationUser])
	if err != nil {
		return false, err
	}
	return !found && since > settled || found && !authn.MayGoOn(account.State), nil
}
