package tenant

import (
	"context"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
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
// workspace it is in more than the limits, or a namespace that is in none. before is nil
// for a new one.
func (l *Limits) CheckRights(ctx context.Context, who user.Info, before, after *unstructured.Unstructured) error {
	if l == nil {
		return nil
	}
	home := after.GetLabels()[iamv1alpha2.LabelWorkspace]
	if namespace := after.GetNamespace(); namespace != "" { // whatever label the object has
		var err error
		if home, err = l.homeOf(ctx, namespace); err != nil {
			return err
		}
	}
	if home == "" { // of the platform or the cluster
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
		release, err := l.Reserve(ctx, who, one.limit, home, further)
		release()
		if err != nil {
			return err
		}
	}
	role := roleOf(after)
	if after.GetKind() != "WorkspaceRoleBinding" || before != nil && roleOf(before) == role {
		return nil
	}
	release, err := l.ReserveRoles(ctx, who, home, role)
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
	home := workspace
	if namespace != "" {
		if home, err = l.homeOf(ctx, namespace); err != nil {
			return none, err
		}
	}
	if home == "" {
		return none, nil
	}
	return l.Reserve(ctx, who, SubjectsPerWorkspace, home, further)
}

// What the limits of rights count for, beside workspaces by their names: namespaces that are
// left of a workspace, by its UID, and one namespace that was never in any.
const (
	ofFormer    = "former/"
	ofNamespace = "namespace/"
)

var (
	formerWorkspace = annotationPath(tenantv1alpha2.AnnotationFormerWorkspace)
	formerCreator   = annotationPath(tenantv1alpha2.AnnotationFormerCreator)
)

func annotationPath(key string) string {
	return "metadata.annotations." + strings.ReplaceAll(key, ".", `\.`)
}

// homeOf returns what the rights in a namespace count for.
func homeOf(namespace *objects.Item) string {
	if workspace := namespace.Labels().Get(iamv1alpha2.LabelWorkspace); workspace != "" {
		return workspace
	}
	if former := namespace.Field(formerWorkspace).String(); former != "" {
		return ofFormer + former
	}
	return ofNamespace + namespace.Name()
}

func (l *Limits) homeOf(ctx context.Context, namespace string) (string, error) {
	view, err := l.Cache.View(ctx, l.Catalog.Type("namespaces"))
	if err != nil {
		return "", err
	}
	item := view.Get("", namespace)
	if item == nil {
		return ofNamespace + namespace, nil
	}
	return homeOf(item), nil
}

// OwnerOf returns what the limits of rights count a namespace for, and who created that: the
// creator of its workspace, also of one that is gone. Both are "" when that is not known.
func (l *Limits) OwnerOf(ctx context.Context, namespace string) (creator, home string) {
	namespaces, err := l.Cache.View(ctx, l.Catalog.Type("namespaces"))
	if err != nil {
		return "", ""
	}
	item := namespaces.Get("", namespace)
	if item == nil {
		return "", ""
	}
	home = homeOf(item)
	creator = item.Field(formerCreator).String()
	if workspace := item.Labels().Get(iamv1alpha2.LabelWorkspace); workspace != "" {
		templates, err := l.Cache.View(ctx, l.Catalog.Type("workspacetemplates"))
		if err != nil {
			return "", ""
		}
		creator = ""
		if template := templates.Get("", workspace); template != nil {
			creator = creatorOf(template)
		}
	}
	if creator == iamv1alpha2.CreatorSystem {
		creator = ""
	}
	return creator, home
}

func lengthOfSubjects(object *unstructured.Unstructured) int {
	return authz.FieldLength(object, "subjects")
}

func lengthOfRules(object *unstructured.Unstructured) int {
	return max(0, authz.FieldBytes(object, "rules")-usualRuleBytes)
}

// inAllOf adds up a size of the objects of a workspace and of those in its namespaces, or
// in those of another home.
func inAllOf(resourceOfWorkspace, resourceOfNamespace string, size func(*objects.Item) int) func(context.Context, *Limits, string) (int, error) {
	return func(ctx context.Context, l *Limits, home string) (int, error) {
		total := 0
		view, err := l.Cache.View(ctx, l.Catalog.Type(resourceOfWorkspace))
		if err != nil {
			return 0, err
		}
		view.All(func(item *objects.Item) bool {
			if item.Labels().Get(iamv1alpha2.LabelWorkspace) == home {
				total += size(item)
			}
			return true
		})
		namespaces, err := l.namespacesOf(ctx, home)
		if err != nil {
			return 0, err
		}
		if view, err = l.Cache.View(ctx, l.Catalog.Type(resourceOfNamespace)); err != nil {
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

func (l *Limits) namespacesOf(ctx context.Context, home string) ([]string, error) {
	if namespace, found := strings.CutPrefix(home, ofNamespace); found {
		return []string{namespace}, nil
	}
	view, err := l.Cache.View(ctx, l.Catalog.Type("namespaces"))
	if err != nil {
		return nil, err
	}
	var names []string
	view.All(func(item *objects.Item) bool {
		if homeOf(item) == home {
			names = append(names, item.Name())
		}
		return true
	})
	return names, nil
}
