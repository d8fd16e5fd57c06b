package kubeproxy

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// clusterAdmin has all rights in the cluster, or none.
type clusterAdmin struct {
	Rights
	all bool
}

func (clusterAdmin) Names() *reserved.Register { return nil }

func (c clusterAdmin) Covers(_ context.Context, _ user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if c.all && scope.Cluster == authz.ThisCluster {
		return nil, nil
	}
	return rules, nil
}

func (c clusterAdmin) Administers(context.Context, user.Info) (bool, error) { return c.all, nil }

// TestPermitWithinProject: what has an effect outside of a project takes all rights
// in the cluster, also at the API of Kubernetes.
func TestPermitWithinProject(t *testing.T) {
	const (
		gatewaysAt = "/apis/gateway.kubesphere.io/v1alpha1/namespaces/p1/gateways"
		plain      = `{"metadata":{"name":"g"},"spec":{"controller":{"config":{"hsts":"false"}}}}`
		snippet    = `{"metadata":{"name":"g"},"spec":{"controller":{"config":{"http-snippet":"x"}}}}`
		volume     = `{"metadata":{"name":"g"},"spec":{"deployment":{"annotations":{"sidecar.istio.io/userVolume":"[]"}}}}`
		large      = `{"metadata":{"name":"g"},"spec":{"deployment":{"replicas":100000,"resources":{"requests":{"cpu":"64"}}}}}`
		quotas     = "/api/v1/namespaces/p1/resourcequotas"
	)
	gateway := func(spec string) string {
		return `{"metadata":{"namespace":"p1","name":"g"},"spec":` + spec + `}`
	}
	hard := func(count, value string) string {
		return `{"metadata":{"name":"q"},"spec":{"hard":{"` + count + `":"` + value + `"}}}`
	}
	for _, test := range []struct {
		name, target, before, after string
		allowed                     bool
	}{
		{"a plain setting", "POST " + gatewaysAt, "", plain, true},
		{"a snippet", "POST " + gatewaysAt, "", snippet, false},
		{"paths that are not checked", "POST " + gatewaysAt, "", gateway(`{"controller":{"config":{"strict-validate-path-type":"false"}}}`), false},
		{"a snippet by an update", "PUT " + gatewaysAt + "/g", plain, snippet, false},
		{"a snippet by a patch", "PATCH " + gatewaysAt + "/g", plain, snippet, false},
		{"a snippet that was there", "PATCH " + gatewaysAt + "/g", snippet, snippet, true},
		{"an annotation of the pods", "POST " + gatewaysAt, "", volume, false},
		{"many large replicas", "POST " + gatewaysAt, "", large, false},
		{"many large replicas by a patch", "PATCH " + gatewaysAt + "/g", plain, large, false},
		{"many large replicas that were there", "PUT " + gatewaysAt + "/g", large, large, true},
		{"autoscaling", "POST " + gatewaysAt, "", gateway(`{"controller":{"autoscaling":{"enabled":true,"maxReplicas":1000}}}`), false},
		{"autoscaling beside the controller", "POST " + gatewaysAt, "", gateway(`{"autoscaling":{"maxReplicas":1000}}`), false},
		{"containers of one's own", "POST " + gatewaysAt, "", gateway(`{"deployment":{"extraContainers":[{}]}}`), false},
		{"its own scope", "POST " + gatewaysAt, "", gateway(`{"controller":{"scope":{"enabled":true,"namespace":"p1"}}}`), true},
		{"the scope of another project", "POST " + gatewaysAt, "", gateway(`{"controller":{"scope":{"enabled":true,"namespace":"p2"}}}`), false},
		{"the scope of all projects", "POST " + gatewaysAt, "", gateway(`{"controller":{"scope":{"enabled":false,"namespace":"p1"}}}`), false},
		{"no scope any more", "PATCH " + gatewaysAt + "/g", gateway(`{"controller":{"scope":{"enabled":true,"namespace":"p1"}}}`), plain, false},
		{"a quota of CPU", "POST " + quotas, "", hard("requests.cpu", "1"), true},
		{"a quota of Pods", "POST " + quotas, "", hard("count/pods", "1"), true},
		{"a quota of NetworkPolicies", "POST " + quotas, "", hard("count/networkpolicies.networking.k8s.io", "0"), false},
		{"a quota of quotas", "POST " + quotas, "", hard("count/resourcequotas", "1"), false},
		{"a quota of quotas by its older name", "POST " + quotas, "", hard("resourcequotas", "1"), false},
		{"a quota of roles", "POST " + quotas, "", hard("count/roles.rbac.authorization.k8s.io", "1"), false},
		{"a quota of bindings by a patch", "PATCH " + quotas + "/q", hard("count/pods", "1"), hard("count/rolebindings.rbac.authorization.k8s.io", "1"), false},
		{"a lower quota of bindings", "PUT " + quotas + "/q", hard("count/rolebindings.rbac.authorization.k8s.io", "9"), hard("count/rolebindings.rbac.authorization.k8s.io", "1"), false},
		{"a quota of bindings that was there", "PUT " + quotas + "/q", hard("count/rolebindings.rbac.authorization.k8s.io", "9"), hard("count/rolebindings.rbac.authorization.k8s.io", "9"), true},
		{"no quota of bindings any more", "PUT " + quotas + "/q", hard("count/rolebindings.rbac.authorization.k8s.io", "9"), hard("count/pods", "9"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			method, path, _ := strings.Cut(test.target, " ")
			info := parsed(t, method, path)
			if !guards(info) {
				t.Fatal("the write is not checked")
			}
			for _, all := range []bool{false, true} {
				p := &Proxy{rights: clusterAdmin{all: all}}
				err := p.permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, decoded(t, test.before), decoded(t, test.after))
				if (err == nil) != (test.allowed || all) || err != nil && status.Of(err).Code != 403 {
					t.Errorf("all rights %v: %v", all, err)
				}
			}
		})
	}
}

// TestPermitNamespaceOverRemains: bindings that are left of an earlier namespace would
// give rights in the new one.
func TestPermitNamespaceOverRemains(t *testing.T) {
	const plain = `{"metadata":{"name":"n"}}`
	for _, test := range []struct {
		target, before string
		left, allowed  bool
	}{
		{"POST /api/v1/namespaces", "", true, false},
		{"PATCH /api/v1/namespaces/n", "", true, false}, // by server-side apply
		{"POST /api/v1/namespaces", "", false, true},
		{"PATCH /api/v1/namespaces/n", plain, true, true},
	} {
		method, path, _ := strings.Cut(test.target, " ")
		p := &Proxy{rights: clusterAdmin{all: true}, options: Options{CheckNewNamespace: func(_ context.Context, who user.Info, name string) error {
			if who.GetName() == "jane" && name == "n" && test.left {
				return status.New(409, "Conflict", "RoleBinding is left")
			}
			return nil
		}}}
		err := p.permit(t.Context(), &user.DefaultInfo{Name: "jane"}, parsed(t, method, path), decoded(t, test.before), decoded(t, plain))
		if (err == nil) != test.allowed || err != nil && status.Of(err).Code != 409 {
			t.Errorf("%s, objects left %v: %v", test.target, test.left, err)
		}
	}
}
