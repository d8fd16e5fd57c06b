//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const (
	policyGroup = "/apis/networking.k8s.io/v1/namespaces/"
	mergePatch  = "application/merge-patch+json"
)

// tenancy is a workspace with a project, and a token of each kind of member.
type tenancy struct {
	workspace, project string
	// owner administers the workspace, admin, operator and viewer have the roles of the project.
	owner, admin, operator, viewer person
}

// newTenancy makes a workspace and its members as the console does.
func newTenancy(t *testing.T, prefix string) tenancy {
	t.Helper()
	root := shared.as(t, "admin", adminPassword)
	x := tenancy{workspace: prefix + "-ws", project: prefix + "-project"}
	for name, role := range map[string]string{"owner": "platform-self-provisioner", "admin": "platform-regular", "operator": "platform-regular", "viewer": "platform-regular"} {
		user := prefix + "-" + name
		root.must(t, 200, "POST", iamPath+"/users", newUser(user, role))
		t.Cleanup(func() { root.cleanup(iamPath + "/users/" + user) })
	}
	as := func(name string) person { return shared.as(t, prefix+"-"+name, passwordOf(prefix+"-"+name)) }
	x.owner, x.admin, x.operator, x.viewer = as("owner"), as("admin"), as("operator"), as("viewer")
	x.owner.must(t, 200, "POST", tenant3+"/workspacetemplates", newWorkspace(x.workspace, prefix+"-owner"))
	t.Cleanup(func() { root.cleanup(tenant3 + "/workspacetemplates/" + x.workspace) })
	x.owner.must(t, 200, "POST", tenant2+"/workspaces/"+x.workspace+"/namespaces", newNamespace(x.project))
	for _, member := range []string{"admin", "operator", "viewer"} {
		x.owner.must(t, 200, "POST", iamPath+"/workspaces/"+x.workspace+"/workspacemembers", []fields{{"username": prefix + "-" + member, "roleRef": x.workspace + "-viewer"}})
		x.owner.must(t, 200, "POST", iamPath+"/namespaces/"+x.project+"/members", []fields{{"username": prefix + "-" + member, "roleRef": member}})
	}
	return x
}

// cleanup deletes something when the test has ended.
func (p person) cleanup(path string) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, p.url+path, nil)
	if err != nil {
		return
	}
	bearer(p.token)(request)
	if response, err := http.DefaultTransport.RoundTrip(request); err == nil {
		_ = response.Body.Close()
	}
}

// patches sends a merge patch.
func (p person) patches(t *testing.T, code int, path, body string) reply {
	t.Helper()
	r := p.send(t, http.MethodPatch, path, p.token, body, header("Content-Type", mergePatch))
	if r.code != code {
		t.Fatalf("%s: PATCH %s: %d %.400s, want %d", p.name, path, r.code, r.body, code)
	}
	return r
}

// isolate turns the isolation of a workspace on or off, as its settings do.
func (x *tenancy) isolate(t *testing.T, on bool) {
	t.Helper()
	x.owner.patches(t, 200, tenant3+"/workspacetemplates/"+x.workspace, fmt.Sprintf(`{"spec":{"template":{"spec":{"networkIsolation":%v}}}}`, on))
}

// isolateProject writes the annotation as the settings of a project do.
func isolateProject(t *testing.T, who person, code int, project, value string) {
	t.Helper()
	who.patches(t, code, "/api/v1/namespaces/"+project, fmt.Sprintf(`{"metadata":{"annotations":{"kubesphere.io/network-isolate":%q}}}`, value))
}

// policy waits for a NetworkPolicy that is as wanted.
func policy(t *testing.T, namespace, name string, right func(*networkingv1.NetworkPolicy) error) {
	t.Helper()
	c := kubernetes(t, "")
	wait.For(t, "the NetworkPolicy "+name+" to be as wanted", func() error {
		found := &networkingv1.NetworkPolicy{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found); err != nil {
			return err
		}
		return right(found)
	})
}

func noPolicy(t *testing.T, namespace, name string) {
	t.Helper()
	c := kubernetes(t, "")
	wait.For(t, "the NetworkPolicy "+name+" to be deleted", func() error {
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &networkingv1.NetworkPolicy{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("policy %s is still there: %v", name, err)
		}
		return nil
	})
}

// ofWorkspace and ofNamespace say whom a policy accepts first.
func ofWorkspace(workspace string) func(*networkingv1.NetworkPolicy) error {
	return func(p *networkingv1.NetworkPolicy) error {
		peer := p.Spec.Ingress[0].From[0]
		if peer.NamespaceSelector == nil || peer.NamespaceSelector.MatchLabels["kubesphere.io/workspace"] != workspace || !slices.Equal(p.Spec.PolicyTypes, []networkingv1.PolicyType{"Ingress"}) || len(p.Spec.PodSelector.MatchLabels) != 0 {
			return fmt.Errorf("the policy is %+v", p.Spec)
		}
		if last := p.Spec.Ingress[0].From[len(p.Spec.Ingress[0].From)-1]; last.IPBlock == nil {
			return fmt.Errorf("nodes are kept out: %+v", p.Spec)
		}
		return nil
	}
}

func ofNamespace(p *networkingv1.NetworkPolicy) error {
	if peer := p.Spec.Ingress[0].From[0]; peer.NamespaceSelector != nil || peer.PodSelector == nil {
		return fmt.Errorf("the policy is %+v", p.Spec)
	}
	return nil
}

const openPolicy = `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":%q},"spec":{"podSelector":{},"ingress":[{%s}],"policyTypes":["Ingress"]}}`

// TestWorkspaceIsolation: what the owner of a workspace sets holds in its
// projects, and nobody with less than the owner's rights there opens it.
func TestWorkspaceIsolation(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "wiso")
	policies := policyGroup + x.project + "/networkpolicies"
	x.viewer.must(t, 404, "GET", policies+"/network-isolate", nil)
	for _, name := range []string{"network-isolate", "network-isolate-1a2b3c4d", "nsnp-x"} {
		x.admin.must(t, 403, "POST", policies, fields{"metadata": fields{"name": name}, "spec": fields{"podSelector": fields{}, "ingress": []fields{{}}}})
	}
	x.isolate(t, true)
	policy(t, x.project, "network-isolate", ofWorkspace(x.workspace))
	x.viewer.must(t, 200, "GET", policies+"/network-isolate", nil)

	everybody := fmt.Sprintf(openPolicy, "open", "")
	for _, test := range []struct {
		name, method, path, media, body string
		code                            int
	}{
		{"deleting the policy", "DELETE", policies + "/network-isolate", "", "", 403},
		{"deleting all policies", "DELETE", policies, "", "", 403},
		{"deleting the policy by its label", "DELETE", policies + "?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dks-apiserver", "", "", 403},
		{"changing the policy", "PATCH", policies + "/network-isolate", mergePatch, `{"spec":{"ingress":[{}]}}`, 403},
		{"changing its labels", "PATCH", policies + "/network-isolate", mergePatch, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"me"}}}`, 403},
		{"replacing the policy", "PUT", policies + "/network-isolate", "", fmt.Sprintf(openPolicy, "network-isolate", ""), 403},
		{"a policy for everybody", "POST", policies, "", everybody, 403},
		{"applied", "PATCH", policies + "/open?fieldManager=me&force=true", "application/apply-patch+yaml", everybody, 403},
		{"as the other API writes it", "POST", "/kapis/networking.k8s.io/v1/namespaces/" + x.project + "/networkpolicies", "", everybody, 403},
		{"for all namespaces", "POST", policies, "", fmt.Sprintf(openPolicy, "open", `"from":[{"namespaceSelector":{}}]`), 403},
		{"for a namespace by name", "POST", policies, "", fmt.Sprintf(openPolicy, "open", `"from":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"default"}}}]`), 403},
		{"for all addresses", "POST", policies, "", fmt.Sprintf(openPolicy, "open", `"from":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]`), 403},
		{"of a reserved name", "POST", policies, "", fmt.Sprintf(openPolicy, "nsnp-open", `"from":[{"podSelector":{}}]`), 403},
		{"of the fallback's name", "POST", policies, "", fmt.Sprintf(openPolicy, "network-isolate-1a2b3c4d", `"from":[{"podSelector":{}}]`), 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, who := range []person{x.admin, x.operator, x.viewer} {
				var options []option
				if test.media != "" {
					options = append(options, header("Content-Type", test.media))
				}
				if r := shared.send(t, test.method, test.path, who.token, test.body, options...); r.code != test.code {
					t.Errorf("%s: %d %.300s", who.name, r.code, r.body)
				}
			}
		})
	}
	t.Run("turning it off takes the workspace", func(t *testing.T) {
		for _, who := range []person{x.admin, x.operator, x.viewer} {
			who.patches(t, 403, tenant3+"/workspacetemplates/"+x.workspace, `{"spec":{"template":{"spec":{"networkIsolation":false}}}}`)
			who.patches(t, 403, "/apis/tenant.kubesphere.io/v1alpha1/workspaces/"+x.workspace, `{"spec":{"networkIsolation":false}}`)
			who.patches(t, 403, "/api/v1/namespaces/"+x.project, `{"metadata":{"labels":{"kubesphere.io/workspace":null}}}`)
		}
		isolateProject(t, x.admin, 200, x.project, "disabled")
		policy(t, x.project, "network-isolate", ofWorkspace(x.workspace))
	})
	t.Run("policies within it are free", func(t *testing.T) {
		x.operator.must(t, 201, "POST", policies, fields{"metadata": fields{"name": "within"}, "spec": fields{"podSelector": fields{}, "ingress": []fields{
			{"from": []fields{{"podSelector": fields{}}, {"namespaceSelector": fields{"matchLabels": fields{"kubesphere.io/workspace": x.workspace}}}}},
		}}})
		x.operator.patches(t, 403, policies+"/within", `{"spec":{"ingress":[{}]}}`)
		x.operator.patches(t, 200, policies+"/within", `{"metadata":{"annotations":{"a":"b"}}}`)
		x.operator.must(t, 201, "POST", policies, fields{"metadata": fields{"name": "outward"}, "spec": fields{"podSelector": fields{}, "policyTypes": []string{"Egress"}, "egress": []fields{{}}}})
		x.operator.must(t, 200, "DELETE", policies+"/within", nil)
	})
	t.Run("the owner may open it", func(t *testing.T) {
		x.owner.must(t, 201, "POST", policies, fields{"metadata": fields{"name": "owners"}, "spec": fields{"podSelector": fields{}, "ingress": []fields{{}}}})
		x.operator.patches(t, 200, policies+"/owners", `{"metadata":{"annotations":{"a":"b"}}}`)
		x.owner.must(t, 200, "DELETE", policies+"/owners", nil)
	})
	t.Run("comes back", func(t *testing.T) {
		c, before := kubernetes(t, ""), &networkingv1.NetworkPolicy{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: x.project, Name: "network-isolate"}, before); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		policy(t, x.project, "network-isolate", ofWorkspace(x.workspace))
		changed := &networkingv1.NetworkPolicy{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: x.project, Name: "network-isolate"}, changed); err != nil {
			t.Fatal(err)
		}
		if err := c.Patch(t.Context(), changed, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"ingress":[{"from":[{"namespaceSelector":{}}]}]}}`))); err != nil {
			t.Fatal(err)
		}
		policy(t, x.project, "network-isolate", ofWorkspace(x.workspace))
	})
	t.Run("a new project has it, and one that leaves does not", func(t *testing.T) {
		second := x.project + "-2"
		x.owner.must(t, 200, "POST", tenant2+"/workspaces/"+x.workspace+"/namespaces", newNamespace(second))
		policy(t, second, "network-isolate", ofWorkspace(x.workspace))
		c := kubernetes(t, "")
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: second}}
		if err := c.Patch(t.Context(), namespace, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"kubesphere.io/workspace":null}}}`))); err != nil {
			t.Fatal(err)
		}
		noPolicy(t, second, "network-isolate")
		_ = c.Delete(t.Context(), namespace)
	})
	x.isolate(t, false)
	noPolicy(t, x.project, "network-isolate")
	x.operator.must(t, 201, "POST", policies, fields{"metadata": fields{"name": "free"}, "spec": fields{"podSelector": fields{}, "ingress": []fields{{}}}})
}

// TestProjectIsolation: what the settings of a project in the console do, with
// the list of exceptions.
func TestProjectIsolation(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "piso")
	exceptions := "/apis/network.kubesphere.io/v1alpha1/namespaces/" + x.project + "/namespacenetworkpolicies"
	for _, path := range []string{exceptions, "/kapis" + exceptions[len("/apis"):]} {
		for _, who := range []person{x.admin, x.operator, x.viewer} {
			who.must(t, 200, "GET", path, nil)
		}
	}
	isolateProject(t, x.operator, 403, x.project, "enabled")
	isolateProject(t, x.viewer, 403, x.project, "enabled")
	isolateProject(t, x.admin, 200, x.project, "enabled")
	policy(t, x.project, "network-isolate", ofNamespace)
	isolateProject(t, x.operator, 403, x.project, "")
	x.operator.patches(t, 403, tenant2+"/workspaces/"+x.workspace+"/namespaces/"+x.project, `{"metadata":{"annotations":{"kubesphere.io/network-isolate":null}}}`)

	exception := func(name, peer string) string {
		return fmt.Sprintf(`{"apiVersion":"network.kubesphere.io/v1alpha1","kind":"NamespaceNetworkPolicy","metadata":{"name":%q,"annotations":{"kubesphere.io/creator":"piso-admin"}},"spec":{"ingress":[{"from":[%s]}]}}`, name, peer)
	}
	for _, who := range []person{x.operator, x.viewer} {
		if r := shared.send(t, "POST", exceptions, who.token, exception("theirs", `{"namespace":{"name":"default"}}`)); r.code != 403 {
			t.Errorf("%s: %d %.300s", who.name, r.code, r.body)
		}
	}
	send := func(name, peer string) {
		t.Helper()
		if r := shared.send(t, "POST", exceptions+"?dryRun=All", x.admin.token, exception(name, peer)); r.code != 201 {
			t.Fatalf("dry run of %s: %d %.300s", name, r.code, r.body)
		}
		if r := shared.send(t, "POST", exceptions, x.admin.token, exception(name, peer)); r.code != 201 {
			t.Fatalf("%s: %d %.300s", name, r.code, r.body)
		}
	}
	send("a-namespace", `{"namespace":{"name":"default"}}`)
	policy(t, x.project, "nsnp-a-namespace", func(p *networkingv1.NetworkPolicy) error {
		if peer := p.Spec.Ingress[0].From[0]; peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] != "default" {
			return fmt.Errorf("%+v", p.Spec)
		}
		return nil
	})
	condition(t, x.project, "a-namespace", metav1.ConditionTrue, "Enforced")

	// A service is its pods, and follows it.
	send("a-service", `{"service":{"namespace":"`+x.project+`","name":"web"}}`)
	condition(t, x.project, "a-service", metav1.ConditionTrue, "PeersLeftOut")
	policy(t, x.project, "nsnp-a-service", func(p *networkingv1.NetworkPolicy) error {
		if len(p.Spec.Ingress) != 0 {
			return fmt.Errorf("a service that is not there is everybody: %+v", p.Spec)
		}
		return nil
	})
	for _, app := range []string{"web", "other"} {
		if app == "web" {
			x.operator.must(t, 201, "POST", "/api/v1/namespaces/"+x.project+"/services", fields{"metadata": fields{"name": "web"}, "spec": fields{"selector": fields{"app": app}, "ports": []fields{{"port": 80}}}})
		} else {
			x.operator.patches(t, 200, "/api/v1/namespaces/"+x.project+"/services/web", `{"spec":{"selector":{"app":"other"}}}`)
		}
		policy(t, x.project, "nsnp-a-service", func(p *networkingv1.NetworkPolicy) error {
			if len(p.Spec.Ingress) != 1 || p.Spec.Ingress[0].From[0].PodSelector.MatchLabels["app"] != app {
				return fmt.Errorf("%+v", p.Spec)
			}
			return nil
		})
	}
	condition(t, x.project, "a-service", metav1.ConditionTrue, "Enforced")

	// Within an isolated workspace, nothing from outside comes in by an exception.
	send("addresses", `{"ipBlock":{"cidr":"198.51.100.0/24"}}`)
	policy(t, x.project, "nsnp-addresses", func(p *networkingv1.NetworkPolicy) error {
		if len(p.Spec.Ingress) != 1 {
			return fmt.Errorf("%+v", p.Spec)
		}
		return nil
	})
	x.isolate(t, true)
	policy(t, x.project, "nsnp-addresses", func(p *networkingv1.NetworkPolicy) error {
		if len(p.Spec.Ingress) != 0 {
			return fmt.Errorf("addresses come into an isolated workspace: %+v", p.Spec)
		}
		return nil
	})
	policy(t, x.project, "nsnp-a-namespace", func(p *networkingv1.NetworkPolicy) error {
		if p.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels["kubesphere.io/workspace"] != x.workspace {
			return fmt.Errorf("a namespace of another workspace comes in: %+v", p.Spec)
		}
		return nil
	})
	policy(t, x.project, "network-isolate", ofNamespace)
	x.isolate(t, false)

	x.admin.must(t, 200, "DELETE", exceptions+"/addresses", nil)
	noPolicy(t, x.project, "nsnp-addresses")
	isolateProject(t, x.admin, 200, x.project, "") // as the console turns it off
	for _, name := range []string{"network-isolate", "nsnp-a-namespace", "nsnp-a-service"} {
		noPolicy(t, x.project, name)
	}
	condition(t, x.project, "a-namespace", metav1.ConditionFalse, "IsolationDisabled")
	isolateProject(t, x.admin, 200, x.project, "enabled")
	policy(t, x.project, "network-isolate", ofNamespace)
	policy(t, x.project, "nsnp-a-namespace", func(*networkingv1.NetworkPolicy) error { return nil })
}

func condition(t *testing.T, namespace, name string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	c := kubernetes(t, "")
	wait.For(t, "the condition of the policy "+name, func() error {
		found := &networkv1alpha1.NamespaceNetworkPolicy{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found); err != nil {
			return err
		}
		if got := meta.FindStatusCondition(found.Status.Conditions, networkv1alpha1.ConditionEnforced); got == nil || got.Status != status || got.Reason != reason {
			return fmt.Errorf("the condition of %s is %+v", name, got)
		}
		return nil
	})
}

// TestIsolationNamesTaken: a policy of somebody else stays as it is, and the
// namespace is isolated nevertheless.
func TestIsolationNamesTaken(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "taken-project"}}
	create(t, c, namespace)
	open := networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}
	for _, name := range []string{"network-isolate", "nsnp-mine"} {
		// They go with the namespace: the server takes the name when it is free.
		if err := c.Create(t.Context(), &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: name}, Spec: open}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Create(t.Context(), &networkv1alpha1.NamespaceNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "mine"}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Patch(t.Context(), namespace, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"kubesphere.io/network-isolate":"enabled"}}}`))); err != nil {
		t.Fatal(err)
	}
	condition(t, namespace.Name, "mine", metav1.ConditionFalse, "NameTaken")
	policy(t, namespace.Name, "network-isolate-"+string(namespace.UID[:8]), ofNamespace)
	warned(t, c, "ExceedsNetworkIsolation", namespace.Name, "nsnp-mine")
	warned(t, c, "NetworkPolicyNameTaken", "", namespace.Name)
	for _, name := range []string{"network-isolate", "nsnp-mine"} {
		policy(t, namespace.Name, name, func(p *networkingv1.NetworkPolicy) error {
			if len(p.Spec.Ingress) != 1 || len(p.Labels) != 0 {
				return errors.New("a policy of somebody else was changed")
			}
			return nil
		})
	}
}
