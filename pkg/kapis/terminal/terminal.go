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
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

var resource = schema.GroupResource{Group: "terminal.kubesphere.io", Resource: "pods"}

// Handler serves terminals.
type Handler struct {
	// Config reaches kube-apiserver.
	Config *rest.Config
	// Client acts as this server: it makes the pods that are this server's.
	Client client.Client
	Rights Rights
	// Allowed reports why the caller of a request may not go on with it.
	Allowed func(r *http.Request) error
	// Image is what shells on nodes run in.
	Image string
	// IdleTimeout ends a terminal in which nothing is typed, MaxLifetime any.
	IdleTimeout, MaxLifetime time.Duration
	// Beat is how often a terminal is looked after; 15 seconds if 0.
	Beat time.Duration
	Now  func() time.Time
}

// Rights says what a caller may do. *authz.RBAC does.
type Rights interface {
	// Covers returns which of the rules the caller does not have in the scope.
	Covers(ctx context.Context, who user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error)
}

// Group declares the operations.
func (h *Handler) Group() route.Group {
	shell := route.Parameter{In: route.InQuery, Name: "shell", Description: "The shell to start: bash, sh, ash, zsh, powershell or cmd. Without, bash or else sh."}
	answers := []route.Response{
		{Code: http.StatusSwitchingProtocols, Description: "The terminal: text messages with JSON, {\"Op\":\"stdin\",\"Data\":…} and {\"Op\":\"resize\",\"Cols\":…,\"Rows\":…} to the server, {\"Op\":\"stdout\",\"Data\":…} and {\"Op\":\"toast\",\"Data\":…} from it."},
		{Code: http.StatusBadRequest, Description: "The request is no WebSocket."},
	}
	return route.Group{
		Prefix: "/kapis/terminal.kubesphere.io/v1alpha2", Tag: "Terminal", Description: "Shells in containers and on nodes, over WebSockets.",
		Routes: []route.Route{
			{
				Method: http.MethodGet, Path: "/namespaces/{namespace}/pods/{pod}/exec", ID: "openPodTerminal", Upgrades: true, Summary: "Open a terminal in a container",
				Description: "It takes the right to create pods/exec in the namespace. Rights are looked at again every 15 seconds.",
				Parameters: []route.Parameter{
					inPath("namespace", "Name of the namespace."), inPath("pod", "Name of the pod."),
					{In: route.InQuery, Name: "container", Description: "Name of the container; the first one of the pod if it is missing."}, shell,
				},
				Responses: answers, Handler: h.pod,
			},
			{
				Method: http.MethodGet, Path: "/nodes/{node}/exec", ID: "openNodeTerminal", Upgrades: true, Summary: "Open a terminal on a node",
				Description: "Starts a privileged pod on the node, which ends with the terminal. It takes all rights in the cluster.",
				Parameters:  []route.Parameter{inPath("node", "Name of the node."), shell},
				Responses:   answers, Handler: h.node,
			},
		},
	}
}

func inPath(name, description string) route.Parameter {
	return route.Parameter{In: route.InPath, Name: name, Required: true, Description: description}
}

// pod opens a terminal in a container.
func (h *Handler) pod(w http.ResponseWriter, r *http.Request) error {
	where := target{namespace: r.PathValue("namespace"), pod: r.PathValue("pod"), container: r.URL.Query().Get("container")}
	shells, err := shellsOf(r.URL.Query().Get("shell"))
	if err != nil {
		return err
	}
	// Roles that let look at everything have every get, and this is one.
	if err := h.needs(r, authz.Scope{Namespace: where.namespace}, rbacv1.PolicyRule{
		Verbs: []string{"create"}, APIGroups: []string{corev1.GroupName}, Resources: []string{"pods/exec"},
	}, "a terminal takes the right to create pods/exec"); err != nil {
		return err
	}
	found := &corev1.Pod{}
	if err := h.Client.Get(r.Context(), client.ObjectKey{Namespace: where.namespace, Name: where.pod}, found); err != nil {
		return kube.Err(err)
	}
	return h.upgrade(w, r, shells, func(context.Context) (target, error) { return where, nil })
}

// needs refuses a caller who lacks a right somewhere.
func (h *Handler) needs(r *http.Request, where authz.Scope, rule rbacv1.PolicyRule, reason string) error {
	who, _ := kuberequest.UserFrom(r.Context())
	missing, err := h.Rights.Covers(r.Context(), who, where, []rbacv1.PolicyRule{rule})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return status.Forbidden(resource, r.PathValue("pod"), "%s", reason)
	}
	return nil
}
