//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// applyPolicies installs the admission policies, enforced, so that all tests show
// that they refuse nothing the server does.
func applyPolicies(kubeconfig string) error {
	output, err := exec.Command("../../bin/kubectl", "--kubeconfig", kubeconfig, "apply", "-k", "../../hack/policies").CombinedOutput()
	if err != nil {
		return fmt.Errorf("admission policies: %w\n%s", err, output)
	}
	return nil
}

// direct sends requests to kube-apiserver past the server.
type direct struct {
	url    string
	client *http.Client
}

// newDirect returns a client with a token of a service account.
func newDirect(t *testing.T, token string) *direct {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config = rest.AnonymousClientConfig(config)
	config.BearerToken = token
	return newDirectFor(t, config)
}

// newDirectUser returns a client that acts as a user whom Kubernetes authenticates
// itself.
func newDirectUser(t *testing.T, name string) *direct {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate = rest.ImpersonationConfig{UserName: name}
	return newDirectFor(t, config)
}

func newDirectFor(t *testing.T, config *rest.Config) *direct {
	t.Helper()
	c, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return &direct{url: config.Host, client: c}
}

func (d *direct) send(t *testing.T, method, path, media, body string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if media == "" {
		media = "application/json"
	}
	request.Header.Set("Content-Type", media)
	response, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, content}
}

// directAttempt is a request to kube-apiserver: refused by a policy in these words,
// or answered with the code when there are none.
type directAttempt struct {
	name                      string
	by                        *direct
	method, path, media, body string
	refusal                   string
	code                      int
}

func directAttempts(t *testing.T, all []directAttempt) {
	t.Helper()
	for _, test := range all {
		t.Run(test.name, func(t *testing.T) {
			r := test.by.send(t, test.method, test.path, test.media, test.body)
			if test.refusal == "" {
				if r.code != test.code {
					t.Errorf("%s %s: got %d %.400s, want %d", test.method, test.path, r.code, r.body, test.code)
				}
				return
			}
			got := decode[metav1.Status](t, r)
			if r.code != 403 || got.Reason != metav1.StatusReasonForbidden || !strings.Contains(got.Message, "ValidatingAdmissionPolicy") || !strings.Contains(got.Message, test.refusal) {
				t.Errorf("%s %s: got %d %s %q, want a policy to refuse it with %q", test.method, test.path, r.code, got.Reason, got.Message, test.refusal)
			}
		})
	}
}

// bindInNamespace gives a service account of a namespace a role there.
func bindInNamespace(t *testing.T, namespace, account, role string) {
	t.Helper()
	create(t, kubernetes(t, ""), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account + "-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	})
}

// bindInCluster gives a service account a cluster role.
func bindInCluster(t *testing.T, namespace, account, role string) {
	t.Helper()
	create(t, kubernetes(t, ""), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace + "-" + account + "-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	})
}

// waitForPolicy waits until a policy refuses what it must: kube-apiserver learns of
// policies, and of roles, a moment after they are written.
func waitForPolicy(t *testing.T, by *direct, method, path, media, body string) {
	t.Helper()
	wait.For(t, "the policies to be in force", func() error {
		if r := by.send(t, method, path, media, body); r.code != 403 || !strings.Contains(string(r.body), "ValidatingAdmissionPolicy") {
			return fmt.Errorf("%d %.300s", r.code, r.body)
		}
		return nil
	})
}

// everything are the rules of the role admin of KubeSphere 3.x.
func everything() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
}

const (
	strategic = "application/strategic-merge-patch+json"
	serverSet = "application/apply-patch+yaml"
)

// TestPoliciesInProjects: a service account with the role admin of a project, which
// KubeSphere 3.x made "*" on "*", goes straight to kube-apiserver. Neither the
// namespace's place in the platform nor what the platform keeps in it are its own.
func TestPoliciesInProjects(t *testing.T) {
	t.Parallel()
	workspace(t, "pol-ws")
	c := kubernetes(t, "")
	const namespace, project = "pol-ws-project", "/api/v1/namespaces/pol-ws-project"
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "everything"}, Rules: everything()})
	builder := newDirect(t, serviceAccountToken(t, namespace, "builder"))
	bindInNamespace(t, namespace, "builder", "everything")
	person := newDirectUser(t, "pol-person")
	inNamespaceDirectly(t, "pol-person", namespace, "everything")
	waitForPolicy(t, builder, "PATCH", project+"?dryRun=All", merge, `{"metadata":{"labels":{"kubesphere.io/workspace":"pol-other"}}}`)
	waitForPolicy(t, person, "PATCH", project+"?dryRun=All", merge, `{"metadata":{"labels":{"kubesphere.io/workspace":"pol-other"}}}`)

	create(t, c, &quotav1alpha2.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "pol-quota"},
		Spec: quotav1alpha2.ResourceQuotaSpec{
			LabelSelector: map[string]string{"kubesphere.io/workspace": "pol-ws"},
			Quota:         corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("20")}},
		},
	})
	wait.For(t, "the part of the quota to be made and counted", func() error {
		part := &corev1.ResourceQuota{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "workspace-pol-quota"}, part); err != nil {
			return err
		}
		if len(part.Status.Used) == 0 {
			return fmt.Errorf("nothing is counted: %+v", part.Status)
		}
		return nil
	})
	create(t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "pol-counts"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get", "patch"}, APIGroups: []string{""}, Resources: []string{"resourcequotas", "resourcequotas/status"}}}})
	counter := newDirect(t, serviceAccountToken(t, namespace, "counter")) // a component, which has the power
	bindInCluster(t, namespace, "counter", "pol-counts")
	ours := map[string]string{"app.kubernetes.io/managed-by": "ks-apiserver", "pol": "a"}
	create(t, c, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pol-kept", Labels: ours},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "viewer"}, Subjects: []rbacv1.Subject{subjectUser("pol-nobody")},
	})
	create(t, c, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pol-kept", Labels: ours}})
	const (
		quotas   = project + "/resourcequotas"
		bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/rolebindings"
		roles    = "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/roles"
		networks = "/apis/networking.k8s.io/v1/namespaces/" + namespace + "/networkpolicies"
		place    = "the label kubesphere.io/workspace"
		security = "the label pod-security.kubernetes.io/enforce"
		quotaOf  = `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"pol-own"%s},"spec":{"hard":{%s}}}`
		binding  = `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"pol-own"%s},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"viewer"}}`
		network  = `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"pol-own"%s},"spec":{"podSelector":{}}}`
		managed  = `,"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}`
	)
	whole := strings.ReplaceAll(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NS","labels":{"kubernetes.io/metadata.name":"NS"}},"spec":{"finalizers":[]}}`, "NS", namespace)
	directAttempts(t, []directAttempt{
		{"into another workspace", builder, "PATCH", project, merge, `{"metadata":{"labels":{"kubesphere.io/workspace":"pol-other"}}}`, place, 0},
		{"out of its workspace", builder, "PATCH", project, merge, `{"metadata":{"labels":{"kubesphere.io/workspace":null}}}`, place, 0},
		{"by an update", builder, "PUT", project, "", whole, place, 0},
		{"by a JSON patch", builder, "PATCH", project, "application/json-patch+json", `[{"op":"remove","path":"/metadata/labels/kubesphere.io~1workspace"}]`, place, 0},
		{"by a dry run", builder, "PATCH", project + "?dryRun=All", strategic, `{"metadata":{"labels":{"kubesphere.io/workspace":"pol-other"}}}`, place, 0},
		{"a person with credentials of Kubernetes", person, "PATCH", project, merge, `{"metadata":{"labels":{"kubesphere.io/workspace":"pol-other"}}}`, place, 0},
		{"privileged pods, by apply", builder, "PATCH", project + "?fieldManager=pol&force=true", serverSet, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"` + namespace + `","labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`, security, 0},
		{"privileged pods, through the status", builder, "PATCH", project + "/status", merge, `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`, "write status of a namespace", 0},
		{"a DevOps project", builder, "PATCH", project, merge, `{"metadata":{"labels":{"kubesphere.io/devopsproject":"a"}}}`, "the label kubesphere.io/devopsproject", 0},
		{"its creator's turn again", builder, "PATCH", project, merge, `{"metadata":{"labels":{"kubesphere.io/namespace":"x"}}}`, "the label kubesphere.io/namespace", 0},
		{"another creator", builder, "PATCH", project, merge, `{"metadata":{"annotations":{"kubesphere.io/creator":"pol-person"}}}`, "the annotation kubesphere.io/creator", 0},
		{"as if the server kept it", builder, "PATCH", project, merge, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}}}`, "the label app.kubernetes.io/managed-by", 0},
		{"a finalizer", builder, "PATCH", project, merge, `{"metadata":{"finalizers":["example.com/never"]}}`, "metadata.finalizers", 0},
		{"an owner", builder, "PATCH", project, merge, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"a","uid":"b"}]}}`, "metadata.ownerReferences", 0},
		{"finalized", builder, "PUT", project + "/finalize", "", whole, "write finalize of a namespace", 0},
		{"its own labels and annotations", builder, "PATCH", project, merge, `{"metadata":{"labels":{"team":"a","app.kubernetes.io/managed-by":"Helm"},"annotations":{"team":"a"}}}`, "", 200},
		{"no labels at all", builder, "PATCH", project + "?dryRun=All", "application/json-patch+json", `[{"op":"remove","path":"/metadata/labels"}]`, place, 0},

		{"a forged part of a quota", builder, "POST", quotas, "", fmt.Sprintf(quotaOf, `,"labels":{"quota.kubesphere.io/resourcequota":"a"}`, `"pods":"1"`), "quota.kubesphere.io/resourcequota", 0},
		{"a part widened", builder, "PATCH", quotas + "/workspace-pol-quota", merge, `{"spec":{"hard":{"pods":"9999"}}}`, "quota.kubesphere.io/resourcequota", 0},
		{"a part unlabelled", builder, "PATCH", quotas + "/workspace-pol-quota", merge, `{"metadata":{"labels":null}}`, "quota.kubesphere.io/resourcequota", 0},
		{"what a part says is used", counter, "PATCH", quotas + "/workspace-pol-quota/status", merge, `{"status":{"used":{"pods":"0"}}}`, "quota.kubesphere.io/resourcequota", 0},
		{"a part deleted", builder, "DELETE", quotas + "/workspace-pol-quota", "", "", `resourcequotas "workspace-pol-quota"`, 0},
		{"all quotas deleted", builder, "DELETE", quotas, "", "", `resourcequotas "workspace-pol-quota"`, 0},
		{"a quota of bindings", builder, "POST", quotas, "", fmt.Sprintf(quotaOf, "", `"count/rolebindings.rbac.authorization.k8s.io":"1"`), "spec.hard[count/rolebindings.rbac.authorization.k8s.io]", 0},
		{"a quota of its own", builder, "POST", quotas, "", fmt.Sprintf(quotaOf, "", `"pods":"10"`), "", 201},
		{"a change of it into one of bindings", builder, "PATCH", quotas + "/pol-own", merge, `{"spec":{"hard":{"count/rolebindings.rbac.authorization.k8s.io":"1"}}}`, "spec.hard[", 0},
		{"a change of it", builder, "PATCH", quotas + "/pol-own", merge, `{"spec":{"hard":{"pods":"11"}}}`, "", 200},
		{"deleted", builder, "DELETE", quotas + "/pol-own", "", "", "", 200},

		{"a forged binding of the platform", builder, "POST", bindings, "", fmt.Sprintf(binding, managed), "app.kubernetes.io/managed-by", 0},
		{"one deleted", builder, "DELETE", bindings + "/pol-kept", "", "", `rolebindings "pol-kept"`, 0},
		{"one unlabelled", builder, "PATCH", bindings + "/pol-kept", merge, `{"metadata":{"labels":null}}`, "app.kubernetes.io/managed-by", 0},
		{"many deleted", builder, "DELETE", bindings + "?labelSelector=pol%3Da", "", "", `rolebindings "pol-kept"`, 0},
		{"a binding with a name of the platform", builder, "POST", bindings, "", strings.ReplaceAll(fmt.Sprintf(binding, ""), "pol-own", "kubesphere:own"), "the name is reserved", 0},
		{"a role with a name of the platform", builder, "POST", roles, "", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"kubesphere:own"}}`, "the name is reserved", 0},
		{"a role as if it came with the platform", builder, "POST", roles, "", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"pol-own","annotations":{"kubesphere.io/creator":"system"}}}`, "kubesphere.io/creator: system", 0},
		{"a binding of its own", builder, "POST", bindings, "", fmt.Sprintf(binding, ""), "", 201},
		{"deleted, too", builder, "DELETE", bindings + "/pol-own", "", "", "", 200},
		{"the policy of isolation", builder, "DELETE", networks + "/pol-kept", "", "", `networkpolicies "pol-kept"`, 0},
		{"all policies of isolation", builder, "DELETE", networks, "", "", `networkpolicies "pol-kept"`, 0},
		{"changed", builder, "PATCH", networks + "/pol-kept", merge, `{"spec":{"ingress":[{}]}}`, `networkpolicies "pol-kept"`, 0},
		{"a policy of its own", builder, "POST", networks, "", fmt.Sprintf(network, ""), "", 201},
		{"deleted as well", builder, "DELETE", networks + "/pol-own", "", "", "", 200},
	})

	// Through the server its own decision counts, as before.
	boss, admin := user(t, "pol-boss"), shared.login(t).AccessToken
	inWorkspace(t, "pol-boss", "pol-ws", "admin")
	answers(t, "GET", project, boss, 200)
	answers(t, "GET", quotas, boss, 200)
	attempts(t, []attempt{
		{"a manager moves the project", boss, "PATCH", project, `{"metadata":{"labels":{"kubesphere.io/workspace":"pol-other"}}}`, media(merge), 403},
		{"a manager labels the project", boss, "PATCH", project, `{"metadata":{"labels":{"team":"b"}}}`, media(merge), 200},
		{"a manager deletes the part of a quota", boss, "DELETE", quotas + "/workspace-pol-quota", "", nil, 403},
		{"an administrator allows more to pods", admin, "PATCH", project, `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"baseline"}}}`, media(merge), 200},
		{"an administrator deletes the part of a quota", admin, "DELETE", quotas + "/workspace-pol-quota", "", nil, 200},
	})
}

// inNamespaceDirectly gives a user of Kubernetes, without an account here, a role of a namespace.
func inNamespaceDirectly(t *testing.T, name, namespace, role string) {
	t.Helper()
	create(t, kubernetes(t, ""), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + role, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role}, Subjects: []rbacv1.Subject{subjectUser(name)},
	})
}

// TestPoliciesLetKubernetesWork: a namespace with what the policies look at is made,
// its deployment rolled out and deleted, its quota counted, and the namespace
// finished, by Kubernetes' own controllers.
func TestPoliciesLetKubernetesWork(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	const name = "pol-works"
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "everything"}, Rules: everything()})
	builder := newDirect(t, serviceAccountToken(t, name, "builder"))
	bindInNamespace(t, name, "builder", "everything")
	project := "/api/v1/namespaces/" + name
	waitForPolicy(t, builder, "PATCH", project+"?dryRun=All", merge, `{"metadata":{"labels":{"kubesphere.io/workspace":"pol-other"}}}`)
	create(t, c, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "part"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("20")}},
	})
	// Pods that are made before that are counted again much later.
	wait.For(t, "the quota to count", func() error {
		quota := &corev1.ResourceQuota{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: name, Name: "part"}, quota); err != nil {
			return err
		}
		if _, counts := quota.Status.Used[corev1.ResourcePods]; !counts {
			return errors.New("it has no status")
		}
		return nil
	})
	deployments := "/apis/apps/v1/namespaces/" + name + "/deployments"
	directAttempts(t, []directAttempt{{"a deployment", builder, "POST", deployments, "", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"a","image":"a"}]}}}}`, "", 201}})
	wait.For(t, "the deployment to be available and counted", func() error {
		deployment, quota := &appsv1.Deployment{}, &corev1.ResourceQuota{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: name, Name: "a"}, deployment); err != nil {
			return err
		}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: name, Name: "part"}, quota); err != nil {
			return err
		}
		if used := quota.Status.Used[corev1.ResourcePods]; deployment.Status.AvailableReplicas != 2 || used.Value() != 2 {
			return fmt.Errorf("%d are available, %s used", deployment.Status.AvailableReplicas, used.String())
		}
		return nil
	})
	directAttempts(t, []directAttempt{{"the deployment deleted", builder, "DELETE", deployments + "/a", "", `{"propagationPolicy":"Background"}`, "", 200}})
	wait.For(t, "the pods to be collected", func() error {
		pods := &corev1.PodList{}
		if err := c.List(t.Context(), pods, client.InNamespace(name)); err != nil {
			return err
		}
		if len(pods.Items) > 0 {
			return fmt.Errorf("there are %d", len(pods.Items))
		}
		return nil
	})
	directAttempts(t, []directAttempt{{"the namespace deleted by its service account", builder, "DELETE", project, "", "", "", 200}})
	wait.For(t, "the namespace to be gone", func() error {
		err := c.Get(context.WithoutCancel(t.Context()), client.ObjectKey{Name: name}, &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// answersDirectly asks kube-apiserver until the code is the wanted one.
func answersDirectly(t *testing.T, by *direct, method, path string, code int) {
	t.Helper()
	wait.For(t, fmt.Sprintf("%s %s to answer %d", method, path, code), func() error {
		return expect(by.send(t, method, path, "", ""), code)
	})
}
