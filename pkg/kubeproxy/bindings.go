package kubeproxy

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// binding are the fields of a binding that say which subjects have which role.
type binding struct {
	RoleRef  rbacv1.RoleRef   `json:"roleRef"`
	Subjects []rbacv1.Subject `json:"subjects"`
}

func bindingOf(object *unstructured.Unstructured) (binding, error) {
	var b binding
	err := convert(object.Object, &b)
	return b, err
}

// permitBinding returns nil when a user may give the role of a binding to the subjects
// that get it, and take it from those that lose it. before is nil for a new binding.
func (p *Proxy) permitBinding(ctx context.Context, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	is, err := bindingOf(after)
	if err != nil {
		return err
	}
	if before == nil {
		if err := authz.CheckSubjects(ctx, p.rights, who, resource, after.GetName(), is.Subjects); err != nil {
			return err
		}
		return p.rights.MayBind(ctx, who, scopeOf(after), is.RoleRef)
	}
	was, err := bindingOf(before)
	if err != nil {
		return err
	}
	lost, gained := was.Subjects, is.Subjects
	if is.RoleRef == was.RoleRef && sameWorkspace(before, after) {
		lost, gained = subjectsWithout(was.Subjects, is.Subjects), subjectsWithout(is.Subjects, was.Subjects)
	}
	if len(lost) > 0 {
		if err := authz.CheckRevoke(ctx, p.rights, who, scopeOf(before), was.RoleRef, lost); err != nil {
			return err
		}
	}
	if err := authz.CheckSubjects(ctx, p.rights, who, resource, after.GetName(), gained); err != nil {
		return err
	}
	if len(gained) == 0 && is.RoleRef == was.RoleRef && sameWorkspace(before, after) {
		return nil
	}
	return p.rights.MayBind(ctx, who, scopeOf(after), is.RoleRef)
}

// groupWarnings returns a warning for each group of a workspace that has a role of the
// platform or the cluster by a binding.
func (p *Proxy) groupWarnings(ctx context.Context, object *unstructured.Unstructured) ([]string, error) {
	if kind := object.GetKind(); p.options.GroupWorkspace == nil || kind != "ClusterRoleBinding" && kind != "GlobalRoleBinding" {
		return nil, nil
	}
	is, err := bindingOf(object)
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, subject := range is.Subjects {
		if subject.Kind != rbacv1.GroupKind {
			continue
		}
		workspace, err := p.options.GroupWorkspace(ctx, subject.Name)
		if err != nil {
			return nil, err
		}
		if workspace != "" {
			warnings = append(warnings, fmt.Sprintf(iam.GroupWarning, subject.Name, workspace, is.RoleRef.Name))
		}
	}
	return warnings, nil
}

// subjectsWithout returns the subjects that are not among others.
func subjectsWithout(subjects, others []rbacv1.Subject) []rbacv1.Subject {
	known := make(map[rbacv1.Subject]bool, len(others))
	for n := range others {
		known[subjectKey(others[n])] = true
	}
	return slices.DeleteFunc(slices.Clone(subjects), func(subject rbacv1.Subject) bool { return known[subjectKey(subject)] })
}

// subjectKey is the same for subjects that are the same. The API group follows from the
// kind, and Kubernetes completes it.
func subjectKey(subject rbacv1.Subject) rbacv1.Subject {
	subject.APIGroup = ""
	return subject
}

// permitRevocation returns nil when a user may take the role of a binding from its
// subjects.
func (p *Proxy) permitRevocation(ctx context.Context, who user.Info, object *unstructured.Unstructured) error {
	was, err := bindingOf(object)
	if err != nil {
		return err
	}
	return authz.CheckRevoke(ctx, p.rights, who, scopeOf(object), was.RoleRef, was.Subjects)
}
