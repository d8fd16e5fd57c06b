//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestKubernetesRefusesAsWell: a server that permits everything to everybody, as a mistake
// in its decisions might, gets nobody beyond the own roles: Kubernetes refuses. What it
// does not refuse is at the end, and in docs/architecture.md.
func TestKubernetesRefusesAsWell(t *testing.T) {
	t.Parallel()
	workspace(t, "lock-own")
	workspace(t, "lock-other")
	people := map[string]string{}
	for _, name := range []string{"lock-admin", "lock-operator", "lock-regular", "lock-watcher", "lock-people"} {
		people[name] = user(t, name)
	}
	inWorkspace(t, "lock-admin", "lock-own", "admin")
	inNamespace(t, "lock-operator", "lock-own-project", "operator")
	inCluster(t, "lock-watcher", "cluster-viewer")
	onPlatform(t, "lock-people", rbacv1.PolicyRule{APIGroups: []string{"iam.kubesphere.io"}, Resources: []string{"users"}, Verbs: []string{"*"}})
	c := kubernetes(t, "")
	const canary = "canary-of-the-other-project"
	for _, namespace := range []string{"lock-own-project", "lock-other-project"} {
		create(t, c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "lock"}, StringData: map[string]string{"a": canary}})
	}
	permissive := run(t, func(c *config.Config) { c.Authorization.Mode = config.ModeAlwaysAllow })
	if err := permissive.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	const (
		own, other  = "/api/v1/namespaces/lock-own-project", "/api/v1/namespaces/lock-other-project"
		system      = "/api/v1/namespaces/kubesphere-system"
		rbac        = "/apis/rbac.authorization.k8s.io/v1"
		configMap   = `{"metadata":{"name":"lock"}}`
		dry         = "?dryRun=All"
		namespace   = `{"metadata":{"labels":{"kubesphere.io/workspace":"lock-other"}}}`
		privileged  = `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`
		finalized   = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"lock-own-project"},"spec":{"finalizers":[]}}`
		clusterRole = `{"metadata":{"name":"lock"},"rules":[]}`
		binding     = `{"metadata":{"name":"lock"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"lock-regular"}]}`
		volume      = `{"metadata":{"name":"lock"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/"}}}`
		definition  = `{"metadata":{"name":"as.lock.example.com"},"spec":{"group":"lock.example.com","names":{"kind":"A","plural":"as"},"scope":"Cluster","versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`
		webhook     = `{"metadata":{"name":"lock"}}`
		review      = "/apis/certificates.k8s.io/v1/certificatesigningrequests/lock/approval"
	)
	type request struct {
		what, method, path, media, body string
	}
	all := []request{
		{"writes of another project", "POST", other + "/configmaps", "", configMap},
		{"pods of another project", "POST", other + "/pods", "", configMap},
		{"shells in another project", "GET", other + "/pods/lock/exec?command=sh&stdout=true", "", ""},
		{"roles of another project", "POST", rbac + "/namespaces/lock-other-project/rolebindings", "", binding},
		{"the deletion of another project", "DELETE", other + dry, "", ""},
		{"the platform's label on another project", "PATCH", other + dry, merge, namespace},
		{"the platform's label on the own project", "PATCH", own + dry, merge, namespace},
		{"the level of pods in the own project", "PATCH", own + dry, merge, privileged},
		{"the end of the own project", "PUT", own + "/finalize" + dry, "", finalized},
		{"a cluster role", "POST", rbac + "/clusterroles" + dry, "", clusterRole},
		{"everything", "POST", rbac + "/clusterrolebindings" + dry, "", binding},
		{"a volume", "POST", "/api/v1/persistentvolumes" + dry, "", volume},
		{"a node", "PATCH", "/api/v1/nodes/node-0" + dry, merge, `{"metadata":{"labels":{"a":"b"}}}`},
		{"a definition", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions" + dry, "", definition},
		{"a webhook", "POST", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations" + dry, "", webhook},
		{"a certificate", "PUT", review, "", `{"metadata":{"name":"lock"}}`},
		{"what the platform keeps", "POST", system + "/configmaps" + dry, "", configMap},
		{"the platform's keys", "PATCH", signingKeys + dry, merge, `{"data":{}}`},
		{"the platform's pods", "POST", system + "/pods" + dry, "", configMap},
		{"tokens of the platform's accounts", "POST", system + "/serviceaccounts/ks-apiserver/token", "", `{"spec":{}}`},
	}
	secrets := []request{
		{"a secret of another project", "GET", other + "/secrets/lock", "", ""},
		{"those of another project", "GET", other + "/secrets", "", ""},
		{"those of another project, watched", "GET", other + "/secrets?watch=true&timeoutSeconds=1", "", ""},
		{"those of all projects", "GET", "/api/v1/secrets", "", ""},
		{"the platform's secrets", "GET", system + "/secrets", "", ""},
		{"the keys of tokens", "GET", signingKeys, "", ""},
	}
	for name, token := range people {
		t.Run(name, func(t *testing.T) {
			wanted := all
			if name != "lock-watcher" { // Kubernetes' role for who sees everything includes them, see docs/roles.md
				wanted = append(wanted[:len(wanted):len(wanted)], secrets...)
			}
			for _, one := range wanted {
				r := permissive.send(t, one.method, one.path, token, one.body, header("Content-Type", one.media))
				if r.code != http.StatusForbidden || !strings.Contains(string(r.body), `cannot `) || strings.Contains(string(r.body), canary) {
					t.Errorf("%s: %s %s: %d %s", one.what, one.method, one.path, r.code, r.body)
				}
			}
			// The values of secrets are not answered from memory either.
			for _, path := range []string{
				"/kapis/resources.kubesphere.io/v1alpha3/namespaces/lock-other-project/secrets/lock", "/kapis/resources.kubesphere.io/v1alpha3/namespaces/lock-other-project/secrets",
				"/kapis/resources.kubesphere.io/v1alpha3/secrets?limit=-1", "/kapis/resources.kubesphere.io/v1alpha3/secrets?labelSelector=&limit=-1&fields=data",
			} {
				if r := permissive.get(t, path, bearer(token)); name != "lock-watcher" && (strings.Contains(string(r.body), canary) || strings.Contains(string(r.body), "Y2FuYXJ5")) {
					t.Errorf("%s: %d %s", path, r.code, r.body)
				}
			}
		})
	}
	t.Run("what is the caller's works", func(t *testing.T) {
		for _, one := range []struct{ name, method, path, body string }{
			{"lock-admin", "GET", own + "/secrets/lock", ""}, {"lock-admin", "POST", own + "/configmaps" + dry, configMap},
			{"lock-operator", "POST", own + "/configmaps" + dry, configMap}, {"lock-watcher", "GET", other + "/configmaps", ""},
		} {
			if r := permissive.send(t, one.method, one.path, people[one.name], one.body); r.code/100 != 2 {
				t.Errorf("%s: %s %s: %d %s", one.name, one.method, one.path, r.code, r.body)
			}
		}
	})
	// Kubernetes cannot decide about these: they are the platform's own, or read from memory.
	t.Run("the exceptions", func(t *testing.T) {
		token := people["lock-regular"]
		for _, one := range []struct{ method, path, body string }{
			{"GET", "/kapis/resources.kubesphere.io/v1alpha3/namespaces/lock-other-project/configmaps", ""},
			{"GET", "/kapis/resources.kubesphere.io/v1alpha3/namespaces/lock-other-project/secrets", ""},
			{"POST", "/api/v1/namespaces" + dry, `{"metadata":{"name":"lock-third","labels":{"kubesphere.io/workspace":"lock-other"}}}`},
			{"PATCH", "/apis/iam.kubesphere.io/v1alpha2/users/lock-people" + dry, `{"metadata":{"labels":{"a":"b"}}}`},
			{"DELETE", "/apis/iam.kubesphere.io/v1alpha2/users/lock-people" + dry, ""},
			{"POST", iamPath + "/namespaces/lock-other-project/members", fmt.Sprintf(`[{"username":%q,"roleRef":"viewer"}]`, "lock-regular")},
		} {
			options := []option{}
			if one.method == "PATCH" {
				options = media(merge)
			}
			if r := permissive.send(t, one.method, one.path, token, one.body, options...); r.code/100 != 2 {
				t.Errorf("%s %s: %d %s", one.method, one.path, r.code, r.body)
			}
		}
	})
}
