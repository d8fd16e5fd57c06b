package iam

import (
	"context"
	"fmt"

	"github.com/tidwall/gjson"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
)

// Role is what decides of a GlobalRole, WorkspaceRole, ClusterRole or Role.
type Role struct {
	Name string
	// Namespace and Workspace are empty for roles that belong to none.
	Namespace, Workspace string
	Rules                []rbacv1.PolicyRule
}

// Binding is what decides of the binding of a role.
type Binding struct {
	Name                 string
	Namespace, Workspace string
	RoleRef              rbacv1.RoleRef
	Subjects             []rbacv1.Subject
}

// Namespace is what decides of a namespace.
type Namespace struct {
	Name string
	// Workspace is the one it belongs to, empty for none.
	Workspace string
	// DevOps is the DevOps project it is the namespace of, empty for none.
	DevOps string
	// Terminating says that it is being deleted: nothing is created in it any more.
	Terminating bool
}

// Rights is everything by which the rights of users are decided.
type Rights struct {
	GlobalRoles, WorkspaceRoles, ClusterRoles, Roles                             Objects[Role]
	GlobalRoleBindings, WorkspaceRoleBindings, ClusterRoleBindings, RoleBindings Objects[Binding]
	Namespaces                                                                   Objects[Namespace]
}

// Same reports whether two states are the same one.
func (r *Rights) Same(other *Rights) bool {
	return r.GlobalRoles.Revision == other.GlobalRoles.Revision && r.GlobalRoleBindings.Revision == other.GlobalRoleBindings.Revision &&
		r.WorkspaceRoles.Revision == other.WorkspaceRoles.Revision && r.WorkspaceRoleBindings.Revision == other.WorkspaceRoleBindings.Revision &&
		r.ClusterRoles.Revision == other.ClusterRoles.Revision && r.ClusterRoleBindings.Revision == other.ClusterRoleBindings.Revision &&
		r.Roles.Revision == other.Roles.Revision && r.RoleBindings.Revision == other.RoleBindings.Revision &&
		r.Namespaces.Revision == other.Namespaces.Revision
}

// rights are the values Rights is made of.
type rights struct {
	globalRoles, workspaceRoles, clusterRoles, roles                             decoded[Role]
	globalRoleBindings, workspaceRoleBindings, clusterRoleBindings, roleBindings decoded[Binding]
	namespaces                                                                   decoded[Namespace]
}

// Rights returns the present roles, bindings and namespaces. A type the
// cluster does not have gives nobody anything.
func (d *Directory) Rights(ctx context.Context) (Rights, error) {
	var err error
	from := &d.rights
	result := Rights{
		GlobalRoles:    read(ctx, d, "globalroles", &from.globalRoles, decodeRole, &err),
		WorkspaceRoles: read(ctx, d, "workspaceroles", &from.workspaceRoles, decodeRole, &err),
		ClusterRoles:   read(ctx, d, "clusterroles", &from.clusterRoles, decodeRole, &err),
		Roles:          read(ctx, d, "roles", &from.roles, decodeRole, &err),

		GlobalRoleBindings:    read(ctx, d, "globalrolebindings", &from.globalRoleBindings, decodeBinding, &err),
		WorkspaceRoleBindings: read(ctx, d, "workspacerolebindings", &from.workspaceRoleBindings, decodeBinding, &err),
		ClusterRoleBindings:   read(ctx, d, "clusterrolebindings", &from.clusterRoleBindings, decodeBinding, &err),
		RoleBindings:          read(ctx, d, "rolebindings", &from.roleBindings, decodeBinding, &err),

		Namespaces: read(ctx, d, typeNamespaces, &from.namespaces, decodeNamespace, &err),
	}
	if err != nil {
		return Rights{}, err
	}
	return result, nil
}

const typeNamespaces = "namespaces"

func (d *Directory) namespaces(ctx context.Context) (Objects[Namespace], error) {
	var err error
	all := read(ctx, d, typeNamespaces, &d.rights.namespaces, decodeNamespace, &err)
	return all, err // not in one expression, whose order is not specified
}

// read returns the objects of a type, none when there was an error before.
func read[T any](ctx context.Context, d *Directory, resource string, from *decoded[T], decode func(*objects.Item) (*T, error), failed *error) Objects[T] {
	if *failed != nil {
		return Objects[T]{}
	}
	all, err := from.of(ctx, d.Cache, d.Catalog.Type(resource), decode)
	if err != nil && !apierrors.IsNotFound(err) { // asked of an error only: it allocates, and decisions are made all the time
		*failed = err
	}
	return all
}

// stored are the fields of a role that matter here.
type stored struct {
	Rules []rbacv1.PolicyRule `json:"rules"`
}

// maxDecoded is how long the JSON of a role or binding of a namespace may be to count: all
// of them are in the memory of every replica, decoded about nine times as long. What is
// written through this server is smaller; service accounts of projects write past it.
const maxDecoded = 512 << 10

func checkLength(item *objects.Item) error {
	if item.Namespace() != "" && len(item.JSON()) > maxDecoded {
		return fmt.Errorf("it has %d bytes, those of more than %d do not count", len(item.JSON()), maxDecoded)
	}
	return nil
}

func decodeRole(item *objects.Item) (*Role, error) {
	if err := checkLength(item); err != nil {
		return nil, err
	}
	var fields stored
	if err := strictjson.Unmarshal([]byte(item.JSON()), &fields); err != nil {
		return nil, err
	}
	return &Role{
		Name: item.Name(), Namespace: item.Namespace(), Workspace: item.Labels().Get(iamv1alpha2.LabelWorkspace), Rules: fields.Rules,
	}, nil
}

func decodeBinding(item *objects.Item) (*Binding, error) {
	if err := checkLength(item); err != nil {
		return nil, err
	}
	text := item.JSON()
	ref := gjson.Get(text, "roleRef")
	return &Binding{
		Name: item.Name(), Namespace: item.Namespace(), Workspace: item.Labels().Get(iamv1alpha2.LabelWorkspace),
		RoleRef:  rbacv1.RoleRef{APIGroup: ref.Get("apiGroup").Str, Kind: ref.Get("kind").Str, Name: ref.Get("name").Str},
		Subjects: subjectsOf(text),
	}, nil
}

// subjectsOf returns the subjects of a binding in JSON, as Kubernetes writes it. The texts
// are parts of that of the object, which is in memory in any case: there may be millions.
func subjectsOf(text string) []rbacv1.Subject {
	all := gjson.Get(text, "subjects").Array()
	if len(all) == 0 {
		return nil
	}
	subjects := make([]rbacv1.Subject, len(all))
	for n, one := range all {
		one.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "kind":
				subjects[n].Kind = value.Str
			case "apiGroup":
				subjects[n].APIGroup = value.Str
			case "name":
				subjects[n].Name = value.Str
			case "namespace":
				subjects[n].Namespace = value.Str
			}
			return true
		})
	}
	return subjects
}

func decodeNamespace(item *objects.Item) (*Namespace, error) {
	labels := item.Labels()
	return &Namespace{
		Name: item.Name(), Workspace: labels.Get(iamv1alpha2.LabelWorkspace), DevOps: labels.Get(iamv1alpha2.LabelDevOps),
		Terminating: gjson.Get(item.JSON(), "metadata.deletionTimestamp").Exists(),
	}, nil
}

// Changes calls visit for what differs between two states: with the value
// before, nil for what was not there, and after, nil for what is gone.
func Changes[T any, P interface {
	*T
	key() (name, namespace string)
}](before, after Objects[T], visit func(was, is *T)) {
	old, now := before.Items, after.Items
	for len(old) > 0 || len(now) > 0 {
		order := 0
		switch {
		case len(old) == 0:
			order = 1
		case len(now) == 0:
			order = -1
		case old[0] != now[0]:
			name, namespace := P(old[0]).key()
			otherName, otherNamespace := P(now[0]).key()
			order = compareNames(name, namespace, otherName, otherNamespace)
		}
		switch {
		case order < 0:
			visit(old[0], nil)
			old = old[1:]
		case order > 0:
			visit(nil, now[0])
			now = now[1:]
		default:
			if old[0] != now[0] {
				visit(old[0], now[0])
			}
			old, now = old[1:], now[1:]
		}
	}
}

func (r *Role) key() (name, namespace string)      { return r.Name, r.Namespace }
func (b *Binding) key() (name, namespace string)   { return b.Name, b.Namespace }
func (n *Namespace) key() (name, namespace string) { return n.Name, "" }
