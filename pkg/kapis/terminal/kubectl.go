package terminal

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/ownrole"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

const (
	labelName     = "app.kubernetes.io/name"
	nameKubectl   = "kubectl"
	nameNodeShell = "node-shell"
	// annotationUser names the user a pod belongs to; a label does not hold every name.
	annotationUser = "terminal.kubesphere.io/user"
	// annotationUsed is when somebody was last known to use it.
	annotationUsed = "terminal.kubesphere.io/used"
	// kubectlContainer is the container of the pod.
	kubectlContainer = "kubectl"
)

// Kubectl makes the pods people run kubectl in: one for each user, with the
// user's own rights and no other.
type Kubectl struct {
	// Client acts as the user of the context.
	Client client.Client
	// Accounts says who there is, and Credentials makes what kubectl logs in with.
	Accounts    Accounts
	Credentials Credentials
	// Namespace is where the pods are. Who may write there may be anybody who
	// has a pod there.
	Namespace, Image string
	// Server is the HTTPS address of this server for the pods; there are none
	// without. Authority returns the certificates it is checked by, in PEM.
	Server    string
	Authority func() ([]byte, error)
	// Lifetime is how long the token in a pod is valid. It is renewed long before
	// while a terminal is open.
	Lifetime time.Duration
	// IdleTimeout is how long a pod stays that nobody uses.
	IdleTimeout time.Duration
	Now         func() time.Time
}

// Accounts finds users.
type Accounts interface {
	Account(ctx context.Context, name string) (iam.Account, bool, error)
}

// Credentials makes what kubectl logs in with.
type Credentials interface {
	// Session returns the session tokens of a caller shall belong to.
	Session(ctx context.Context, who user.Info) (string, error)
	// Kubeconfig returns one with a token that lasts for a while.
	Kubeconfig(user, session, server string, authority []byte, lifetime time.Duration) ([]byte, error)
}

// PodName is the name of a user's pod.
func PodName(user string) string { return fmt.Sprintf("kubectl-%x", sha256.Sum256([]byte(user)))[:48] }

// Own reports whether a pod is the one of a user to run kubectl in.
func (k *Kubectl) Own(user, namespace, pod string) bool {
	return k != nil && k.Server != "" && namespace == k.Namespace && pod == PodName(user)
}

func (k *Kubectl) own(who user.Info, pod client.ObjectKey) bool {
	return k.Own(who.GetName(), pod.Namespace, pod.Name)
}

// mayHave refuses who may not have a terminal with the rights of a user:
// everybody but the user, and credentials that are less than the user is.
func (k *Kubectl) mayHave(who user.Info, name string) error {
	_, limited := who.GetExtra()[authz.ExtraScopes]
	switch {
	case who.GetName() != name:
		return status.Forbidden(inContainers, name, "kubectl runs with the rights of its user, so that nobody else may use it")
	case limited:
		return status.Forbidden(inContainers, name, "a personal access token is no way to further credentials")
	case k.Server == "":
		return status.New(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "kubectl terminals are not configured: set terminal.kubectl.server to the https:// address of this server")
	}
	return nil
}

// Ensure returns the pod of a user, running, and notes that it is used.
func (k *Kubectl) Ensure(ctx context.Context, name string) (*corev1.Pod, error) {
	ctx = kube.AsServer(ctx)
	if err := k.ownNamespace(ctx); err != nil {
		return nil, err
	}
	if err := ownrole.Ensure(ctx, k.Client, k.Namespace, podRules); err != nil {
		return nil, err
	}
	pod, err := k.use(ctx, name)
	if err != nil {
		return nil, err
	}
	return pod, running(ctx, k.Client, pod)
}

// podRules are what this server does with the pods.
var podRules = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "delete", "patch"}},
	{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create", "get"}},
}

// use finds or makes the pod of a user. One that has ended, or is about to, is
// replaced.
func (k *Kubectl) use(ctx context.Context, name string) (*corev1.Pod, error) {
	var pod *corev1.Pod
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, runsWithin, true, func(ctx context.Context) (bool, error) {
		pod = &corev1.Pod{} // anew: what is read into an object is added to its labels and annotations
		err := k.Client.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: PodName(name)}, pod)
		switch {
		case apierrors.IsNotFound(err):
			pod, err = k.create(ctx, name)
			return pod != nil, err
		case err != nil:
			return false, err
		case pod.Annotations[annotationUser] != name || pod.Labels[labelName] != nameKubectl:
			return false, status.New(http.StatusConflict, metav1.StatusReasonConflict, "pod %s in namespace %s is not this server's", pod.Name, pod.Namespace)
		case pod.DeletionTimestamp != nil:
			return false, nil
		case finished(pod):
			return false, client.IgnoreNotFound(k.delete(ctx, pod))
		}
		err = k.touch(ctx, pod)
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if wait.Interrupted(err) {
		return nil, status.Unavailable(5, "the former pod of the terminal does not go away")
	}
	return pod, err
}

// create makes the pod of a user. It returns neither the pod nor an error when
// that has to be tried again.
func (k *Kubectl) create(ctx context.Context, name string) (*corev1.Pod, error) {
	owner := &iamv1alpha2.User{}
	if err := k.Client.Get(ctx, client.ObjectKey{Name: name}, owner); err != nil {
		return nil, err
	}
	pod := k.template(owner)
	err := k.Client.Create(ctx, pod)
	switch {
	case apierrors.IsAlreadyExists(err): // by another request
		return nil, nil
	case err != nil:
		return nil, err
	}
	return pod, nil
}

// touch notes that a pod is used. It fails when somebody else has changed it,
// such as the sweep, which then fails if this did not.
func (k *Kubectl) touch(ctx context.Context, pod *corev1.Pod) error {
	before := pod.DeepCopy()
	pod.Annotations[annotationUsed] = k.Now().UTC().Format(time.RFC3339)
	return k.Client.Patch(ctx, pod, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

func (k *Kubectl) delete(ctx context.Context, pod *corev1.Pod) error {
	return k.Client.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion})
}

// KubectlPod says where a user can run kubectl.
type KubectlPod struct {
	Namespace string `json:"namespace" description:"Namespace of the pod."`
	Pod       string `json:"pod" description:"Name of the pod."`
	Container string `json:"container" description:"Name of the container."`
}

// kubectlPod answers with the pod of the caller: the console of 3.x opens a
// terminal in it then.
func (h *Handler) kubectlPod(w http.ResponseWriter, r *http.Request) error {
	who, _ := kuberequest.UserFrom(r.Context())
	if err := h.Kubectl.mayHave(who, r.PathValue("user")); err != nil {
		return err
	}
	pod, err := h.Kubectl.Ensure(r.Context(), who.GetName())
	if err != nil {
		return kube.Err(err)
	}
	status.WriteJSON(w, http.StatusOK, KubectlPod{pod.Namespace, pod.Name, kubectlContainer})
	return nil
}

// kubectl opens a terminal with kubectl.
func (h *Handler) kubectl(w http.ResponseWriter, r *http.Request) error {
	shells, err := shellsOf(r)
	if err != nil {
		return err
	}
	return h.openKubectl(w, r, r.PathValue("user"), shells)
}

func (h *Handler) openKubectl(w http.ResponseWriter, r *http.Request, name string, shells []string) error {
	return h.open(w, r, opening{
		shells: shells,
		check:  func(_ context.Context, who user.Info) error { return h.Kubectl.mayHave(who, name) },
		find:   func(context.Context) error { return nil },
		prepare: func(ctx context.Context, who user.Info) (target, error) {
			pod, err := h.Kubectl.Ensure(ctx, name)
			if err != nil {
				return target{}, err
			}
			where := target{namespace: pod.Namespace, pod: pod.Name, container: kubectlContainer}
			session, err := h.Kubectl.Credentials.Session(kube.WithCaller(ctx, who), who)
			if err != nil {
				return target{}, err
			}
			if err := h.equip(ctx, who, where, session); err != nil {
				return target{}, err
			}
			go h.tendKubectl(ctx, who, where, session)
			return where, nil
		},
	})
}
