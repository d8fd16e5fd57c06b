package kubeproxy

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// deleter are the rights of a user who may delete what is not protected further.
type deleter struct{ roleless }

func (deleter) Covers(_ context.Context, _ user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if len(rules) == 1 && len(rules[0].Verbs) == 1 && rules[0].Verbs[0] == "delete" {
		return nil, nil
	}
	return rules, nil
}

func (deleter) HiddenNamespaces(context.Context, user.Info, authz.Action) ([]string, error) {
	return platformNamespaces, nil
}

func (deleter) MayRevoke(_ context.Context, _ user.Info, _ authz.Scope, ref rbacv1.RoleRef) error {
	if ref.Name == "own" {
		return nil
	}
	return status.Forbidden(rbacv1.Resource("roles"), ref.Name, "revoked")
}

// TestLifetime: who makes Kubernetes' garbage collector delete an object deletes it.
func TestLifetime(t *testing.T) {
	const (
		rbac      = "/apis/rbac.authorization.k8s.io/v1/"
		admission = "/apis/admissionregistration.k8s.io/v1/"
		rules     = `"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]`
		subjects  = `"subjects":[{"kind":"User","name":"zoe"}],"roleRef":`
		webhooks  = `"webhooks":[{"rules":[{"apiGroups":["`
	)
	for _, test := range []struct {
		path, content string
		may           bool // who may delete such objects
	}{
		{rbac + "clusterroles/r", `"kind":"ClusterRole",` + rules, false},
		{rbac + "clusterroles/r", `"kind":"ClusterRole"`, true},
		{rbac + "clusterroles/cluster-admin", `"kind":"ClusterRole"`, false},
		{rbac + "namespaces/n/roles/r", `"kind":"Role",` + rules, false},
		{rbac + "namespaces/n/rolebindings/b", `"kind":"RoleBinding",` + subjects + `{"name":"admin"}`, false},
		{rbac + "namespaces/n/rolebindings/b", `"kind":"RoleBinding",` + subjects + `{"name":"own"}`, true},
		{rbac + "clusterrolebindings/b", `"kind":"ClusterRoleBinding",` + subjects + `{"name":"admin"}`, false},
		{"/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/p", `"kind":"NetworkPolicy"`, true},
		{"/api/v1/namespaces/n/resourcequotas/q", `"kind":"ResourceQuota"`, true},
		{admission + "validatingwebhookconfigurations/w", webhooks + `iam.kubesphere.io"]}]}]`, false},
		{admission + "validatingwebhookconfigurations/w", webhooks + `example.com"]}]}]`, true},
		{"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/users.iam.kubesphere.io", `"spec":{"group":"iam.kubesphere.io"}`, false},
		{"/apis/apiregistration.k8s.io/v1/apiservices/v1.", `"spec":{"group":""}`, false},
	} {
		info := parsed(t, "PATCH", test.path)
		before := parse(t, `{"metadata":{"name":"`+info.Name+`"},`+test.content+`}`)
		for _, field := range []string{`"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"gone","uid":"1"}]`, `"finalizers":["example.com/a"]`} {
			after := parse(t, `{"metadata":{"name":"`+info.Name+`",`+field+`},`+test.content+`}`)
			for name, one := range map[string]struct {
				rights Rights
				may    bool
			}{"who may patch": {roleless{}, false}, "who may delete": {deleter{}, test.may}, "an administrator": {&authz.RBAC{All: true}, true}} {
				err := (&Proxy{rights: one.rights}).permitLifetime(t.Context(), &user.DefaultInfo{Name: "jane"}, info, before, after)
				if (err == nil) != one.may {
					t.Errorf("%s of %s by %s: %v", field, test.path, name, err)
				}
				if err := (&Proxy{rights: one.rights}).permitLifetime(t.Context(), &user.DefaultInfo{Name: "jane"}, info, nil, after); err != nil {
					t.Errorf("a new object by %s: %v", name, err)
				}
				if err := (&Proxy{rights: one.rights}).permitLifetime(t.Context(), &user.DefaultInfo{Name: "jane"}, info, after, after); err != nil {
					t.Errorf("the same owners by %s: %v", name, err)
				}
			}
		}
	}
	// The check is part of every guarded write.
	info := parsed(t, "PATCH", "/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/p")
	before, after := parse(t, `{"metadata":{"name":"p"}}`), parse(t, `{"metadata":{"name":"p","finalizers":["example.com/a"]}}`)
	if err := (&Proxy{rights: nothing{}}).permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, before, after); err == nil {
		t.Error("a finalizer of a network policy is written by who cannot delete it")
	}
}
