package tenant

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// fixedRights are roles and bindings that do not change.
type fixedRights struct{ held iam.Rights }

func (f *fixedRights) Rights(context.Context) (iam.Rights, error) { return f.held, nil }

// clusterAdministrator has all rights in the cluster; nobody else has any.
type clusterAdministrator string

func (c clusterAdministrator) Covers(_ context.Context, who user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if who.GetName() == string(c) {
		return nil, nil
	}
	return rules, nil
}

// TestBoundNames: who took the name of a deleted namespace got the roles that its service
// accounts had elsewhere.
func TestBoundNames(t *testing.T) {
	account := rbacv1.Subject{Kind: "ServiceAccount", Namespace: "ci", Name: "deployer"}
	group := rbacv1.Subject{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "system:serviceaccounts:ci"}
	byName := rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: "system:serviceaccount:ci:deployer"}
	other := rbacv1.Subject{Kind: "ServiceAccount", Namespace: "ci-2", Name: "deployer"}
	const (
		free    = "free"
		refused = "refused"
		removed = "removed" // from the binding, when the project is created
	)
	for _, test := range []struct {
		name    string
		place   iam.Place
		subject rbacv1.Subject
		want    string
	}{
		{"an account in the cluster", iam.Place{Cluster: true}, account, refused},
		{"the group in the cluster", iam.Place{Cluster: true}, group, refused},
		{"a user name in the cluster", iam.Place{Cluster: true}, byName, refused},
		{"an account on the platform", iam.Place{}, account, refused},
		{"a user name on the platform", iam.Place{}, byName, refused},
		{"an account in a namespace of the platform", iam.Place{Namespace: "kube-system"}, account, refused},
		{"the group in a namespace of no workspace", iam.Place{Namespace: "loose"}, group, refused},
		{"an account in a project that is gone", iam.Place{Namespace: "gone"}, account, refused},
		{"an account in the workspace of the platform", iam.Place{Workspace: tenantv1alpha2.SystemWorkspace}, account, refused},
		{"an account in a workspace", iam.Place{Workspace: "w2"}, account, removed},
		{"a user name in a workspace", iam.Place{Workspace: "w2"}, byName, removed},
		{"an account in a project", iam.Place{Namespace: "p2"}, account, removed},
		{"the group in a project", iam.Place{Namespace: "p2"}, group, removed},
		{"a user name in a project", iam.Place{Namespace: "p2"}, byName, removed},
		{"another namespace in the cluster", iam.Place{Cluster: true}, other, free},
		{"another group", iam.Place{Cluster: true}, rbacv1.Subject{Kind: "Group", Name: "system:serviceaccounts:ci-2"}, free},
		{"the group of all", iam.Place{Cluster: true}, rbacv1.Subject{Kind: "Group", Name: "system:serviceaccounts"}, free},
		{"a user name of another namespace", iam.Place{Cluster: true}, rbacv1.Subject{Kind: "User", Name: "system:serviceaccount:ci-2:deployer"}, free},
		{"a user of the name", iam.Place{Cluster: true}, rbacv1.Subject{Kind: "User", Name: "ci"}, free},
	} {
		for _, who := range []string{"selfp", "root"} {
			t.Run(test.name+" for "+who, func(t *testing.T) {
				rights, object := bindingIn(test.place, test.subject, rbacv1.Subject{Kind: "User", Name: "selfq"})
				c := cluster(t, append(roleBases(), userNamed("selfp"), userNamed("root"), object, &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: meta("", "w1", "")})...)
				names := &BoundNames{Source: rights, Rights: clusterAdministrator("root")}
				caller := &user.DefaultInfo{Name: who}
				// At the API of Kubernetes nothing is changed.
				var bound *iam.BoundError
				err := names.Check(t.Context(), caller, "ci")
				if mayCreate := test.want == free || who == "root"; errors.As(err, &bound) == mayCreate {
					t.Errorf("at the API of Kubernetes: %v", err)
				}
				if bound != nil && (status.Of(bound).Code != 409 || !strings.Contains(bound.Error(), "by 1 ") || strings.Contains(bound.Error(), object.GetName())) {
					t.Errorf("the conflict is %v", bound)
				}

				p := &Projects{Client: c, Bindings: &iam.Bindings{Client: c}, Now: time.Now, BoundNames: names}
				_, err = p.Create(t.Context(), "w1", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ci"}}, caller)
				fails := test.want == refused && who != "root"
				bound = nil
				if errors.As(err, &bound) != fails || (err != nil) != fails {
					t.Errorf("created: %v", err)
				}
				if found := c.Get(t.Context(), client.ObjectKey{Name: "ci"}, &corev1.Namespace{}); apierrors.IsNotFound(found) != fails {
					t.Errorf("the namespace: %v", found)
				}
				if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
					t.Fatal(err)
				}
				want := 2
				if test.want == removed && who != "root" {
					want = 1
				}
				if subjects := boundSubjects(object); len(subjects) != want || subjects[want-1].Name != "selfq" {
					t.Errorf("the subjects are %+v", subjects)
				}
			})
		}
	}
}

// TestBoundWithin: bindings in a namespace go with it, whatever they name.
func TestBoundWithin(t *testing.T) {
	rights, _ := bindingIn(iam.Place{Namespace: "ci"}, rbacv1.Subject{Kind: "ServiceAccount", Namespace: "ci", Name: "deployer"})
	names := &BoundNames{Source: rights, Rights: clusterAdministrator("")}
	if err := names.Check(t.Context(), &user.DefaultInfo{Name: "selfp"}, "ci"); err != nil {
		t.Error(err)
	}
}

// bindingIn returns a binding in a place, in the rights and as an object. Of the namespaces,
// p2 is a project.
func bindingIn(place iam.Place, subjects ...rbacv1.Subject) (*fixedRights, client.Object) {
	binding := &iam.Binding{Name: "left-behind", Namespace: place.Namespace, Workspace: place.Workspace, Subjects: subjects}
	bindings := iam.Objects[iam.Binding]{Items: []*iam.Binding{binding}}
	object := meta(place.Namespace, binding.Name, place.Workspace)
	rights := &fixedRights{}
	rights.held.Namespaces.Items = []*iam.Namespace{{Name: "kube-system", Workspace: tenantv1alpha2.SystemWorkspace}, {Name: "loose"}, {Name: "p2", Workspace: "w2"}}
	switch {
	case place.Cluster:
		rights.held.ClusterRoleBindings = bindings
		return rights, &rbacv1.ClusterRoleBinding{ObjectMeta: object, Subjects: subjects}
	case place.Workspace != "":
		rights.held.WorkspaceRoleBindings = bindings
		return rights, &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: object, Subjects: subjects}
	case place.Namespace != "":
		rights.held.RoleBindings = bindings
		return rights, &rbacv1.RoleBinding{ObjectMeta: object, Subjects: subjects}
	}
	rights.held.GlobalRoleBindings = bindings
	return rights, &iamv1alpha2.GlobalRoleBinding{ObjectMeta: object, Subjects: subjects}
}

func boundSubjects(object client.Object) []rbacv1.Subject {
	switch binding := object.(type) {
	case *rbacv1.ClusterRoleBinding:
		return binding.Subjects
	case *iamv1alpha2.WorkspaceRoleBinding:
		return binding.Subjects
	case *rbacv1.RoleBinding:
		return binding.Subjects
	case *iamv1alpha2.GlobalRoleBinding:
		return binding.Subjects
	}
	return nil
}
