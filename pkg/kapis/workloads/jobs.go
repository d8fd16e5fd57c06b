package workloads

import (
	"context"
	"errors"
	"net/http"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Handler serves what can be done with workloads.
type Handler struct {
	// Client acts as the user of the context.
	Client client.Client
	Rights authz.Coverer
}

// actionRerun is all that can be done with a job.
const actionRerun = "rerun"

// goneWithin bounds how long the old job is waited for.
const goneWithin = 20 * time.Second

func inPath(name, description string) route.Parameter {
	return route.Parameter{In: route.InPath, Name: name, Required: true, Description: description}
}

// Groups declare the operations.
func (h *Handler) Groups() []route.Group {
	return []route.Group{
		{
			Prefix: "/kapis/resources.kubesphere.io/v1alpha2", Tag: "Workloads", Description: "What can be done with workloads.", Routes: h.revisionRoutes(),
		},
		{
			Prefix: "/kapis/operations.kubesphere.io/v1alpha2", Tag: "Workloads", Description: "What can be done with workloads.",
			Routes: []route.Route{{
				Method: http.MethodPost, Path: "/namespaces/{namespace}/jobs/{job}", ID: "rerunJob", Summary: "Run a job again",
				Description: "Replaces a job, whether it is complete or not, by a new one of the same name. It takes the rights to delete and to create jobs.",
				Parameters: []route.Parameter{
					inPath("namespace", "Name of the namespace."), inPath("job", "Name of the job."),
					{In: route.InQuery, Name: "action", Required: true, Values: []string{actionRerun}, Description: "What to do."},
					{In: route.InQuery, Name: "resourceVersion", Description: "Version the job has to have; a conflict if it changed since."},
				},
				Responses: []route.Response{{Code: http.StatusOK, Description: "The job runs again.", Model: route.Message{}}},
				Handler:   h.rerun,
			}},
		},
	}
}

func (h *Handler) rerun(w http.ResponseWriter, r *http.Request) error {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return err
	}
	action, err := parameters.Single("action")
	if err != nil {
		return err
	}
	if action != actionRerun {
		return status.BadRequest("invalid operation %q: the action must be %s", action, actionRerun)
	}
	key := client.ObjectKey{Namespace: r.PathValue("namespace"), Name: r.PathValue("job")}
	who, _ := kuberequest.UserFrom(r.Context())
	missing, err := h.Rights.Covers(r.Context(), who, authz.Scope{Namespace: key.Namespace}, []rbacv1.PolicyRule{{
		Verbs: []string{"get", "create", "delete"}, APIGroups: []string{batchv1.GroupName}, Resources: []string{"jobs"},
	}})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return status.Forbidden(batchv1.Resource("jobs"), key.Name, "running a job again takes the rights to get, delete and create jobs")
	}
	if err := h.replace(r.Context(), key, parameters.ResourceVersion); err != nil {
		return kube.Err(err)
	}
	route.WriteSuccess(w)
	return nil
}

// replace deletes a job and creates it anew. Whether Kubernetes takes the new
// one is found out before the old one is lost.
func (h *Handler) replace(ctx context.Context, key client.ObjectKey, version string) error {
	old := &batchv1.Job{}
	deleted := func() error {
		*old = batchv1.Job{}
		if err := h.Client.Get(ctx, key, old); err != nil {
			return err
		}
		if version != "" && version != old.ResourceVersion {
			return apierrors.NewConflict(batchv1.Resource("jobs"), key.Name, errChanged)
		}
		trial := again(old)
		trial.Name, trial.GenerateName = "", "rerun-"
		if err := h.Client.Create(ctx, trial, client.DryRunAll); err != nil {
			return err
		}
		return h.Client.Delete(ctx, old, client.PropagationPolicy(metav1.DeletePropagationBackground),
			client.Preconditions{UID: &old.UID, ResourceVersion: &old.ResourceVersion})
	}
	// What Kubernetes writes of a job that runs is no conflict of a client that names no version.
	if err := retry.OnError(retry.DefaultBackoff, func(err error) bool { return apierrors.IsConflict(err) && version == "" }, deleted); err != nil {
		return err
	}
	fresh := again(old)
	// The old one is gone: whether the client waits or not, there has to be a new one.
	ctx = context.WithoutCancel(ctx)
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, goneWithin, true, func(ctx context.Context) (bool, error) {
		err := h.Client.Create(ctx, fresh.DeepCopy())
		if apierrors.IsAlreadyExists(err) { // a finalizer holds the old one
			return false, nil
		}
		return err == nil, err
	})
}

var errChanged = errors.New("please apply your changes to the latest version and try again")

// again is a job as it was asked for, without what Kubernetes made of it.
func again(old *batchv1.Job) *batchv1.Job {
	fresh := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: old.Namespace, Name: old.Name, Labels: old.Labels, Annotations: old.Annotations, OwnerReferences: old.OwnerReferences},
		Spec:       *old.Spec.DeepCopy(),
	}
	fresh = fresh.DeepCopy()
	if fresh.Spec.ManualSelector == nil || !*fresh.Spec.ManualSelector {
		fresh.Spec.Selector = nil
		for _, generated := range []string{"controller-uid", "job-name", batchv1.ControllerUidLabel, batchv1.JobNameLabel} {
			delete(fresh.Labels, generated)
			delete(fresh.Spec.Template.Labels, generated)
		}
	}
	return fresh
}
