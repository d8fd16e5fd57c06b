package tenant

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Limit is a bound on the objects of a resource that belong to one user, one workspace or
// one namespace.
type Limit struct {
	key      string // in the configuration
	owner    string // what the objects belong to
	resource schema.GroupResource
	what     string // is counted; the resource if empty
	value    func(*config.Limits) int
	count    func(ctx context.Context, l *Limits, owner string) (int, error)
	// product bounds the objects times others of the owner, of which times says how many
	// there are; nil for none.
	product *Limit
	times   func(ctx context.Context, l *Limits, owner string) (int, error)
}

// The limits.
var (
	WorkspacesPerUser = &Limit{
		key: "limits.workspacesPerUser", owner: "user", resource: tenantv1alpha2.Resource("workspacetemplates"),
		value: func(l *config.Limits) int { return l.WorkspacesPerUser }, count: countWorkspaces, what: "workspaces, with deleted ones of which namespaces remain",
	}
	NamespacesPerWorkspace = &Limit{
		key: "limits.namespacesPerWorkspace", owner: "workspace", resource: schema.GroupResource{Resource: "namespaces"},
		value: func(l *config.Limits) int { return l.NamespacesPerWorkspace }, count: inWorkspace("namespaces"),
		product: projectQuotasPerWorkspace, times: countQuotas,
	}
	GroupsPerWorkspace = &Limit{
		key: "limits.groupsPerWorkspace", owner: "workspace", resource: iamv1alpha2.Resource("groups"),
		value: func(l *config.Limits) int { return l.GroupsPerWorkspace }, count: inWorkspace("groups"),
	}
	GroupBindingsPerWorkspace = &Limit{
		key: "limits.groupBindingsPerWorkspace", owner: "workspace", resource: iamv1alpha2.Resource("groupbindings"),
		value: func(l *config.Limits) int { return l.GroupBindingsPerWorkspace }, count: inWorkspace("groupbindings"),
	}
	// GroupsPerMember counts by Member.
	GroupsPerMember = &Limit{
		key: "limits.groupsPerMember", owner: "member", resource: iamv1alpha2.Resource("groupbindings"),
		value: func(l *config.Limits) int { return l.GroupsPerMember }, count: countMemberships,
	}
	// GroupsPerUser counts by MemberOf.
	GroupsPerUser = &Limit{
		key: "limits.groupsPerUser", owner: "creator of workspaces and user", resource: iamv1alpha2.Resource("groups"),
		value: func(l *config.Limits) int { return l.GroupsPerUser }, count: countGroupsOf,
	}
	RolesPerWorkspace = &Limit{
		key: "limits.rolesPerWorkspace", owner: "workspace", resource: iamv1alpha2.Resource("workspaceroles"),
		value: func(l *config.Limits) int { return l.RolesPerWorkspace }, count: inWorkspace("workspaceroles"),
	}
	RoleBindingsPerWorkspace = &Limit{
		key: "limits.roleBindingsPerWorkspace", owner: "workspace", resource: iamv1alpha2.Resource("workspacerolebindings"),
		value: func(l *config.Limits) int { return l.RoleBindingsPerWorkspace }, count: inWorkspace("workspacerolebindings"),
	}
	QuotasPerWorkspace = &Limit{
		key: "limits.quotasPerWorkspace", owner: "workspace", resource: quotav1alpha2.Resource("resourcequotas"),
		value: func(l *config.Limits) int { return l.QuotasPerWorkspace }, count: countQuotas,
		product: projectQuotasPerWorkspace, times: inWorkspace("namespaces"),
	}
	// projectQuotasPerWorkspace bounds the parts of quotas: each project has one of each.
	projectQuotasPerWorkspace = &Limit{
		key: "limits.projectQuotasPerWorkspace", owner: "workspace", resource: quotav1alpha2.Resource("resourcequotas"), what: "quotas in all projects together",
		value: func(l *config.Limits) int { return l.ProjectQuotasPerWorkspace }, count: countProjectQuotas,
	}
	PoliciesPerNamespace = &Limit{
		key: "limits.policiesPerNamespace", owner: "namespace", resource: networkv1alpha1.Resource("namespacenetworkpolicies"),
		value: func(l *config.Limits) int { return l.PoliciesPerNamespace }, count: countPolicies,
	}
	RolesPerNamespace = &Limit{
		key: "limits.rolesPerNamespace", owner: "namespace", resource: rbacv1.Resource("roles"),
		value: func(l *config.Limits) int { return l.RolesPerNamespace }, count: inNamespace("roles"),
	}
	RoleBindingsPerNamespace = &Limit{
		key: "limits.roleBindingsPerNamespace", owner: "namespace", resource: rbacv1.Resource("rolebindings"),
		value: func(l *config.Limits) int { return l.RoleBindingsPerNamespace }, count: inNamespace("rolebindings"),
	}
)

// describe names an owner.
func (l *Limit) describe(owner string) string {
	switch {
	case strings.HasPrefix(owner, ofFormer):
		return "what remains of a deleted workspace"
	case strings.HasPrefix(owner, ofNamespace):
		return fmt.Sprintf("namespace %q", strings.TrimPrefix(owner, ofNamespace))
	}
	return fmt.Sprintf("%s %q", l.owner, owner)
}

// Limits bounds how many objects users create. Each replica counts what it knows,
// with what is being created at the moment.
type Limits struct {
	Cache   *objects.Cache
	Catalog *objects.Catalog
	Client  client.Client
	Rights  authz.Coverer
	Values  config.Limits

	mu      sync.Mutex
	pending map[pendingKey]int // objects that are being created
}

type pendingKey struct {
	limit *Limit
	owner string
}

// Reserve makes room for further objects of an owner, which are created until release
// is called. It fails with 403 where there would be more than the limit. Administrators
// of the platform have no limits, and neither has a receiver that is nil.
func (l *Limits) Reserve(ctx context.Context, who user.Info, limit *Limit, owner string, further int) (release func(), err error) {
	none := func() {}
	if l == nil || further == 0 {
		return none, nil
	}
	release, err = l.reserve(ctx, who, limit, owner, further)
	if err != nil || limit.product == nil || limit.product.value(&l.Values) == 0 {
		return release, err
	}
	times, err := limit.times(ctx, l, owner)
	if err == nil && times > 0 {
		var ofProduct func()
		if ofProduct, err = l.reserve(ctx, who, limit.product, owner, further*times); err == nil {
			ofLimit := release
			return func() { ofLimit(); ofProduct() }, nil
		}
	}
	if err != nil {
		release()
		return none, err
	}
	return release, nil
}

func (l *Limits) reserve(ctx context.Context, who user.Info, limit *Limit, owner string, further int) (release func(), err error) {
	none := func() {}
	most := limit.value(&l.Values)
	if most == 0 {
		return none, nil
	}
	administers, err := authz.HoldsAll(ctx, l.Rights, authz.TokenOwner(who), authz.Scope{})
	if err != nil || administers {
		return none, err
	}
	key := pendingKey{limit, owner}
	// What is created meanwhile is pending until the cache has it.
	pending := l.add(key, further)
	release = sync.OnceFunc(func() { l.add(key, -further) })
	present, err := limit.count(ctx, l, owner)
	if err == nil && present+pending > most {
		err = status.Forbidden(limit.resource, "", "exceeded quota: %s has %d %s, the maximum is %d (%s)", limit.describe(owner), present, cmp.Or(limit.what, limit.resource.Resource), most, limit.key)
	}
	if err != nil {
		release()
		return none, err
	}
	return release, nil
}

// add changes the number of objects that are being created, and returns it.
func (l *Limits) add(key pendingKey, further int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == nil {
		l.pending = make(map[pendingKey]int)
	}
	l.pending[key] += further
	pending := l.pending[key]
	if pending == 0 {
		delete(l.pending, key)
	}
	return pending
}

// createdBy counts the objects of a type by their creator.
func createdBy(resource string) func(context.Context, *Limits, string) (int, error) {
	return counting(resource, creatorOf)
}

func creatorOf(item *objects.Item) string {
	return item.Field(`metadata.annotations.kubesphere\.io/creator`).String()
}

// countWorkspaces counts the workspaces somebody has created, with deleted ones of which
// namespaces are left.
func countWorkspaces(ctx context.Context, l *Limits, creator string) (int, error) {
	count, err := createdBy("workspacetemplates")(ctx, l, creator)
	if err != nil {
		return 0, err
	}
	view, err := l.Cache.View(ctx, l.Catalog.Type("namespaces"))
	if err != nil {
		return 0, err
	}
	former := sets.New[string]()
	view.All(func(item *objects.Item) bool {
		if home := homeOf(item); strings.HasPrefix(home, ofFormer) && item.Field(formerCreator).String() == creator {
			former.Insert(home)
		}
		return true
	})
	return count + former.Len(), nil
}

// inWorkspace counts the objects of a type by their workspace.
func inWorkspace(resource string) func(context.Context, *Limits, string) (int, error) {
	return counting(resource, func(item *objects.Item) string { return item.Labels().Get(iamv1alpha2.LabelWorkspace) })
}

// inNamespace counts the objects of a type in a namespace.
func inNamespace(resource string) func(context.Context, *Limits, string) (int, error) {
	return func(ctx context.Context, l *Limits, namespace string) (int, error) {
		view, err := l.Cache.View(ctx, l.Catalog.Type(resource))
		if err != nil {
			return 0, err
		}
		page, err := view.List(ctx, namespace, &query.Query{Limit: 1})
		return page.Total, err
	}
}

func counting(resource string, ownerOf func(*objects.Item) string) func(context.Context, *Limits, string) (int, error) {
	return func(ctx context.Context, l *Limits, owner string) (int, error) {
		view, err := l.Cache.View(ctx, l.Catalog.Type(resource))
		if err != nil {
			return 0, err
		}
		count := 0
		view.All(func(item *objects.Item) bool {
			if ownerOf(item) == owner {
				count++
			}
			return true
		})
		return count, nil
	}
}

// countQuotas counts the quotas with the label of a workspace, and those without a label
// whose selector names the workspace.
func countQuotas(ctx context.Context, l *Limits, workspace string) (int, error) {
	labelled := &metav1.PartialObjectMetadataList{}
	labelled.SetGroupVersionKind(quotav1alpha2.SchemeGroupVersion.WithKind("ResourceQuotaList"))
	if err := l.Client.List(ctx, labelled, client.MatchingLabels(of(workspace))); err != nil {
		return 0, err
	}
	absent, err := labels.NewRequirement(iamv1alpha2.LabelWorkspace, selection.DoesNotExist, nil)
	if err != nil {
		return 0, err
	}
	others := &quotav1alpha2.ResourceQuotaList{}
	if err := l.Client.List(ctx, others, client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*absent)}); err != nil {
		return 0, err
	}
	count := len(labelled.Items)
	for n := range others.Items {
		if QuotaWorkspace(&others.Items[n]) == workspace {
			count++
		}
	}
	return count, nil
}

// countProjectQuotas counts the parts that the quotas of a workspace have in its projects.
func countProjectQuotas(ctx context.Context, l *Limits, workspace string) (int, error) {
	quotas, err := countQuotas(ctx, l, workspace)
	if err != nil {
		return 0, err
	}
	projects, err := inWorkspace("namespaces")(ctx, l, workspace)
	return quotas * projects, err
}

func countPolicies(ctx context.Context, l *Limits, namespace string) (int, error) {
	policies := &metav1.PartialObjectMetadataList{}
	policies.SetGroupVersionKind(networkv1alpha1.SchemeGroupVersion.WithKind("NamespaceNetworkPolicyList"))
	if err := l.Client.List(ctx, policies, client.InNamespace(namespace)); err != nil {
		return 0, err
	}
	return len(policies.Items), nil
}
