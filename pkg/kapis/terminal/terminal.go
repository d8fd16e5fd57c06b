package terminal

import (
	"context"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

var inContainers = schema.GroupResource{Group: "terminal.kubesphere.io", Resource: "pods"}

// Handler serves terminals.
type Handler struct {
	// Config reaches kube-apiserver as the user of the context.
	Config *rest.Config
	// Client acts as the user of the context.
	Client client.Client
	Rights authz.Coverer
	// Allowed returns the caller of a request as of now, or why there is none who
	// may go on with it.
	Allowed func(r *http.Request) (user.Info, error)
	// Kubectl makes the pods people run kubectl in.
	Kubectl *Kubectl
	Limits  *Limits
	// Image is what shells on nodes run in.
	Image string
	// IdleTimeout ends a terminal in which nothing is typed, MaxLifetime any.
	IdleTimeout, MaxLifetime time.Duration
	// MaxFileBytes bounds files that are moved into containers and out of them.
	MaxFileBytes int64
	// Beat is how often a terminal is looked after; 2 seconds if 0.
	Beat time.Duration
	Now  func() time.Time
}

func inPath(name, description string) route.Parameter {
	return route.Parameter{In: route.InPath, Name: name, Required: true, Description: description}
}

// pod opens a terminal in a container.
func (h *Handler) pod(w http.ResponseWriter, r *http.Request) error {
	key := client.ObjectKey{Namespace: r.PathValue("namespace"), Name: r.PathValue("pod")}
	shells, err := shellsOf(r)
	if err != nil {
		return err
	}
	container, err := containerOf(r)
	if err != nil {
		return err
	}
	who, _ := kuberequest.UserFrom(r.Context())
	if h.Kubectl.own(who, key) {
		return h.openKubectl(w, r, who.GetName(), shells)
	}
	var where target
	return h.open(w, r, opening{
		shells: shells,
		check:  func(ctx context.Context, who user.Info) error { return h.mayExec(ctx, who, key) },
		find: func(ctx context.Context) (err error) {
			where, err = h.container(ctx, key, container)
			return err
		},
		prepare: func(context.Context, user.Info) (target, error) { return where, nil },
	})
}

// containerOf returns the name of the container a request is for, "" for the default one.
func containerOf(r *http.Request) (string, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return "", err
	}
	return parameters.Single("container")
}

// container returns a container of a pod.
func (h *Handler) container(ctx context.Context, key client.ObjectKey, name string) (target, error) {
	pod := &corev1.Pod{}
	if err := h.Client.Get(ctx, key, pod); err != nil {
		return target{}, err
	}
	name, err := choose(pod, name)
	return target{namespace: key.Namespace, pod: key.Name, container: name}, err
}

// mayExec refuses who may not run commands in a pod. Roles that let look at
// everything have every get, and asking for a WebSocket is one. The scopes of a
// personal access token have been compared with the request, which names the same
// verb and resource in the group of terminals; what is left are its owner's rights.
func (h *Handler) mayExec(ctx context.Context, who user.Info, pod client.ObjectKey) error {
	return h.needs(ctx, authz.TokenOwner(who), authz.Scope{Namespace: pod.Namespace}, pod.Name, rbacv1.PolicyRule{
		Verbs: []string{"create"}, APIGroups: []string{corev1.GroupName}, Resources: []string{"pods/exec"}, ResourceNames: []string{pod.Name},
	}, "it takes the right to create pods/exec")
}

// needs refuses a caller who lacks a right somewhere.
func (h *Handler) needs(ctx context.Context, who user.Info, where authz.Scope, name string, rule rbacv1.PolicyRule, reason string) error {
	missing, err := h.Rights.Covers(ctx, who, where, []rbacv1.PolicyRule{rule})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return status.Forbidden(inContainers, name, "%s", reason)
	}
	return nil
}
