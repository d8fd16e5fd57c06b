package tenant

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// The limits of what every replica keeps of the rights in a workspace and all its projects.
// Objects alone would bound nothing: whoever may create projects multiplies what is
// bounded in one of them.
var (
	SubjectsPerWorkspace = &Limit{
		key: "limits.subjectsPerWorkspace", owner: "workspace", resource: rbacv1.Resource("rolebindings"), what: "subjects of role bindings",
		value: func(l *config.Limits) int { return l.SubjectsPerWorkspace }, count: inAllOf("workspacerolebindings", "rolebindings", subjectsOf),
	}
	RuleBytesPerWorkspace = &Limit{
		key: "limits.ruleBytesPerWorkspace", owner: "workspace", resource: rbacv1.Resource("roles"), what: "bytes of rules of roles",
		value: func(l *config.Limits) int { return l.RuleBytesPerWorkspace }, count: inAllOf("workspaceroles", "roles", ruleBytesOf),
	}
)

// usualRuleBytes are not counted of a role: each project has a few built-in ones.
const usualRuleBytes = 4 << 10

func subjectsOf(item *objects.Item) int { return int(item.Field("subjects.#").Int()) }

func ruleBytesOf(item *objects.Item) int { return max(0, len(item.Field("rules").Raw)-usualRuleBytes) }

// CheckRights returns a forbidden error when a role or binding that is written gives the
// workspace it is in more than the limits. before is nil for a new one. Roles and bindings
// in no workspace have no limit.
func (l *Limits) CheckRights(ctx context.Context, who user.Info, before, after *unstructured.Unstructured) error {
	if l == nil {
		return nil
	}
	workspace := after.GetLabels()[iamv1alpha2.LabelWorkspace]
	if namespace := after.GetNamespace(); namespace != "" { // whatever label the object has
		var err error
		if workspace, err = l.workspaceOf(ctx, namespace); err != nil {
			return err
		}
	}
	if workspace == "" {
		return nil
	}
	for _, one := range []struct {
		limit *Limit
		size  func(*unstructured.Unstructured) int
	}{{SubjectsPerWorkspace, lengthOfSubjects}, {RuleBytesPerWorkspace, lengthOfRules}} {
		further := one.size(after)
		if before != nil {
			further -= one.size(before)
		}
		if further <= 0 {
			continue
		}
		release, err := l.Reserve(ctx, who, one.limit, workspace, further)
		release()
		if err != nil {
			return err
		}
	}
	role := roleOf(after)
	if after.GetKind() != "WorkspaceRoleBinding" || before != nil && roleOf(before) == role {
		return nil
	}
	release, err := l.ReserveRoles(ctx, who, workspace, role)
	release()
	return err
}

func roleOf(binding *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(binding.Object, "roleRef", "name")
	return name
}

// ReserveSubjects is Reserve for the subjects of bindings that name one each, in a
// workspace or a namespace.
func (l *Limits) ReserveSubjects(ctx context.Context, who user.Info, workspace, namespace string, further int) (release func(), err error) {
	none := func() {}
	if l == nil {
		return none, nil
	}
	if namespace != "" {
		if workspace, err = l.workspaceOf(ctx, namespace); err != nil {
			return none, err
		}
	}
	if workspace == "" {
		return none, nil
	}
	return l.Reserve(ctx, who, SubjectsPerWorkspace, workspace, further)
}

// workspaceOf returns the workspace of a namespace, "" for none.
func (l *Limits) workspaceOf(ctx context.Context, namespace string) (string, error) {
	view, err := l.Cache.View(ctx, l.Catalog.Type("namespaces"))
	if err != nil {
		return "", err
	}
	item := view.Get("", namespace)
	if item == nil {
		return "", nil
	}
	return item.Labels().Get(iamv1alpha2.LabelWorkspace), nil
}

func lengthOfSubjects(object *unstructured.Unstructured) int {
	return authz.FieldLength(object, "subjects")
}

func lengthOfRules(object *unstructured.Unstructured) int {
	return max(0, authz.FieldBytes(object, "rules")-usualRuleBytes)
}

// inAllOf adds up a size of the objects of a workspace and of those in its namespaces.
func inAllOf(ofWorkspace, ofNamespace string, size func(*objects.Item) int) func(context.Context, *Limits, string) (int, error) {
	return func(ctx context.Context, l *Limits, workspace string) (int, error) {
		total := 0
		var namespaces []string
		for resource, visit := range map[string]func(*objects.Item){
			ofWorkspace:  func(item *objects.Item) { total += size(item) },
			"namespaces": func(item *objects.Item) { namespaces = append(namespaces, item.Name()) },
		} {
			view, err := l.Cache.View(ctx, l.Catalog.Type(resource))
			if err != nil {
				return 0, err
			}
			view.All(func(item *objects.Item) bool {
				if item.Labels().Get(iamv1alpha2.LabelWorkspace) == workspace {
					visit(item)
				}
				return true
			})
		}
		view, err := l.Cache.View(ctx, l.Catalog.Type(ofNamespace))
		if err != nil {
			return 0, err
		}
		for _, namespace := range namespaces {
			page, err := view.List(ctx, namespace, &query.Query{Page: 1, Limit: query.Unlimited, SortBy: "name", Ascending: true})
			if err != nil {
				return 0, err
			}
			for _, item := range page.Items {
				total += size(item)
			}
		}
		return total, nil
	}
}
