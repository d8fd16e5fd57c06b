package controllers

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// templates passes changes of role templates on to the roles made of them.
//
// A role names its templates in an annotation, which whoever may write the role
// may write. Rules follow only for a role that had exactly the rules of its
// templates as they were: somebody was allowed to give those. What they were is
// kept where only this server writes.
//
// Roles of Kubernetes are also written directly at kube-apiserver, by service accounts for
// example, without a check that the writer may give a template that does not exist yet: such
// a template counts when the role is written again through this server.
type templates struct {
	client client.Client
	live   client.Client
}

const (
	templatesName = "ks-apiserver-role-templates"
	templatesKey  = "templates.json"
)

// rulesByKind are the rules of templates by the kind of role and their name.
type rulesByKind map[string]map[string][]rbacv1.PolicyRule

func (t *templates) setup(run ctrl.Manager) error {
	one := enqueue(func(object client.Object) []string {
		if _, base := object.(*iamv1alpha2.RoleBase); base || object.GetLabels()[iamv1alpha2.LabelRoleTemplate] != "" {
			return []string{templatesName}
		}
		return nil
	})
	return ctrl.NewControllerManagedBy(run).Named("templates").
		Watches(&iamv1alpha2.GlobalRole{}, one).Watches(&iamv1alpha2.WorkspaceRole{}, one).
		Watches(&rbacv1.ClusterRole{}, one).Watches(&iamv1alpha2.RoleBase{}, one).Complete(t)
}

// Reconcile implements reconcile.Reconciler. There is one request, for all.
func (t *templates) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	roles, err := t.roles(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	now, err := t.present(ctx, roles)
	if err != nil {
		return reconcile.Result{}, err
	}
	record := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: kube.Namespace, Name: templatesName}}
	err = t.live.Get(ctx, client.ObjectKeyFromObject(record), record)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	known := err == nil
	before := make(rulesByKind)
	if known {
		if err := json.Unmarshal([]byte(record.Data[templatesKey]), &before); err != nil {
			before = nil // somebody wrote it, so that nobody knows what was
		}
		if equality.Semantic.DeepEqual(before, now) {
			return reconcile.Result{}, nil
		}
		for _, role := range roles {
			if err := t.follow(ctx, role, before, now); err != nil {
				return again(err)
			}
		}
	}
	text, err := json.Marshal(now)
	if err != nil {
		return reconcile.Result{}, err
	}
	record.Data = map[string]string{templatesKey: string(text)}
	if known {
		return again(t.live.Update(ctx, record))
	}
	if err := t.live.Create(ctx, record); !apierrors.IsAlreadyExists(err) {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: soon}, nil
}

// follow gives a role the present rules of its templates, if it had those from
// before.
func (t *templates) follow(ctx context.Context, role role, before, now rulesByKind) error {
	names, err := iam.Templates(role.object)
	if err != nil || len(names) == 0 || iam.BuiltIn(role.object) || role.object.GetLabels()[iamv1alpha2.LabelRoleTemplate] != "" {
		return nil //nolint:nilerr // what cannot be read names no templates
	}
	if role.kind == "Role" || role.kind == "ClusterRole" {
		names = slices.DeleteFunc(names, func(name string) bool { _, known := before[role.kind][name]; return !known })
	}
	was, _ := iam.Aggregate(names, find(before[role.kind]))
	is, _ := iam.Aggregate(names, find(now[role.kind]))
	had := *role.rules
	if role.kind == "Role" {
		// Roles of namespaces list the verbs where their templates have "*".
		was, is, had = iam.ExplicitVerbs(was), iam.ExplicitVerbs(is), iam.ExplicitVerbs(had)
	}
	if equality.Semantic.DeepEqual(*role.rules, is) || !equality.Semantic.DeepEqual(had, was) {
		return nil
	}
	*role.rules = is
	return client.IgnoreNotFound(t.client.Update(ctx, role.object))
}

func find(rules map[string][]rbacv1.PolicyRule) func(string) ([]rbacv1.PolicyRule, bool) {
	return func(name string) ([]rbacv1.PolicyRule, bool) {
		found, known := rules[name]
		return found, known
	}
}

// role is a role of any of the four kinds.
type role struct {
	kind   string
	object client.Object
	rules  *[]rbacv1.PolicyRule
}

func (t *templates) roles(ctx context.Context) ([]role, error) {
	global, workspace, cluster, namespaced := &iamv1alpha2.GlobalRoleList{}, &iamv1alpha2.WorkspaceRoleList{}, &rbacv1.ClusterRoleList{}, &rbacv1.RoleList{}
	for _, list := range []client.ObjectList{global, workspace, cluster, namespaced} {
		if err := t.client.List(ctx, list); err != nil {
			return nil, err
		}
	}
	var all []role
	for n := range global.Items {
		all = append(all, role{"GlobalRole", &global.Items[n], &global.Items[n].Rules})
	}
	for n := range workspace.Items {
		all = append(all, role{"WorkspaceRole", &workspace.Items[n], &workspace.Items[n].Rules})
	}
	for n := range cluster.Items {
		all = append(all, role{"ClusterRole", &cluster.Items[n], &cluster.Items[n].Rules})
	}
	for n := range namespaced.Items {
		all = append(all, role{"Role", &namespaced.Items[n], &namespaced.Items[n].Rules})
	}
	return all, nil
}

// present are the templates as they are. Those of projects are role bases.
func (t *templates) present(ctx context.Context, roles []role) (rulesByKind, error) {
	now := rulesByKind{"GlobalRole": {}, "WorkspaceRole": {}, "ClusterRole": {}, "Role": {}}
	for _, one := range roles {
		labels := one.object.GetLabels()
		if labels[iamv1alpha2.LabelRoleTemplate] != "" && labels[iamv1alpha2.LabelWorkspace] == "" && one.kind != "Role" {
			now[one.kind][one.object.GetName()] = *one.rules
		}
	}
	bases := &iamv1alpha2.RoleBaseList{}
	if err := t.client.List(ctx, bases); err != nil {
		return nil, err
	}
	for n := range bases.Items {
		base := struct {
			metav1.TypeMeta `json:",inline"`
			Metadata        metav1.ObjectMeta   `json:"metadata"`
			Rules           []rbacv1.PolicyRule `json:"rules"`
		}{}
		if strictjson.Unmarshal(bases.Items[n].Role.Raw, &base) == nil && base.Kind == "Role" && base.Metadata.Labels[iamv1alpha2.LabelRoleTemplate] != "" {
			now["Role"][base.Metadata.Name] = base.Rules
		}
	}
	return now, nil
}
