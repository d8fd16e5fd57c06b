package kubeproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// isolator holds the rights to isolate a workspace or a project.
type isolator struct {
	Rights
	workspace, project bool
}

func (isolator) Administers(context.Context, user.Info) (bool, error) { return false, nil }

func (isolator) Names() *reserved.Register { return nil }

func (i isolator) Covers(_ context.Context, _ user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	held := rules[0].Resources[0] == "workspacetemplates" && scope.Workspace == "w" && i.workspace || rules[0].Resources[0] == "namespacenetworkpolicies" && scope.Namespace == "n" && i.project
	if held {
		return nil, nil
	}
	return rules, nil
}

func decoded(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	if text == "" {
		return nil
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// TestPermitNetworkPolicies: what isolation closes is opened by who may turn it off.
func TestPermitNetworkPolicies(t *testing.T) {
	const (
		at       = "/apis/networking.k8s.io/v1/namespaces/n/networkpolicies"
		open     = `{"metadata":{"name":"p"},"spec":{"podSelector":{},"ingress":[{}]}}`
		same     = `{"metadata":{"name":"p"},"spec":{"podSelector":{},"ingress":[{"from":[{"podSelector":{}}]}]}}`
		members  = `{"metadata":{"name":"p"},"spec":{"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"kubesphere.io/workspace":"w"}}}]}]}}`
		reserved = `{"metadata":{"name":"network-isolate"},"spec":{"podSelector":{},"ingress":[{"from":[{"podSelector":{}}]}]}}`
		released = `{"metadata":{"name":"network-isolate","labels":{"a":"b"}},"spec":{"podSelector":{},"ingress":[{"from":[{"podSelector":{}}]}]}}`
	)
	wide, project := isolation.State{Namespace: "n", Workspace: "w", WorkspaceWide: true}, isolation.State{Namespace: "n", Workspace: "w", Project: true}
	for _, test := range []struct {
		name, target  string
		state         isolation.State
		before, after string
		needs         string // w and p: the rights to isolate the workspace and the project
	}{
		{"nothing is isolated", "POST " + at, isolation.State{Namespace: "n"}, "", open, ""},
		{"the same namespace", "POST " + at, wide, "", same, ""},
		{"the same workspace", "POST " + at, wide, "", members, ""},
		{"everybody", "POST " + at, wide, "", open, "w"},
		{"by a change", "PATCH " + at + "/p", wide, same, open, "w"},
		{"by an update", "PUT " + at + "/p", wide, same, open, "w"},
		{"no change of what is open", "PATCH " + at + "/p", wide, open, open, ""},
		{"the workspace, into an isolated project", "POST " + at, project, "", members, "p"},
		{"both, within the workspace", "POST " + at, isolation.State{Namespace: "n", Workspace: "w", WorkspaceWide: true, Project: true}, "", members, "p"},
		{"both, everybody", "POST " + at, isolation.State{Namespace: "n", Workspace: "w", WorkspaceWide: true, Project: true}, "", open, "wp"},
		{"a reserved name", "POST " + at, isolation.State{Namespace: "n", Workspace: "w"}, "", reserved, "wp"},
		{"one outside of workspaces", "POST " + at, isolation.State{Namespace: "n"}, "", reserved, "p"},
		{"the labels of a reserved one", "PATCH " + at + "/network-isolate", wide, reserved, released, "wp"},
		{"of another API", "POST /kapis/networking.k8s.io/v1/namespaces/n/networkpolicies", wide, "", open, "w"},
		{"of Calico", "POST /apis/crd.projectcalico.org/v1/namespaces/n/networkpolicies", wide, "", same, "w"},
		{"of Cilium", "POST /apis/cilium.io/v2/namespaces/n/ciliumnetworkpolicies", project, "", same, "p"},
		{"of Cilium, where nothing is isolated", "POST /apis/cilium.io/v2/namespaces/n/ciliumnetworkpolicies", isolation.State{Namespace: "n"}, "", same, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			method, path, _ := strings.Cut(test.target, " ")
			info := parsed(t, method, path)
			if !guards(info) {
				t.Fatal("nobody looks at it")
			}
			for held := range 4 {
				rights := isolator{workspace: held&1 != 0, project: held&2 != 0}
				p := &Proxy{rights: rights, options: Options{Isolation: func(context.Context, string) (isolation.State, error) { return test.state, nil }}}
				want := (rights.workspace || !strings.Contains(test.needs, "w")) && (rights.project || !strings.Contains(test.needs, "p"))
				if err := p.permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, decoded(t, test.before), decoded(t, test.after)); (err == nil) != want {
					t.Errorf("%+v: %v", rights, err)
				}
			}
		})
	}
}

// serviceReader may get services by NAMESPACE/NAME.
type serviceReader struct {
	isolator
	services string
}

func (s serviceReader) Covers(_ context.Context, _ user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	for _, name := range rules[0].ResourceNames {
		if !strings.Contains(s.services, scope.Namespace+"/"+name+" ") {
			return rules, nil
		}
	}
	return nil, nil
}

// TestPermitIsolationExceptions: a policy showed its author the pods of services that the
// author may not get.
func TestPermitIsolationExceptions(t *testing.T) {
	const at = "/apis/network.kubesphere.io/v1alpha1/namespaces/n/namespacenetworkpolicies"
	policy := func(direction string, peers ...string) string {
		return fmt.Sprintf(`{"metadata":{"namespace":"n","name":"p"},"spec":{%s:[%s]}]}}`, direction, strings.Join(peers, ","))
	}
	service := func(namespace, name string) string {
		return fmt.Sprintf(`{"service":{"namespace":%q,"name":%q}}`, namespace, name)
	}
	from := func(peers ...string) string { return policy(`"ingress":[{"from"`, peers...) }
	to := func(peers ...string) string { return policy(`"egress":[{"to"`, peers...) }
	for _, test := range []struct {
		name, target, before, after, may string
		want                             bool
	}{
		{"a namespace", "POST " + at, "", from(`{"namespace":{"name":"m"}}`), "", true},
		{"a service of the namespace", "POST " + at, "", from(service("n", "web")), "", true},
		{"a hidden service", "POST " + at, "", from(service("m", "web")), "", false},
		{"to a hidden service", "POST " + at, "", to(service("m", "web")), "", false},
		{"of another API", "POST /kapis/network.kubesphere.io/v1alpha1/namespaces/n/namespacenetworkpolicies", "", from(service("m", "web")), "", false},
		{"a service that may be read", "POST " + at, "", from(service("m", "web")), "m/web ", true},
		{"a hidden one beside it", "POST " + at, "", from(service("m", "web"), service("m", "db")), "m/web ", false},
		{"by a change", "PATCH " + at + "/p", from(service("m", "web")), from(service("m", "db")), "m/web ", false},
		{"by an update", "PUT " + at + "/p", from(service("n", "web")), to(service("m", "web")), "", false},
		{"one that was there", "PUT " + at + "/p", from(service("m", "web")), from(service("m", "web"), service("n", "web")), "", true},
		{"no change", "PATCH " + at + "/p", from(service("m", "web")), from(service("m", "web")), "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			method, path, _ := strings.Cut(test.target, " ")
			info := parsed(t, method, path)
			if !guards(info) {
				t.Fatal("nobody looks at it")
			}
			p := &Proxy{rights: serviceReader{services: test.may}}
			err := p.permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, decoded(t, test.before), decoded(t, test.after))
			if (err == nil) != test.want || err != nil && !apierrors.IsForbidden(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestPolicyDeletion: the policies of isolation are deleted by users who may turn it
// off, by their names and in collections.
func TestPolicyDeletion(t *testing.T) {
	const at = "/apis/networking.k8s.io/v1/namespaces/n/networkpolicies"
	const reserved, mine = `{"metadata":{"name":"network-isolate","namespace":"n"}}`, `{"metadata":{"name":"mine","namespace":"n"}}`
	for _, test := range []struct {
		target   string
		objects  string // in the collection, or the one of the name
		isolated bool
		allowed  bool
	}{
		{"DELETE " + at + "/network-isolate", reserved, true, false},
		{"DELETE " + at + "/nsnp-x", `{"metadata":{"name":"nsnp-x","namespace":"n"}}`, true, false},
		{"DELETE " + at, mine + "," + reserved, true, false},
		{"DELETE " + at + "?labelSelector=a%3Db", mine, true, true},
		{"DELETE /kapis/networking.k8s.io/v1/namespaces/n/networkpolicies/network-isolate", reserved, true, false},
		{"DELETE " + at + "/mine", mine, true, true},
		{"DELETE " + at + "/network-isolate", reserved, false, true},
		{"DELETE " + at, reserved, false, true},
		{"DELETE /api/v1/namespaces/n/pods", "", true, true},
		{"GET " + at, "", true, true},
	} {
		method, target, _ := strings.Cut(test.target, " ")
		f := newFront(t, (&collection{kind: "NetworkPolicy", objects: test.objects}).serve)
		f.proxy.rights = isolator{}
		f.proxy.options.Isolation = func(context.Context, string) (isolation.State, error) {
			return isolation.State{Namespace: "n", Workspace: "w", WorkspaceWide: test.isolated}, nil
		}
		if code, text := f.send(t, method, target, "", ""); (code == 200) != test.allowed {
			t.Errorf("%s, isolated %v: %d %s", test.target, test.isolated, code, text)
		}
	}
}

// TestPermitIsolation: the annotation of a namespace takes more than the right to
// the namespace.
func TestPermitIsolation(t *testing.T) {
	namespace := func(value string) string {
		return `{"metadata":{"name":"n","annotations":{"kubesphere.io/network-isolate":"` + value + `"}}}`
	}
	const plain = `{"metadata":{"name":"n"}}`
	for _, test := range []struct {
		name, method, before, after string
		allowed                     bool
	}{
		{"off", "PATCH", namespace("enabled"), namespace(""), false},
		{"gone", "PUT", namespace("enabled"), plain, false},
		{"on", "PATCH", plain, namespace("enabled"), false},
		{"as it was", "PATCH", namespace("enabled"), namespace("enabled"), true},
		{"a new one", "POST", "", namespace("enabled"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, held := range []bool{true, false} {
				p := &Proxy{rights: isolator{project: held}, options: Options{Isolation: func(context.Context, string) (isolation.State, error) { return isolation.State{}, nil }}}
				path := "/api/v1/namespaces/n"
				if test.method == "POST" {
					path = "/api/v1/namespaces"
				}
				if err := p.permit(t.Context(), &user.DefaultInfo{Name: "jane"}, parsed(t, test.method, path), decoded(t, test.before), decoded(t, test.after)); (err == nil) != (test.allowed || held) {
					t.Errorf("held %v: %v", held, err)
				}
			}
		})
	}
}
