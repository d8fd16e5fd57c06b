//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestPoliciesOfThePlatform: a service account with all rights in Kubernetes does not
// reach the platform's own objects by writes; an administrator of Kubernetes does.
func TestPoliciesOfThePlatform(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pol-tools"}})
	operator := newDirect(t, serviceAccountToken(t, "pol-tools", "operator"))
	bindInCluster(t, "pol-tools", "operator", "cluster-admin")
	root := newDirectUser(t, "pol-root")
	inCluster(t, "pol-root", "cluster-admin")
	own := newDirect(t, serviceAccountToken(t, "kubesphere-system", "pol-installer"))
	bindInCluster(t, "kubesphere-system", "pol-installer", "cluster-admin")
	const (
		system   = "/api/v1/namespaces/kubesphere-system"
		dry      = "?dryRun=All"
		secret   = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pol-secret"}}`
		platform = "belongs to the platform"
		everyone = "it gives a role to everybody"
		open     = "/apis/rbac.authorization.k8s.io/v1/namespaces/pol-tools/rolebindings"
		rbac     = "/apis/rbac.authorization.k8s.io/v1"
		webhooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
		services = "/apis/apiregistration.k8s.io/v1/apiservices"
		crds     = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
		decides  = "it decides about rights on the platform"
		sees     = "its webhooks see or change requests"
	)
	waitForPolicy(t, operator, "POST", system+"/secrets"+dry, "", secret)
	create(t, c, &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "pol-kept", Labels: map[string]string{"pol": "a"}}, Subjects: []rbacv1.Subject{subjectUser("pol-nobody")},
		RoleRef: rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "GlobalRole", Name: "platform-regular"},
	})
	create(t, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kubesphere-system", Name: "pol-pod"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}})
	webhook := func(rule, more string) string {
		return fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"pol-hook"},"webhooks":[{"name":"a.example.com",
			"rules":[%s],"sideEffects":"None","admissionReviewVersions":["v1"],"failurePolicy":"Ignore","clientConfig":{"url":"https://127.0.0.1:1/"}%s}]}`, rule, more)
	}
	rule := func(group, resource string) string {
		return fmt.Sprintf(`{"apiGroups":[%q],"apiVersions":["*"],"operations":["CREATE"],"resources":[%q]}`, group, resource)
	}
	apiService := func(group string) string {
		return fmt.Sprintf(`{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v9.%[1]s"},"spec":{"group":%[1]q,"version":"v9","groupPriorityMinimum":1,"versionPriority":1,"service":{"namespace":"pol-tools","name":"a"}}}`, group)
	}
	clusterRole := func(name, metadata string) string {
		return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q%s}}`, name, metadata)
	}
	subject := func(kind, name string) string {
		return fmt.Sprintf(`{"apiGroup":"rbac.authorization.k8s.io","kind":%q,"name":%q}`, kind, name)
	}
	bound := func(subjects string) string {
		return `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"pol-open"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"subjects":[` + subjects + `]}`
	}
	token := `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`
	directAttempts(t, []directAttempt{
		{"a secret", operator, "POST", system + "/secrets", "", secret, platform, 0},
		{"the signing keys deleted", operator, "DELETE", system + "/secrets/ks-apiserver-signing-keys" + dry, "", "", platform, 0},
		{"all secrets deleted", operator, "DELETE", system + "/secrets" + dry, "", "", platform, 0},
		{"configuration", operator, "PATCH", system + "/configmaps/ks-apiserver-setup" + dry, merge, `{"data":{"a":"b"}}`, platform, 0},
		{"applied", operator, "PATCH", system + "/configmaps/pol-config?fieldManager=pol", serverSet, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"pol-config"}}`, platform, 0},
		{"a token", operator, "POST", system + "/serviceaccounts/default/token", "", token, platform, 0},
		{"a pod", operator, "POST", system + "/pods", "", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pol-mounts"},"spec":{"containers":[{"name":"a","image":"a"}]}}`, platform, 0},
		{"a namespace of terminals", operator, "POST", "/api/v1/namespaces" + dry, "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kubesphere-terminals"}}`, platform, 0},
		{"a command", operator, "POST", system + "/pods/pol-pod/exec?command=id&stdout=true", "", "", platform, 0},
		{"a proxy", operator, "GET", system + "/pods/pol-pod/proxy/", "", "", platform, 0},
		{"a deployment", operator, "POST", "/apis/apps/v1/namespaces/kubesphere-system/deployments", "", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"pol"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a"}]}}}}`, platform, 0},
		{"a role there", operator, "POST", rbac + "/namespaces/kubesphere-system/rolebindings", "", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"pol"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"admin"}}`, platform, 0},
		{"the namespace", operator, "PATCH", system, merge, `{"metadata":{"labels":{"a":"b"}}}`, platform, 0},
		{"the namespace deleted", operator, "DELETE", system + dry, "", "", platform, 0},
		{"the namespace finalized", operator, "PUT", system + "/finalize" + dry, "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kubesphere-system"},"spec":{"finalizers":[]}}`, "namespace", 0},
		{"an event", operator, "POST", system + "/events", "", `{"apiVersion":"v1","kind":"Event","metadata":{"name":"pol"},"involvedObject":{"kind":"Pod","namespace":"kubesphere-system","name":"pol-pod"}}`, "", 201},
		{"admission sees no reads", operator, "GET", system + "/configmaps/ks-apiserver-setup", "", "", "", 200},
		{"an account of the namespace itself", own, "POST", system + "/secrets" + dry, "", secret, "", 201},
		{"an administrator of Kubernetes", root, "POST", system + "/secrets" + dry, "", secret, "", 201},
		{"elsewhere", operator, "POST", "/api/v1/namespaces/pol-tools/secrets", "", secret, "", 201},

		{"a role on the platform", operator, "POST", "/apis/iam.kubesphere.io/v1alpha2/globalrolebindings", "", `{"apiVersion":"iam.kubesphere.io/v1alpha2","kind":"GlobalRoleBinding","metadata":{"name":"pol"},"roleRef":{"apiGroup":"iam.kubesphere.io","kind":"GlobalRole","name":"platform-admin"},"subjects":[{"kind":"User","name":"pol-nobody"}]}`, decides, 0},
		{"bindings on the platform deleted", operator, "DELETE", "/apis/iam.kubesphere.io/v1alpha2/globalrolebindings?labelSelector=pol%3Da", "", "", `globalrolebindings.iam.kubesphere.io "pol-kept"`, 0},
		{"a user", operator, "PATCH", "/apis/iam.kubesphere.io/v1alpha2/users/admin" + dry, merge, `{"metadata":{"labels":{"a":"b"}}}`, decides, 0},
		{"a user's password, by the status", operator, "PATCH", "/apis/iam.kubesphere.io/v1alpha2/users/admin" + dry, merge, `{"spec":{"password":"x"}}`, decides, 0},
		{"a workspace", operator, "DELETE", "/apis/tenant.kubesphere.io/v1alpha1/workspaces/system-workspace" + dry, "", "", decides, 0},
		{"an administrator of Kubernetes writes users", root, "PATCH", "/apis/iam.kubesphere.io/v1alpha2/users/admin" + dry, merge, `{"metadata":{"labels":{"a":"b"}}}`, "", 200},
		{"a webhook for accounts", operator, "POST", webhooks, "", webhook(rule("iam.kubesphere.io", "users"), ""), sees, 0},
		{"a webhook for everything", operator, "POST", webhooks, "", webhook(rule("*", "*"), ""), sees, 0},
		{"a webhook for roles", operator, "POST", webhooks, "", webhook(rule("rbac.authorization.k8s.io", "roles"), ""), sees, 0},
		{"a webhook for secrets", operator, "POST", webhooks, "", webhook(rule("", "secrets"), ""), sees, 0},
		{"a webhook for secrets of some namespaces", operator, "POST", webhooks, "", webhook(rule("", "secrets"), `,"namespaceSelector":{"matchLabels":{"a":"b"}}`), sees, 0},
		{"a webhook for secrets elsewhere", operator, "POST", webhooks + dry, "", webhook(rule("", "secrets"), `,"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kubesphere-system","kubesphere-controls-system","kubesphere-terminals"]}]}`), "", 201},
		{"a webhook for types of its own", operator, "POST", webhooks, "", webhook(rule("example.com", "*"), ""), "", 201},
		{"which becomes one for accounts", operator, "PATCH", webhooks + "/pol-hook", merge, webhook(rule("tenant.kubesphere.io", "*"), ""), sees, 0},
		{"and goes", operator, "DELETE", webhooks + "/pol-hook", "", "", "", 200},
		{"an APIService of the platform's types", operator, "POST", services, "", apiService("iam.kubesphere.io"), "it serves a group of the platform", 0},
		{"one of Kubernetes' types", operator, "POST", services, "", apiService("apps"), "it serves a group of the platform or of Kubernetes", 0},
		{"one of metrics", operator, "POST", services + dry, "", apiService("custom.metrics.k8s.io"), "", 201},
		{"a definition of the platform", operator, "PATCH", crds + "/users.iam.kubesphere.io" + dry, merge, `{"metadata":{"labels":{"a":"b"}}}`, "it defines a type of the platform", 0},
		{"deleted", operator, "DELETE", crds + "/users.iam.kubesphere.io" + dry, "", "", "it defines a type of the platform", 0},
		{"a cluster role of a reserved name", operator, "POST", rbac + "/clusterroles", "", clusterRole("kubesphere:rules:pol", ""), "the name is reserved", 0},
		{"a template", operator, "POST", rbac + "/clusterroles", "", clusterRole("role-template-pol", ""), "the name is reserved", 0},
		{"a cluster role of the server's label", operator, "POST", rbac + "/clusterroles", "", clusterRole("pol-role", `,"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}`), "app.kubernetes.io/managed-by: ks-apiserver", 0},
		{"a cluster role of its own", operator, "POST", rbac + "/clusterroles" + dry, "", clusterRole("pol-role", ""), "", 201},
		{"a role for visitors", operator, "POST", open, "", bound(subject("User", "system:anonymous")), everyone, 0},
		{"for their group", operator, "POST", open, "", bound(subject("User", "pol-nobody") + "," + subject("Group", "system:unauthenticated")), everyone, 0},
		{"for all service accounts", operator, "POST", open, "", bound(subject("Group", "system:serviceaccounts")), everyone, 0},
		{"applied for all users", operator, "PATCH", open + "/pol-open?fieldManager=pol", serverSet, bound(subject("Group", "system:authenticated")), everyone, 0},
		{"without subjects", operator, "POST", open + dry, "", bound(""), "", 201},
		{"for the service accounts of a namespace", operator, "POST", open + dry, "", bound(subject("Group", "system:serviceaccounts:pol-tools")), "", 201},
		{"for all users, by an administrator of Kubernetes", root, "POST", open, "", bound(subject("Group", "system:authenticated")), "", 201},
		{"which stays", operator, "PATCH", open + "/pol-open", merge, `{"metadata":{"labels":{"a":"b"}}}`, "", 200},
		{"with another user", operator, "PATCH", open + "/pol-open", merge, `{"subjects":[` + subject("Group", "system:authenticated") + "," + subject("User", "pol-nobody") + `]}`, "", 200},
		{"and visitors", operator, "PATCH", open + "/pol-open", merge, `{"subjects":[` + subject("Group", "system:authenticated") + "," + subject("User", "system:anonymous") + `]}`, everyone, 0},
		{"and goes", operator, "PATCH", open + "/pol-open", merge, `{"subjects":[` + subject("User", "pol-nobody") + `]}`, "", 200},
		{"and comes no more", operator, "PATCH", open + "/pol-open", merge, `{"subjects":[` + subject("Group", "system:authenticated") + `]}`, everyone, 0},
		{"is deleted", operator, "DELETE", open + "/pol-open", "", "", "", 200},
		{"how the server acts as others", operator, "DELETE", rbac + "/clusterrolebindings/ks-apiserver-impersonation" + dry, "", "", "the name is reserved", 0},
	})
}

// TestPolicyOfConnections: the right to read is none to connect.
func TestPolicyOfConnections(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	const namespace, project = "pol-connect", "/api/v1/namespaces/pol-connect"
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	every := []string{"*"}
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reads"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get", "list", "watch"}, APIGroups: every, Resources: every}}})
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "writes"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get", "create"}, APIGroups: every, Resources: every}}})
	create(t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "pol-reads-nodes"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"nodes", "nodes/proxy"}}}})
	viewer, writer := newDirect(t, serviceAccountToken(t, namespace, "viewer")), newDirect(t, serviceAccountToken(t, namespace, "writer"))
	bindInNamespace(t, namespace, "viewer", "reads")
	bindInCluster(t, namespace, "viewer", "pol-reads-nodes")
	bindInNamespace(t, namespace, "writer", "writes")
	create(t, c, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
	waitForPolicy(t, viewer, "GET", project+"/services/a/proxy/", "", "")
	waitForPolicy(t, viewer, "GET", "/api/v1/nodes/node-1/proxy/pods", "", "")
	directAttempts(t, []directAttempt{
		{"a service", viewer, "GET", project + "/services/a/proxy/", "", "", "it takes the verb create", 0},
		{"a pod", viewer, "GET", project + "/pods/a/proxy/", "", "", `cannot connect to pods/proxy of "a"`, 0},
		{"a kubelet", viewer, "GET", "/api/v1/nodes/node-1/proxy/pods", "", "", `cannot connect to nodes/proxy of "node-1"`, 0},
		{"no endpoints for who may", writer, "GET", project + "/services/a/proxy/", "", "", "", 503},
	})
}

// TestPolicyOfPowers: a service account with the role of a project's administrator has what
// the role says and no powers, which the "*" of its resources includes for Kubernetes; a
// component with a cluster role has them.
func TestPolicyOfPowers(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	const namespace, at = "pol-powers", "/api/v1/namespaces/pol-powers"
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	every := []string{"*"}
	rules := []rbacv1.PolicyRule{{Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"}, APIGroups: every, Resources: every}}
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "admin"}, Rules: rules})
	create(t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "pol-component"}, Rules: rules})
	robot, component := newDirect(t, serviceAccountToken(t, namespace, "robot")), newDirect(t, serviceAccountToken(t, namespace, "component"))
	bindInNamespace(t, namespace, "robot", "admin")
	bindInCluster(t, namespace, "component", "pol-component")
	create(t, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}})
	const (
		dry      = "?dryRun=All"
		takes    = "it takes the right in the whole cluster"
		external = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"taken"},"spec":{"ports":[{"port":80}],"externalIPs":["192.0.2.1"]}}`
		plain    = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"type":"LoadBalancer","ports":[{"port":80}]}}`
		token    = `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`
		secret   = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"token","annotations":{"kubernetes.io/service-account.name":"robot"}},"type":"kubernetes.io/service-account-token"}`
		bound    = `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"a"},"target":{"kind":"Node","name":"node-1"}}`
		address  = `{"status":{"podIP":"192.0.2.1","podIPs":[{"ip":"192.0.2.1"}]}}`
	)
	waitForPolicy(t, robot, "POST", at+"/serviceaccounts/robot/token"+dry, "", token)
	waitForPolicy(t, robot, "POST", at+"/services"+dry, "", external)
	directAttempts(t, []directAttempt{
		{"the address of a service", robot, "POST", at + "/services", "", external, takes, 0},
		{"a service", robot, "POST", at + "/services", "", plain, "", 201},
		{"the address of one that is there", robot, "PATCH", at + "/services/web", merge, `{"spec":{"externalIPs":["192.0.2.1"]}}`, takes, 0},
		{"its other fields", robot, "PATCH", at + "/services/web", merge, `{"metadata":{"labels":{"a":"b"}}}`, "", 200},
		{"the addresses of a load balancer", robot, "PATCH", at + "/services/web/status", merge, `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}`, takes, 0},
		{"the address of a pod", robot, "PATCH", at + "/pods/a/status" + dry, merge, address, takes, 0},
		{"a quota", robot, "POST", at + "/resourcequotas", "", `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"own"},"spec":{"hard":{"pods":"9"}}}`, "", 201},
		{"what it says is used", robot, "PATCH", at + "/resourcequotas/own/status", merge, `{"status":{"used":{"pods":"0"}}}`, takes, 0},
		{"a token", robot, "POST", at + "/serviceaccounts/robot/token", "", token, takes, 0},
		{"a token in a secret", robot, "POST", at + "/secrets", "", secret, takes, 0},
		{"another secret", robot, "POST", at + "/secrets" + dry, "", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"plain"}}`, "", 201},
		{"where a pod runs", robot, "POST", at + "/pods/a/binding" + dry, "", bound, takes, 0},
		{"and at the older path", robot, "POST", at + "/bindings" + dry, "", bound, takes, 0},
		{"a component has the right", component, "PATCH", at + "/services/web/status", merge, `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}`, "", 200},
		{"to set addresses, too", component, "POST", at + "/services" + dry, "", external, "", 201},
	})
}

// TestPolicyOfTheOwnAccount: the service account of the server gives nobody everything nor
// powers, and writes nothing of Kubernetes', whatever RBAC gives it.
func TestPolicyOfTheOwnAccount(t *testing.T) {
	t.Parallel()
	own := newDirect(t, ownToken(t))
	const roles, bindings, dry = "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "?dryRun=All"
	role := func(name, rule string) string {
		return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q},"rules":[%s]}`, name, rule)
	}
	binding := func(name, role, kind, subject string) string {
		return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":%q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%q},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":%q,"name":%q}]}`, name, role, kind, subject)
	}
	reads := `{"verbs":["get","list"],"apiGroups":["","apps"],"resources":["*"]}`
	c := kubernetes(t, "")
	create(t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "pol-everything"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}})
	create(t, c, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "pol-admins"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{subjectUser("pol-a"), subjectUser("pol-b")},
	})
	waitForPolicy(t, own, "POST", roles+dry, "", role("system:pol", reads))
	const powers, ofKubernetes, subjects = "gives neither all verbs nor writes in all groups nor the verbs", "does not write the roles and bindings of Kubernetes", "binds no roles named system:"
	directAttempts(t, []directAttempt{
		{"a role of the platform", own, "POST", roles + dry, "", role("kubesphere:rules:pol", reads), "", 201},
		{"a role of the cluster", own, "POST", roles + dry, "", role("pol", reads), "", 201},
		{"a role of Kubernetes", own, "POST", roles + dry, "", role("system:pol", reads), ofKubernetes, 0},
		{"its own role", own, "PATCH", roles + "/ks-apiserver" + dry, merge, `{"rules":[]}`, ofKubernetes, 0},
		{"its own binding", own, "DELETE", bindings + "/ks-apiserver" + dry, "", "", ofKubernetes, 0},
		{"all verbs", own, "POST", roles + dry, "", role("kubesphere:rules:pol", `{"verbs":["*"],"apiGroups":[""],"resources":["pods"]}`), powers, 0},
		{"writes in all groups", own, "POST", roles + dry, "", role("kubesphere:rules:pol", `{"verbs":["get","create"],"apiGroups":["*"],"resources":["pods"]}`), powers, 0},
		{"reads in all groups", own, "POST", roles + dry, "", role("kubesphere:rules:pol", `{"verbs":["get"],"apiGroups":["*"],"resources":["pods"]}`), "", 201},
		{"a power", own, "POST", roles + dry, "", role("kubesphere:rules:pol", `{"verbs":["escalate"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"]}`), powers, 0},
		{"a derived power", own, "POST", roles + dry, "", role("kubesphere:rules:pol", `{"verbs":["impersonate:user-info"],"apiGroups":[""],"resources":["users"]}`), powers, 0},
		{"rules of others", own, "POST", roles + dry, "", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"pol"},"aggregationRule":{"clusterRoleSelectors":[{}]}}`, powers, 0},
		{"paths", own, "POST", roles + dry, "", role("kubesphere:rules:pol", `{"verbs":["get"],"nonResourceURLs":["/version"]}`), "", 201},
		{"what a role is called that keeps its rules", own, "PATCH", roles + "/pol-everything" + dry, merge, `{"metadata":{"labels":{"a":"b"}}}`, "", 200},
		{"that and more", own, "PATCH", roles + "/pol-everything" + dry, merge, `{"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["pods"]}]}`, powers, 0},
		{"a note on a role of Kubernetes", own, "PATCH", roles + "/cluster-admin" + dry, merge, `{"metadata":{"annotations":{"a":"b"}}}`, "", 200},
		{"its rules", own, "PATCH", roles + "/view" + dry, merge, `{"rules":[]}`, ofKubernetes, 0},
		{"a role of Kubernetes deleted", own, "DELETE", roles + "/edit" + dry, "", "", ofKubernetes, 0},
		{"a binding of Kubernetes deleted", own, "DELETE", bindings + "/cluster-admin" + dry, "", "", ofKubernetes, 0},
		{"a group of the platform", own, "POST", bindings + dry, "", binding("kubesphere:pol", "kubesphere:rules:pol", "Group", "kubesphere:global:pol"), "", 201},
		{"by another name", own, "POST", bindings + dry, "", binding("pol", "kubesphere:rules:pol", "Group", "kubesphere:global:pol"), subjects, 0},
		{"another group by that name", own, "POST", bindings + dry, "", binding("kubesphere:pol", "kubesphere:rules:pol", "Group", "pol"), subjects, 0},
		{"a member of the cluster", own, "POST", bindings + dry, "", binding("pol", "cluster-viewer", "User", "pol"), "", 201},
		{"a role of Kubernetes to a member", own, "POST", bindings + dry, "", binding("pol", "system:node", "User", "pol"), subjects, 0},
		{"a user of Kubernetes", own, "POST", bindings + dry, "", binding("pol", "cluster-viewer", "User", "system:kube-proxy"), subjects, 0},
		{"everything to a member", own, "POST", bindings + dry, "", binding("pol", "cluster-admin", "User", "pol"), subjects, 0},
		{"administrators of the platform", own, "POST", bindings + dry, "", binding("kubesphere:pol", "cluster-admin", "Group", "kubesphere:administrators"), "", 201},
		{"others as administrators", own, "POST", bindings + dry, "", binding("kubesphere:pol", "cluster-admin", "Group", "kubesphere:global:platform-regular"), subjects, 0},
		{"one administrator less", own, "PUT", bindings + "/pol-admins" + dry, "", binding("pol-admins", "cluster-admin", "User", "pol-a"), "", 200},
		{"another administrator", own, "PUT", bindings + "/pol-admins" + dry, "", binding("pol-admins", "cluster-admin", "User", "pol-c"), subjects, 0},
	})
}
