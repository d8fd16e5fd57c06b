package authz

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// withToken is user u with a personal access token.
func withToken(scopes ...string) user.Info {
	return &user.DefaultInfo{Name: "u", Extra: map[string][]string{ExtraScopes: scopes}}
}

// TestLimitedGrants: with a personal access token an administrator gives what its
// scopes include, and no rights to credentials.
func TestLimitedGrants(t *testing.T) {
	every := []string{"*"}
	d := one("GlobalRole", Everything()[0], rbacv1.PolicyRule{Verbs: every, NonResourceURLs: every}, rules("escalate,bind", "*", "globalroles,clusterroles,roles,workspaceroles")[0])
	roles := func(add func(name string, rules ...rbacv1.PolicyRule)) {
		add("everything", Everything()...)
		add("pods", rules("get,list", "", "pods")...)
		add("people", rules("create", "iam.kubesphere.io", "users")...)
		add("kubectl", rules("get", "resources.kubesphere.io", "*/kubectl")...)
		add("certificates", rules("create", "certificates.k8s.io", "certificatesigningrequests")...)
		add("tokens", rules("create", "", "serviceaccounts/token")...)
		add("core", rules("*", "", "*")...)
		add("users", rules("get,list,update", "iam.kubesphere.io", "users")...)
	}
	roles(func(name string, rules ...rbacv1.PolicyRule) {
		d.role(name, rules...)
		set(&d.rights.ClusterRoles, roleName, adding(&iam.Role{Name: name, Rules: rules}))
		set(&d.rights.Roles, roleName, adding(&iam.Role{Name: name, Namespace: "n", Rules: rules}))
	})
	platform, cluster, project := Scope{}, Scope{Cluster: ThisCluster}, Scope{Namespace: "n"}
	rbac := &RBAC{Source: d}
	for _, test := range []struct {
		name   string
		scopes []string
		scope  Scope
		kind   string
		role   string
		want   bool
	}{
		{"a role of users is given", []string{"all"}, platform, "GlobalRole", "users", true},
		{"a role of pods is given", []string{"all"}, cluster, "ClusterRole", "pods", true},
		{"a role of a project is given", []string{"all"}, project, "Role", "core", true},
		{"everything on the platform is not", []string{"all"}, platform, "GlobalRole", "everything", false},
		{"nor everything in the cluster", []string{"all"}, cluster, "ClusterRole", "everything", false},
		{"nor accounts with passwords", []string{"all"}, platform, "GlobalRole", "people", false},
		{"nor the kubectl of others", []string{"all"}, platform, "GlobalRole", "kubectl", false},
		{"nor certificates", []string{"all"}, cluster, "ClusterRole", "certificates", false},
		{"nor tokens of service accounts", []string{"all"}, cluster, "ClusterRole", "tokens", false},
		{"nor by all of the core group", []string{"all"}, cluster, "ClusterRole", "core", false},
		{"nor in a project, by name", []string{"all"}, project, "Role", "tokens", false},
		{"nor a role that does not exist yet", []string{"all"}, cluster, "ClusterRole", "later", false},
		{"what the scopes include", []string{"core/pods:get,list", "rbac.authorization.k8s.io/clusterrolebindings:create"}, cluster, "ClusterRole", "pods", true},
		{"in a project it takes its bindings", []string{"core/pods:get,list", "rbac.authorization.k8s.io/rolebindings:patch"}, project, "ClusterRole", "pods", true},
		{"not those of the cluster", []string{"core/pods:get,list", "rbac.authorization.k8s.io/clusterrolebindings:create"}, project, "ClusterRole", "pods", false},
		{"not without the bindings", []string{"core/pods:get,list"}, cluster, "ClusterRole", "pods", false},
		{"not to read them", []string{"core/pods:get,list", "rbac.authorization.k8s.io/clusterrolebindings:get"}, cluster, "ClusterRole", "pods", false},
		{"not what they do not include", []string{"rbac.authorization.k8s.io/clusterrolebindings:create"}, cluster, "ClusterRole", "pods", false},
		{"not a part of it", []string{"core/pods:get", "rbac.authorization.k8s.io/clusterrolebindings:create"}, cluster, "ClusterRole", "pods", false},
		{"not by binding as a power", []string{"iam.kubesphere.io/*:*"}, platform, "GlobalRole", "everything", false},
		{"nor by its name", []string{"iam.kubesphere.io/globalroles:bind", "iam.kubesphere.io/globalrolebindings:create"}, platform, "GlobalRole", "everything", false},
	} {
		ref := rbacv1.RoleRef{Kind: test.kind, Name: test.role}
		err := rbac.MayBind(t.Context(), withToken(test.scopes...), test.scope, ref)
		if test.want && err != nil || !test.want && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err := rbac.MayBind(t.Context(), &user.DefaultInfo{Name: "u"}, test.scope, ref); err != nil && test.role != "later" {
			t.Errorf("%s, with the login: %v", test.name, err)
		}
	}
	// What the token of an administrator gives by other fields is compared with all
	// rights of the scope.
	for scope, want := range map[Scope]bool{platform: false, cluster: true, project: true} {
		if held, err := HoldsAll(t.Context(), rbac, withToken("all"), scope); err != nil || held != want {
			t.Errorf("all rights %s: %v, %v", scope, held, err)
		}
	}
	// Further decisions are within the scopes.
	request := to(`delete apps deployments a`)
	for scope, want := range map[string]bool{"all": true, "apps/deployments:delete": true, "apps/deployments:get": false, "read": false} {
		request.User = withToken(scope)
		if got := allowed(t, rbac, request); got != want {
			t.Errorf("%s deletes: %v", scope, got)
		}
	}
}

// TestLimitedExcess: a group is joined with the rights the scopes include, an account
// is managed with those of the owner.
func TestLimitedExcess(t *testing.T) {
	d := one("GlobalRole", Everything()[0], rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}})
	d.role("pods", rules("get", "", "pods")...)
	d.bind("pods", rbacv1.Subject{Kind: "Group", Name: "crew"})
	d.bind("r", rbacv1.Subject{Kind: "Group", Name: "administrators"})
	rbac := &RBAC{Source: d}
	for _, test := range []struct {
		group  string
		actor  user.Info
		exceed bool
	}{
		{"crew", withToken("all"), false},
		{"crew", withToken("core/pods:get"), false},
		{"crew", withToken("iam.kubesphere.io/groupbindings:create"), true},
		{"administrators", withToken("all"), true},
		{"administrators", TokenOwner(withToken("iam.kubesphere.io/users:update")), false},
	} {
		excess, err := rbac.FindExcess(t.Context(), test.actor, &user.DefaultInfo{Groups: []string{test.group}})
		if err != nil || (excess != nil) != test.exceed {
			t.Errorf("%s by %v: %+v, %v", test.group, test.actor.GetExtra(), excess, err)
		}
	}
}
