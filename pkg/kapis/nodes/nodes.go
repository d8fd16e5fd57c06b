package nodes

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Handler serves what can be done with nodes.
type Handler struct {
	// Client acts as the user of the context.
	Client client.Client
	Rights authz.Coverer
}

// How long draining may take: a request has a minute.
const (
	defaultTimeout = 30 * time.Second
	longestTimeout = 50 * time.Second
)

// Drained says what became of the pods of a node.
type Drained struct {
	// Evicted are the pods that are gone, and Left those that were told to go and
	// are not, or must not go yet: as NAMESPACE/NAME, Left with the reason.
	Evicted []string `json:"evicted" description:"The pods that are gone, as NAMESPACE/NAME."`
	Left    []Left   `json:"left" description:"The pods that are still there; ask again to go on with them."`
}

// Left is a pod that is still there.
type Left struct {
	Pod    string `json:"pod" description:"The pod, as NAMESPACE/NAME."`
	Reason string `json:"reason" description:"Why it is still there."`
}

// Group declares the operations.
func (h *Handler) Group() route.Group {
	flag := func(name, description string) route.Parameter {
		return route.Parameter{In: route.InQuery, Name: name, Type: "boolean", Description: description}
	}
	return route.Group{
		Prefix: "/kapis/resources.kubesphere.io/v1alpha2", Tag: "Nodes", Description: "What can be done with nodes.",
		Routes: []route.Route{{
			Method: http.MethodPost, Path: "/nodes/{node}/drainage", ID: "drainNode", Summary: "Empty a node", Awaits: true,
			Description: "Makes a node unschedulable and evicts its pods, as kubectl drain does: budgets for disruptions are kept, and those of daemon sets stay. " +
				"Nothing is done if a pod would be lost for good. It takes the rights to patch nodes and to create pods/eviction everywhere.",
			Parameters: []route.Parameter{
				{In: route.InPath, Name: "node", Required: true, Description: "Name of the node."},
				flag("force", "Evict pods as well that nobody will make again."),
				flag("deleteEmptyDirData", "Evict pods as well that keep data on the node, in an emptyDir."),
				{In: route.InQuery, Name: "gracePeriodSeconds", Type: "integer", Description: "How long pods have to end; as they say themselves if it is missing."},
				{In: route.InQuery, Name: "timeoutSeconds", Type: "integer", Description: "How long to wait for pods to go, at most 50; 30 if it is missing."},
			},
			Responses: []route.Response{
				{Code: http.StatusOK, Description: "The node is empty.", Model: Drained{}},
				{Code: http.StatusAccepted, Description: "Some pods are still there.", Model: Drained{}},
				{Code: http.StatusConflict, Description: "Pods would be lost, which force or deleteEmptyDirData allow.", Model: route.Object{}},
			},
			Handler: h.drain,
		}},
	}
}

// options are the parameters of a request.
type options struct {
	force, deleteData bool
	grace             *int64
	timeout           time.Duration
}

func optionsOf(p *request.Parameters) (options, error) {
	o := options{timeout: defaultTimeout}
	grace, err := p.Single("gracePeriodSeconds")
	if err != nil {
		return o, err
	}
	for name, into := range map[string]*bool{"force": &o.force, "deleteEmptyDirData": &o.deleteData} {
		if *into, err = p.SingleBool(name); err != nil {
			return o, err
		}
	}
	if text := grace; text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || seconds < 0 {
			return o, status.BadRequest("gracePeriodSeconds must be a number of seconds, not %q", text)
		}
		o.grace = &seconds
	}
	if text := p.TimeoutSeconds; text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > longestTimeout {
			return o, status.BadRequest("timeoutSeconds must be a number from 1 to %d, not %q", longestTimeout/time.Second, text)
		}
		o.timeout = time.Duration(seconds) * time.Second
	}
	return o, nil
}

func (h *Handler) drain(w http.ResponseWriter, r *http.Request) error {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return err
	}
	o, err := optionsOf(parameters)
	if err != nil {
		return err
	}
	who, _ := kuberequest.UserFrom(r.Context())
	missing, err := h.Rights.Covers(r.Context(), who, authz.Scope{Cluster: authz.ThisCluster}, []rbacv1.PolicyRule{
		{Verbs: []string{"get", "patch"}, APIGroups: []string{corev1.GroupName}, Resources: []string{"nodes"}},
		{Verbs: []string{"list"}, APIGroups: []string{corev1.GroupName}, Resources: []string{"pods"}},
		{Verbs: []string{"create"}, APIGroups: []string{corev1.GroupName}, Resources: []string{"pods/eviction"}},
	})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return status.Forbidden(policyv1.Resource("evictions"), r.PathValue("node"), "draining a node takes the rights to patch nodes, to list pods, and to create pods/eviction in all namespaces")
	}
	node := &corev1.Node{}
	if err := h.Client.Get(r.Context(), client.ObjectKey{Name: r.PathValue("node")}, node); err != nil {
		return kube.Err(err)
	}
	pods, err := h.evictable(r.Context(), node.Name, o)
	if err != nil {
		return kube.Err(err)
	}
	if !node.Spec.Unschedulable {
		before := node.DeepCopy()
		node.Spec.Unschedulable = true
		if err := h.Client.Patch(r.Context(), node, client.MergeFrom(before)); err != nil {
			return kube.Err(err)
		}
	}
	done := h.evict(r.Context(), pods, o)
	code := http.StatusOK
	if len(done.Left) > 0 {
		code = http.StatusAccepted
	}
	status.WriteJSON(w, code, done)
	return nil
}

// evictable are the pods of a node that have to go, or a conflict naming those
// that would be lost.
func (h *Handler) evictable(ctx context.Context, node string, o options) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	if err := h.Client.List(ctx, list, client.MatchingFields{"spec.nodeName": node}); err != nil {
		return nil, err
	}
	var pods []corev1.Pod
	var lost []string
	for n := range list.Items {
		pod := &list.Items[n]
		switch verdict := judge(pod, o); verdict {
		case stays:
		case goes:
			pods = append(pods, *pod)
		default:
			lost = append(lost, name(pod)+" ("+verdict+")")
		}
	}
	if len(lost) > 0 {
		return nil, status.New(http.StatusConflict, "Conflict", "nothing was done, since these pods would be lost: %s", strings.Join(lost, ", "))
	}
	return pods, nil
}
