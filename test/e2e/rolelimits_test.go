//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestLimitsOfProjects: operators change neither the project itself nor its limits,
// and nobody in it the parts of its workspace's quota.
func TestLimitsOfProjects(t *testing.T) {
	t.Parallel()
	workspace(t, "pw-limits")
	const project = "/api/v1/namespaces/pw-limits-project"
	operator, owner := user(t, "pw-limited"), user(t, "pw-limits-owner")
	inNamespace(t, "pw-limited", "pw-limits-project", "operator")
	inNamespace(t, "pw-limits-owner", "pw-limits-project", "admin")
	answers(t, "GET", project+"/resourcequotas", operator, 200)
	answers(t, "GET", project+"/resourcequotas", owner, 200)
	c := kubernetes(t, "")
	quota := func(name string) {
		create(t, c, &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: "pw-limits-project", Name: name},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("50")}},
		})
	}
	quota("pw-own")
	quota("pw-other")
	atMost := corev1.ResourceList{"count/configmaps": resource.MustParse("50")}
	create(t, c, &quotav1alpha2.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "pw-limits", Labels: map[string]string{"kubesphere.io/workspace": "pw-limits"}},
		Spec:       quotav1alpha2.ResourceQuotaSpec{LabelSelector: map[string]string{"kubesphere.io/workspace": "pw-limits"}, Quota: corev1.ResourceQuotaSpec{Hard: atMost}},
	})
	wait.For(t, "the quota to be distributed", func() error {
		return expect(shared.get(t, project+"/resourcequotas/workspace-pw-limits", bearer(owner)), 200)
	})
	create(t, c, &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "pw-limits-project", Name: "pw-range"}})
	const higher, part = `{"spec":{"hard":{"count/configmaps":"500"}}}`, project + "/resourcequotas/workspace-pw-limits"
	attempts(t, []attempt{
		{"the operator changes a quota", operator, "PATCH", project + "/resourcequotas/pw-own", higher, media(merge), 403},
		{"deletes one", operator, "DELETE", project + "/resourcequotas/pw-own", "", nil, 403},
		{"deletes all", operator, "DELETE", project + "/resourcequotas", "", nil, 403},
		{"resets what is used", operator, "PATCH", project + "/resourcequotas/pw-own/status", `{"status":{"used":{"count/configmaps":"0"}}}`, media(merge), 403},
		{"changes a range of limits", operator, "PATCH", project + "/limitranges/pw-range", `{"spec":{"limits":[]}}`, media(merge), 403},
		{"deletes one", operator, "DELETE", project + "/limitranges/pw-range", "", nil, 403},
		{"changes the project", operator, "PATCH", project, `{"metadata":{"labels":{"a":"b"}}}`, media(merge), 403},
		{"deletes the project", operator, "DELETE", project, "", nil, 403},
		{"works in it", operator, "POST", project + "/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"pw-work"}}`, nil, 201},
		{"the owner changes a quota", owner, "PATCH", project + "/resourcequotas/pw-own", higher, media(merge), 200},
		{"not the workspace's", owner, "PATCH", part, higher, media(merge), 403},
		{"not its label", owner, "PATCH", part, `{"metadata":{"labels":{"quota.kubesphere.io/resourcequota":null}}}`, media(merge), 403},
		{"nor makes it", owner, "PATCH", project + "/resourcequotas/pw-own", `{"metadata":{"labels":{"quota.kubesphere.io/resourcequota":"pw-limits"}}}`, media(merge), 403},
		{"nor deletes it", owner, "DELETE", part, "", nil, 403},
		{"nor resets what is used", owner, "PATCH", part + "/status", `{"status":{"used":{"count/configmaps":"0"}}}`, media(merge), 403},
		{"deletes a quota", owner, "DELETE", project + "/resourcequotas/pw-other", "", nil, 200},
		{"deletes all but the workspace's", owner, "DELETE", project + "/resourcequotas", "", nil, 200},
		{"which is there", owner, "GET", part, "", nil, 200},
		{"and no other", owner, "GET", project + "/resourcequotas/pw-own", "", nil, 404},
		{"the owner deletes the project", owner, "DELETE", project, "", nil, 200},
	})
}

// TestInterceptors: no role in the cluster sees, changes or serves requests for the
// platform's objects.
func TestInterceptors(t *testing.T) {
	t.Parallel()
	token, admin := user(t, "pw-hooks"), shared.login(t).AccessToken
	definer := user(t, "pw-definer")
	inCluster(t, "pw-hooks", "cluster-admin")
	inCluster(t, "pw-definer", "role-template-manage-crds")
	answers(t, "GET", "/api/v1/nodes", token, 200)
	answers(t, "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definer, 200)
	const registration = "/apis/admissionregistration.k8s.io/v1"
	hook := func(name, groups, selector string) string {
		return fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":%q},"webhooks":[{"name":"a.example.com","sideEffects":"None","admissionReviewVersions":["v1"],"failurePolicy":"Ignore",
			"clientConfig":{"url":"https://127.0.0.1:1/"},"rules":[{"apiGroups":[%s],"apiVersions":["*"],"resources":["*"],"operations":["CREATE"]}]%s}]}`, name, groups, selector)
	}
	const others = `,"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kubesphere-system","kubesphere-controls-system","kubesphere-terminals"]}]}`
	const some = `,"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kubesphere-system"]}]}`
	policy := func(name, group string) string {
		return fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":%q},"spec":{"failurePolicy":"Ignore","matchConstraints":{"resourceRules":[{"apiGroups":[%q],"apiVersions":["*"],"resources":["*"],"operations":["CREATE"]}]},"validations":[{"expression":"true"}]}}`, name, group)
	}
	binding := func(name, policy string) string {
		return fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":%q},"spec":{"policyName":%q,"validationActions":["Audit"]}}`, name, policy)
	}
	service := func(group string) string {
		return fmt.Sprintf(`{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v9.%s"},"spec":{"group":%q,"version":"v9","groupPriorityMinimum":1,"versionPriority":1,"insecureSkipTLSVerify":true,"service":{"name":"a","namespace":"default"}}}`, group, group)
	}
	definition := func(group string) string {
		return fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"pwthings.%s"},"spec":{"group":%q,"scope":"Cluster","names":{"plural":"pwthings","kind":"PwThing"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`, group, group)
	}
	const hooks, policies, bindings = registration + "/mutatingwebhookconfigurations", registration + "/validatingadmissionpolicies", registration + "/validatingadmissionpolicybindings"
	const services, definitions = "/apis/apiregistration.k8s.io/v1/apiservices", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	const conversion = `{"spec":{"conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"url":"https://127.0.0.1:1/"}}}}}`
	c := kubernetes(t, "")
	t.Cleanup(func() {
		for name, kind := range map[string]string{
			"pw-far": "MutatingWebhookConfiguration", "pw-others": "MutatingWebhookConfiguration", "pw-admins": "MutatingWebhookConfiguration",
			"pw-far-policy": "ValidatingAdmissionPolicy", "pw-admins-policy": "ValidatingAdmissionPolicy", "pw-far-binding": "ValidatingAdmissionPolicyBinding",
			"v9.pw.example.com": "APIService", "pwthings.pw.example.com": "CustomResourceDefinition",
		} {
			left := &unstructured.Unstructured{}
			left.SetAPIVersion(map[string]string{"APIService": "apiregistration.k8s.io/v1", "CustomResourceDefinition": "apiextensions.k8s.io/v1"}[kind])
			if left.GetAPIVersion() == "" {
				left.SetAPIVersion("admissionregistration.k8s.io/v1")
			}
			left.SetKind(kind)
			left.SetName(name)
			_ = c.Delete(context.Background(), left)
		}
	})
	attempts(t, []attempt{
		{"a webhook for the platform's types", token, "POST", hooks, hook("pw-near", `"iam.kubesphere.io"`, ""), nil, 403},
		{"for every type", token, "POST", hooks, hook("pw-near", `"*"`, ""), nil, 403},
		{"for every type elsewhere", token, "POST", hooks, hook("pw-near", `"*"`, others), nil, 403},
		{"for pods and secrets", token, "POST", hooks, hook("pw-near", `""`, ""), nil, 403},
		{"for some of the namespaces", token, "POST", hooks, hook("pw-near", `""`, some), nil, 403},
		{"for rights", token, "POST", hooks, hook("pw-near", `"rbac.authorization.k8s.io"`, others), nil, 403},
		{"for pods of others", token, "POST", hooks, hook("pw-others", `""`, others), nil, 201},
		{"for another type", token, "POST", hooks, hook("pw-far", `"example.com"`, ""), nil, 201},
		{"below /kapis", token, "POST", "/kapis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", hook("pw-near", `"*"`, ""), nil, 403},
		{"that comes nearer", token, "PATCH", hooks + "/pw-others", `{"webhooks":[{"name":"a.example.com","namespaceSelector":null}]}`, media("application/strategic-merge-patch+json"), 403},
		{"by JSON patch", token, "PATCH", hooks + "/pw-far", `[{"op":"replace","path":"/webhooks/0/rules/0/apiGroups/0","value":"*"}]`, media("application/json-patch+json"), 403},
		{"by apply", token, "PATCH", hooks + "/pw-far?fieldManager=pw&force=true", hook("pw-far", `"*"`, ""), media("application/apply-patch+yaml"), 403},
		{"a label of it", token, "PATCH", hooks + "/pw-far", `{"metadata":{"labels":{"a":"b"}}}`, media(merge), 200},
		{"an administrator's", admin, "POST", hooks, hook("pw-admins", `"iam.kubesphere.io"`, ""), nil, 201},
		{"which is not deleted", token, "DELETE", hooks + "/pw-admins", "", nil, 403},
		{"nor all of them", token, "DELETE", hooks, "", nil, 403},
		{"but the own one is", token, "DELETE", hooks + "/pw-far", "", nil, 200},
		{"a policy for the platform's types", token, "POST", policies, policy("pw-near", "tenant.kubesphere.io"), nil, 403},
		{"for another type", token, "POST", policies, policy("pw-far-policy", "example.com"), nil, 201},
		{"an administrator's policy", admin, "POST", policies, policy("pw-admins-policy", "iam.kubesphere.io"), nil, 201},
		{"is not bound", token, "POST", bindings, binding("pw-near", "pw-admins-policy"), nil, 403},
		{"the own one is", token, "POST", bindings, binding("pw-far-binding", "pw-far-policy"), nil, 201},
		{"a service of the platform's API", token, "POST", services, service("iam.kubesphere.io"), nil, 403},
		{"of Kubernetes'", token, "POST", services, service("rbac.authorization.k8s.io"), nil, 403},
		{"of another", token, "POST", services, service("pw.example.com"), nil, 201},
		{"a type of the platform", definer, "POST", definitions, definition("iam.kubesphere.io"), nil, 403},
		{"a conversion of one", definer, "PATCH", definitions + "/users.iam.kubesphere.io", conversion, media(merge), 403},
		{"its end", definer, "DELETE", definitions + "/users.iam.kubesphere.io", "", nil, 403},
		{"the end of all", definer, "DELETE", definitions, "", nil, 403},
		{"by who has the cluster", token, "PATCH", definitions + "/users.iam.kubesphere.io", conversion, media(merge), 403},
		{"another type", definer, "POST", definitions, definition("pw.example.com"), nil, 201},
		{"an administrator names a type of the platform", admin, "PATCH", definitions + "/users.iam.kubesphere.io", `{"metadata":{"labels":{"pw":"pw"}}}`, media(merge), 200},
	})
}

// TestTakingRoles: who manages members takes no role from others that gives more than
// the manager has, by no way.
func TestTakingRoles(t *testing.T) {
	t.Parallel()
	workspace(t, "pw-taken")
	c, every := kubernetes(t, ""), []string{"*"}
	manager, owner := user(t, "pw-manager"), user(t, "pw-boss")
	for _, name := range []string{"pw-peer", "pw-guest"} {
		user(t, name)
	}
	rules := []rbacv1.PolicyRule{
		{APIGroups: every, Resources: []string{"members", "workspacemembers", "roles", "rolebindings", "workspaceroles", "workspacerolebindings", "groups", "groupbindings"}, Verbs: every},
		{APIGroups: every, Resources: []string{"workspaces", "workspacetemplates", "workspacemembers"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{"monitoring.kubesphere.io", "metering.kubesphere.io", "monitoring.coreos.com"}, Resources: []string{"namespaces"}, Verbs: []string{"list"}},
	}
	create(t, c, &iamv1alpha2.WorkspaceRole{ObjectMeta: metav1.ObjectMeta{Name: "pw-taken-manager", Labels: map[string]string{"kubesphere.io/workspace": "pw-taken"}}, Rules: rules})
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "manager", Namespace: "pw-taken-project"}, Rules: rules[:1]})
	inWorkspace(t, "pw-manager", "pw-taken", "manager")
	inWorkspace(t, "pw-boss", "pw-taken", "admin")
	inWorkspace(t, "pw-peer", "pw-taken", "regular")
	inNamespace(t, "pw-manager", "pw-taken-project", "manager")
	inNamespace(t, "pw-boss", "pw-taken-project", "admin")
	const space, project = iamAPI + "/workspaces/pw-taken", iamAPI + "/namespaces/pw-taken-project"
	const bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/pw-taken-project/rolebindings"
	answers(t, "GET", space+"/workspacemembers", manager, 200)
	answers(t, "GET", project+"/members", manager, 200)
	answers(t, "GET", space+"/workspacemembers", owner, 200)
	const regular = `{"username":"pw-boss","roleRef":"pw-taken-regular"}`
	attempts(t, []attempt{
		{"demotes the administrator", manager, "PUT", space + "/workspacemembers/pw-boss", regular, nil, 403},
		{"adds the administrator anew", manager, "POST", space + "/workspacemembers", "[" + regular + "]", nil, 403},
		{"removes the administrator", manager, "DELETE", space + "/workspacemembers/pw-boss", "", nil, 403},
		{"deletes the binding", manager, "DELETE", space + "/workspacerolebindings/pw-boss-pw-taken", "", nil, 403},
		{"deletes the role", manager, "DELETE", space + "/workspaceroles/pw-taken-admin", "", nil, 403},
		{"empties the role", manager, "PUT", space + "/workspaceroles/pw-taken-admin", `{"metadata":{"name":"pw-taken-admin"},"rules":[]}`, nil, 403},
		{"removes the project's administrator", manager, "DELETE", project + "/members/pw-boss", "", nil, 403},
		{"demotes the project's administrator", manager, "PUT", project + "/members/pw-boss", `{"username":"pw-boss","roleRef":"manager"}`, nil, 403},
		{"deletes the binding by Kubernetes' API", manager, "DELETE", bindings + "/pw-boss-admin", "", nil, 403},
		{"deletes all of them", manager, "DELETE", bindings, "", nil, 403},
		{"empties the binding", manager, "PATCH", bindings + "/pw-boss-admin", `{"subjects":[]}`, media(merge), 403},
		{"deletes the project's role", manager, "DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/pw-taken-project/roles/admin", "", nil, 403},
		{"empties the project's role", manager, "PATCH", "/apis/rbac.authorization.k8s.io/v1/namespaces/pw-taken-project/roles/admin", `{"rules":[]}`, media(merge), 403},
		{"adds a member", manager, "POST", space + "/workspacemembers", `[{"username":"pw-guest","roleRef":"pw-taken-regular"}]`, nil, 200},
		{"removes one of less", manager, "DELETE", space + "/workspacemembers/pw-peer", "", nil, 200},
		{"leaves the project", manager, "DELETE", bindings + "/pw-manager-manager", "", nil, 200},
		{"the administrator demotes the manager", owner, "PUT", space + "/workspacemembers/pw-manager", `{"username":"pw-manager","roleRef":"pw-taken-regular"}`, nil, 200},
		{"and removes the guest", owner, "DELETE", space + "/workspacemembers/pw-guest", "", nil, 200},
	})
}

// TestUnknownRoles: an error about a role that is not there says which are.
func TestUnknownRoles(t *testing.T) {
	t.Parallel()
	workspace(t, "pw-unknown")
	admin := shared.login(t).AccessToken
	user(t, "pw-newcomer")
	wait.For(t, "the right answer for an unknown role", func() error {
		for path, names := range map[string]string{
			"/namespaces/pw-unknown-project/members":  "admin, operator, viewer",
			"/workspaces/pw-unknown/workspacemembers": "pw-unknown-admin, pw-unknown-regular, pw-unknown-self-provisioner, pw-unknown-viewer",
		} {
			r := shared.send(t, "POST", iamAPI+path, admin, `[{"username":"pw-newcomer","roleRef":"editor"}]`)
			if r.code != 404 || !strings.Contains(string(r.body), `\"editor\" not found: the roles are `+names) {
				return fmt.Errorf("%s: %d %s", path, r.code, r.body)
			}
		}
		return nil
	})
	if r := shared.send(t, "POST", iamAPI+"/clustermembers", admin, `[{"username":"pw-newcomer","roleRef":"editor"}]`); r.code != 404 || !strings.Contains(string(r.body), "cluster-viewer") || strings.Contains(string(r.body), "role-template-") {
		t.Errorf("of the cluster: %d %s", r.code, r.body)
	}
}
