package controllers

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/flowcontrol"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// explicitVerbs rewrites the roles of namespaces that KubeSphere 3.x, or this server
// before, wrote with the verb "*": once in the life of a cluster, those whose rules are
// otherwise exactly those of the role or the templates they were copied from. Changed
// roles stay as they are, and are listed in the record of the pass.
type explicitVerbs struct {
	client client.Client
	live   client.Client
	// limiter spreads the writes: there are a few for each project.
	limiter flowcontrol.RateLimiter
}

const (
	explicitVerbsName = "ks-apiserver-explicit-verbs"
	// The keys of the record: how many roles were rewritten, and which were left.
	rewrittenKey, leftKey = "rewritten", "left"
	// maxLeft bounds the names in the record, which has to stay below 1 MiB.
	maxLeft = 2000
)

// rewritesPerSecond bounds the rewritten roles.
const rewritesPerSecond = 50

func (e *explicitVerbs) setup(run ctrl.Manager) error {
	return run.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for ctx.Err() == nil {
			err := e.once(ctx)
			if err == nil {
				return nil
			}
			slog.WarnContext(ctx, "Failed to rewrite roles with the verb *, trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
			}
		}
		return nil
	}))
}

func (e *explicitVerbs) once(ctx context.Context) error {
	record := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: kube.Namespace, Name: explicitVerbsName}}
	if err := e.live.Get(ctx, client.ObjectKeyFromObject(record), record); !apierrors.IsNotFound(err) {
		return err
	}
	bases, templates, err := e.shipped(ctx)
	if err != nil {
		return err
	}
	roles := &rbacv1.RoleList{}
	if err := e.client.List(ctx, roles); err != nil {
		return err
	}
	rewritten, left := 0, []string{}
	for n := range roles.Items {
		role := &roles.Items[n]
		explicit := iam.ExplicitVerbs(role.Rules)
		names, err := iam.Templates(role)
		if err != nil || len(names) == 0 && !iam.BuiltIn(role) || equality.Semantic.DeepEqual(explicit, role.Rules) {
			continue // it was not copied from a role of the platform, or lists its verbs
		}
		shipped, known := bases[role.Name]
		if !iam.BuiltIn(role) {
			var missing []string
			shipped, missing = iam.Aggregate(names, find(templates))
			known = len(missing) == 0
		}
		if !known || !equality.Semantic.DeepEqual(explicit, iam.ExplicitVerbs(shipped)) {
			left = append(left, role.Namespace+"/"+role.Name)
			continue
		}
		if err := e.limiter.Wait(ctx); err != nil {
			return err
		}
		updated := role.DeepCopy()
		updated.Rules = explicit
		// A conflict is a change of now: the pass begins again.
		if err := client.IgnoreNotFound(e.client.Update(ctx, updated)); err != nil {
			return err
		}
		rewritten++
	}
	if len(left) > 0 {
		slog.WarnContext(ctx, "Left roles with the verb * as they were changed: a service account with such a role has powers at kube-apiserver",
			"count", len(left), "roles", left[:min(len(left), 10)], "all", kube.Namespace+"/"+explicitVerbsName)
	}
	record.Data = map[string]string{rewrittenKey: strconv.Itoa(rewritten), leftKey: strings.Join(left[:min(len(left), maxLeft)], "\n")}
	err = e.live.Create(ctx, record)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// shipped are the rules of the roles that are copied into projects, by the names of
// the copies, and of the templates of roles of projects.
func (e *explicitVerbs) shipped(ctx context.Context) (bases, templates map[string][]rbacv1.PolicyRule, err error) {
	all := &iamv1alpha2.RoleBaseList{}
	if err := e.client.List(ctx, all); err != nil {
		return nil, nil, err
	}
	bases, templates = make(map[string][]rbacv1.PolicyRule), make(map[string][]rbacv1.PolicyRule)
	for n := range all.Items {
		base := rbacv1.Role{}
		if json.Unmarshal(all.Items[n].Role.Raw, &base) != nil || base.Kind != "Role" {
			continue
		}
		if _, template := base.Labels[iamv1alpha2.LabelRoleTemplate]; template {
			templates[base.Name] = base.Rules
		} else {
			bases[strings.TrimPrefix(base.Name, "project-")] = base.Rules
		}
	}
	return bases, templates, nil
}
