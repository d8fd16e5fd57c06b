package controllers

import (
	"context"
	"log/slog"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

const (
	// FormerBindingName is that of the binding by which earlier versions had all rights in
	// Kubernetes for whom they had authorized.
	FormerBindingName = "kubesphere-authorized"

	formerBindingInterval = 15 * time.Second
	// formerReplicasEnd is how long all replicas have to be of this version until nothing
	// that an earlier one serves can go on: longer than a pod is given to end.
	formerReplicasEnd = 5 * time.Minute
)

// FormerBinding deletes the binding of earlier versions once no replica of them can run.
// It implements manager.Runnable.
type FormerBinding struct {
	// Client reads and writes as this server.
	Client client.Client
	Now    func() time.Time
}

// Start implements manager.Runnable.
func (f *FormerBinding) Start(ctx context.Context) error {
	ticker := time.NewTicker(formerBindingInterval)
	defer ticker.Stop()
	var since time.Time // when it was first seen that all replicas are of this version
	told := false
	for {
		binding := &rbacv1.ClusterRoleBinding{}
		err := f.Client.Get(ctx, client.ObjectKey{Name: FormerBindingName}, binding)
		switch {
		case apierrors.IsNotFound(err):
			return wait(ctx)
		case err != nil: // asked again
		case !f.alone(ctx):
			since = time.Time{}
			if !told {
				slog.InfoContext(ctx, "the binding of an earlier version is left until all replicas are of this one; without a Deployment ks-apiserver, delete it by hand", "name", FormerBindingName)
				told = true
			}
		case since.IsZero():
			since = f.Now()
		case f.Now().Sub(since) >= formerReplicasEnd:
			if err := iam.Revoke(ctx, f.Client, binding); err == nil {
				slog.InfoContext(ctx, "the binding of an earlier version is deleted", "name", FormerBindingName)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func wait(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// alone reports whether all replicas of the Deployment are as it says now. This replica is
// of this version, so that all are.
func (f *FormerBinding) alone(ctx context.Context) bool {
	deployment := &appsv1.Deployment{}
	if err := f.Client.Get(ctx, client.ObjectKey{Namespace: kube.Namespace, Name: reserved.ManagedByServer}, deployment); err != nil {
		return false
	}
	status := &deployment.Status
	return status.ObservedGeneration >= deployment.Generation && status.Replicas > 0 &&
		status.UpdatedReplicas == status.Replicas && status.ReadyReplicas == status.Replicas && status.UnavailableReplicas == 0
}
