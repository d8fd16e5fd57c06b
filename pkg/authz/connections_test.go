package authz

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// TestConnections: a user who may read everything reads nothing through pods and services.
func TestConnections(t *testing.T) {
	reads := rules("get,list,watch", "*", "*")[0]
	for _, test := range []struct {
		name string
		held []rbacv1.PolicyRule
		want bool
	}{
		{"a viewer", []rbacv1.PolicyRule{reads}, false},
		{"a viewer of the core group", rules("get", "", "*"), false},
		{"an operator", rules("*", "*", "*"), true},
		{"an operator with listed verbs", rules("create,get,list", "", "*"), true},
		{"the subresource by name", rules("get", "", "pods/proxy,services/proxy"), true},
		{"that of all resources", rules("get,list,watch", "*", "*/proxy"), true},
		{"another by name", rules("get", "", "pods/log,services"), false},
		{"a writer beside a viewer", append(rules("patch,update", "", "pods,services"), reads), false},
	} {
		rbac := &RBAC{Source: one("Role", test.held...)}
		for _, request := range []string{`get "" pods/proxy a`, `get "" services/proxy a`} {
			record := to(request)
			record.Namespace = "n"
			if got := allowed(t, rbac, &Attributes{Scope: Scope{Namespace: "n"}, AttributesRecord: record}); got != test.want {
				t.Errorf("%s by %s: %v", request, test.name, got)
			}
		}
		// A user without the right does not give it either.
		resource := schema.GroupResource{Group: rbacv1.GroupName, Resource: "roles"}
		err := rbac.MayWriteRole(t.Context(), &user.DefaultInfo{Name: "u"}, Scope{Namespace: "n"}, resource, "given", rules("get", "", "services/proxy"))
		if (err == nil) != test.want {
			t.Errorf("given by %s: %v", test.name, err)
		}
	}
	for scope, want := range map[string]authorizer.Decision{
		"read": authorizer.DecisionDeny, "core/*:get": authorizer.DecisionDeny, "core/pods/proxy:get": authorizer.DecisionNoOpinion, "all": authorizer.DecisionNoOpinion,
	} {
		if got := decides(t, Scoped{}, to(`get "" pods/proxy a`), &user.DefaultInfo{Name: "u", Extra: map[string][]string{ExtraScopes: {scope}}}); got != want {
			t.Errorf("the scope %s: %v", scope, got)
		}
	}
}
