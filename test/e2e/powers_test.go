//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// inCluster gives a user a cluster role.
func inCluster(t *testing.T, name, role string) {
	t.Helper()
	create(t, kubernetes(t, ""), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + role}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{subjectUser(name)},
	})
}

// onPlatform gives a user a global role with rules.
func onPlatform(t *testing.T, name string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	c := kubernetes(t, "")
	create(t, c, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
	create(t, c, &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: []rbacv1.Subject{subjectUser(name)},
		RoleRef: rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "GlobalRole", Name: name},
	})
}

// attempt is a request somebody makes, and what has to come of it.
type attempt struct {
	name, token, method, path, body string
	options                         []option
	code                            int
}

func attempts(t *testing.T, all []attempt) {
	t.Helper()
	for _, test := range all {
		t.Run(test.name, func(t *testing.T) {
			if err := expect(shared.send(t, test.method, test.path, test.token, test.body, test.options...), test.code); err != nil {
				t.Errorf("%s %s: %v", test.method, test.path, err)
			}
		})
	}
}

const (
	signingKeys = "/api/v1/namespaces/kubesphere-system/secrets/ks-apiserver-signing-keys"
	merge       = "application/merge-patch+json"
)

func media(value string) []option { return []option{header("Content-Type", value)} }

// TestPowersAreNotInStars: a role with everything in its scope, or with all verbs on
// users, acts as nobody else and writes nothing that components of the cluster write.
func TestPowersAreNotInStars(t *testing.T) {
	t.Parallel()
	workspace(t, "pw-stars")
	const project = "/api/v1/namespaces/pw-stars-project"
	people, owner, operator := user(t, "pw-people"), user(t, "pw-owner"), user(t, "pw-operator")
	clusterAdmin, admin := user(t, "pw-cluster-admin"), shared.login(t).AccessToken
	every := []string{"*"}
	onPlatform(t, "pw-people", rbacv1.PolicyRule{APIGroups: every, Resources: []string{"users", "users/password", "users/loginrecords"}, Verbs: every})
	inWorkspace(t, "pw-owner", "pw-stars", "admin")
	inNamespace(t, "pw-operator", "pw-stars-project", "operator")
	inCluster(t, "pw-cluster-admin", "cluster-admin")
	answers(t, "GET", iamAPI+"/users", people, 200)
	answers(t, "GET", project+"/pods", owner, 200)
	answers(t, "GET", project+"/pods", operator, 200)
	answers(t, "GET", "/api/v1/nodes", clusterAdmin, 200)
	c := kubernetes(t, "")
	create(t, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "pw-stars-project", Name: "a"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}})
	as := []option{header("Impersonate-User", "admin")}
	tokenRequest := `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`
	debug := `{"spec":{"ephemeralContainers":[{"name":"debug","image":"debug"}]}}`
	finalize := `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"pw-stars-project"},"spec":{"finalizers":[]}}`
	role := func(rules string) string {
		return `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"pw-given"},"rules":[` + rules + `]}`
	}
	const roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/pw-stars-project/roles"
	attempts(t, []attempt{
		{"managing users is no acting as them", people, "GET", signingKeys, "", as, 403},
		{"nor giving oneself a role that way", people, "POST", "/apis/iam.kubesphere.io/v1alpha2/globalrolebindings", `{}`, as, 403},
		{"all rights in the cluster are none to act as others", clusterAdmin, "GET", "/api/v1/nodes", "", as, 403},
		{"nor as a service account", owner, "GET", project + "/pods", "", []option{header("Impersonate-User", "system:serviceaccount:pw-stars-project:default")}, 403},
		{"administrators of the platform act as others", admin, "GET", project + "/pods", "", []option{header("Impersonate-User", "pw-owner")}, 200},
		{"a project's owner does not finalize it", owner, "PUT", project + "/finalize", finalize, nil, 403},
		{"nor its operator", operator, "PUT", project + "/finalize", finalize, nil, 403},
		{"nor who has the cluster", clusterAdmin, "PUT", project + "/finalize", finalize, nil, 403},
		{"no status of a namespace", owner, "PATCH", project + "/status", `{"status":{"phase":"Terminating"}}`, media(merge), 403},
		{"no tokens of service accounts", owner, "POST", project + "/serviceaccounts/default/token", tokenRequest, nil, 403},
		{"not in the cluster", clusterAdmin, "POST", "/api/v1/namespaces/kube-system/serviceaccounts/default/token", tokenRequest, nil, 403},
		{"for administrators of the platform", admin, "POST", project + "/serviceaccounts/default/token", tokenRequest, nil, 201},
		{"no containers in running pods", owner, "PATCH", project + "/pods/a/ephemeralcontainers", debug, media("application/strategic-merge-patch+json"), 403},
		{"no pods on nodes of a choice", owner, "POST", project + "/pods/a/binding", `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"a"},"target":{"kind":"Node","name":"node-1"}}`, nil, 403},
		{"no address of a service", owner, "PATCH", project + "/services/a/status", `{"status":{}}`, media(merge), 403},
		{"no kubelet", clusterAdmin, "GET", "/api/v1/nodes/node-1/proxy/pods", "", nil, 403},
		{"no certificates", clusterAdmin, "PUT", "/apis/certificates.k8s.io/v1/certificatesigningrequests/a/approval", `{}`, nil, 403},
		{"a role of all verbs is not given by Kubernetes", owner, "POST", roles, role(`{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}`), nil, 403},
		{"but below /kapis", owner, "POST", iamAPI + "/namespaces/pw-stars-project/roles", role(`{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}`), nil, 200},
		{"one that names a subresource is not", owner, "PUT", roles + "/pw-given", role(`{"apiGroups":[""],"resources":["serviceaccounts/token"],"verbs":["create"]}`), nil, 403},
		{"nor one that names a verb", owner, "PATCH", roles + "/pw-given", `{"rules":[{"apiGroups":[""],"resources":["serviceaccounts"],"verbs":["impersonate"]}]}`, media(merge), 403},
		{"nor below /kapis", owner, "PUT", iamAPI + "/namespaces/pw-stars-project/roles/pw-given", role(`{"apiGroups":[""],"resources":["namespaces/finalize"],"verbs":["update"]}`), nil, 403},
		{"nor by a cluster role", owner, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/pw-stars-project/rolebindings", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"pw-edit"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"pw-operator"}]}`, nil, 403},
	})
	// What names a power has it.
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "pw-stars-project", Name: "pw-tokens"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, Verbs: every}}})
	inNamespace(t, "pw-operator", "pw-stars-project", "pw-tokens")
	wait.For(t, "the right to create tokens", func() error {
		return expect(shared.send(t, "POST", project+"/serviceaccounts/default/token", operator, tokenRequest), 201)
	})
}

// TestPlatformCredentials: nobody but administrators of the platform reads its
// credentials, whatever the way.
func TestPlatformCredentials(t *testing.T) {
	t.Parallel()
	viewer, clusterAdmin, templates := user(t, "pw-sees"), user(t, "pw-has"), user(t, "pw-made")
	admin, c := shared.login(t).AccessToken, kubernetes(t, "")
	inCluster(t, "pw-sees", "cluster-viewer")
	inCluster(t, "pw-has", "cluster-admin")
	inCluster(t, "pw-made", "role-template-manage-project-resources")
	for _, token := range []string{viewer, clusterAdmin, templates} {
		answers(t, "GET", "/api/v1/namespaces/default/secrets", token, 200)
	}
	create(t, c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pw-other"}, StringData: map[string]string{"a": "b"}})
	const system, pod = "/api/v1/namespaces/kubesphere-system", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pw-mounts"},"spec":{"containers":[{"name":"a","image":"a"}]}}`
	var all []attempt
	for who, token := range map[string]string{"cluster-viewer": viewer, "cluster-admin": clusterAdmin, "a template": templates} {
		for _, path := range []string{
			signingKeys, system + "/secrets", system + "/secrets?watch=true", "/api/v1/watch/namespaces/kubesphere-system/secrets", system + "/secrets/oauthclient-kubesphere",
			system + "/secrets?fieldSelector=metadata.name%3Dks-apiserver-signing-keys", system + "/configmaps", "/api/v1/namespaces/kubesphere-controls-system/configmaps",
			viewerPath + "/namespaces/kubesphere-system/secrets", viewerPath + "/namespaces/kubesphere-system/secrets/ks-apiserver-signing-keys", viewerPath + "/namespaces/kubesphere-system/secrets?watch=true",
			viewerPath + "/namespaces/kubesphere-system/secrets.?fields=data", viewerPath + "/namespaces/kubesphere-system/secrets/summary", "/kapis/resources.kubesphere.io/v1alpha2/namespaces/kubesphere-system/configmaps",
			system + "/services/ks-apiserver/proxy/", system + "/pods/a/exec?command=id",
		} {
			for _, form := range []string{"application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf"} {
				all = append(all, attempt{who + " " + path + " as " + form, token, "GET", path, "", []option{header("Accept", form)}, 403})
			}
		}
	}
	attempts(t, append(all, []attempt{
		{"a pod that could mount them", clusterAdmin, "POST", system + "/pods", pod, nil, 403},
		{"one in the namespace of terminals", clusterAdmin, "POST", "/api/v1/namespaces/kubesphere-terminals/pods", pod, nil, 403},
		{"a workload", clusterAdmin, "POST", "/apis/apps/v1/namespaces/kubesphere-system/deployments", `{}`, nil, 403},
		{"a workload below /kapis", clusterAdmin, "POST", "/kapis/apps/v1/namespaces/kubesphere-system/deployments", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"}}`, nil, 403},
		{"a job", clusterAdmin, "POST", "/apis/batch/v1/namespaces/kubesphere-system/jobs", `{}`, nil, 403},
		{"a token there", clusterAdmin, "POST", system + "/serviceaccounts/default/token", `{}`, nil, 403},
		{"a secret of an identity provider", clusterAdmin, "POST", system + "/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pw-idp","labels":{"config.kubesphere.io/type":"identityprovider"}}}`, nil, 403},
		{"rights there", clusterAdmin, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/kubesphere-system/rolebindings", `{}`, nil, 403},
		{"members there", clusterAdmin, "POST", iamAPI + "/namespaces/kubesphere-system/members", `[{"username":"pw-sees","roleRef":"admin"}]`, nil, 403},
		{"the namespace", clusterAdmin, "DELETE", system, "", nil, 403},
		{"a command there", clusterAdmin, "POST", system + "/pods/a/exec?command=id", "", nil, 403},
		{"a shell on a node", clusterAdmin, "GET", terminalPath + "/nodes/node-1/exec", "", nil, 403},
		{"clusters' kubeconfigs", clusterAdmin, "GET", "/apis/cluster.kubesphere.io/v1alpha1/clusters", "", nil, 403},
		{"what is no credential", viewer, "GET", system + "/pods", "", nil, 200},
		{"an administrator of the platform", admin, "GET", signingKeys, "", nil, 200},
		{"and by the viewer", admin, "GET", viewerPath + "/namespaces/kubesphere-system/secrets/ks-apiserver-signing-keys", "", nil, 200},
	}...))
	// In lists of everything they are left out, in every form, and by no filter.
	for _, path := range []string{
		"/api/v1/secrets", "/api/v1/secrets?limit=500", "/api/v1/secrets?fieldSelector=metadata.namespace%3Dkubesphere-system", "/api/v1/secrets?fieldSelector=metadata.name%3Dks-apiserver-signing-keys",
		"/api/v1/secrets?fieldSelector=type%21%3Dx", viewerPath + "/secrets?limit=-1", viewerPath + "/secrets?fieldSelector=metadata.namespace%3Dkubesphere-system",
		viewerPath + "/secrets?name=signing&sortBy=name", viewerPath + "/secrets?fields=data", viewerPath + "/secrets?q=signing", "/kapis/resources.kubesphere.io/v1alpha2/secrets?paging=limit=-1,page=1", "/api/v1/configmaps", viewerPath + "/configmaps",
	} {
		for _, form := range []string{"application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"} {
			for who, token := range map[string]string{"cluster-viewer": viewer, "cluster-admin": clusterAdmin} {
				r := shared.get(t, path, bearer(token), header("Accept", form))
				if r.code != 200 || strings.Contains(string(r.body), "ks-apiserver-") || strings.Contains(string(r.body), `"namespace":"kubesphere-system"`) || strings.Contains(string(r.body), "oauthclient-") {
					t.Errorf("%s %s as %s: %d %.400s", who, path, form, r.code, r.body)
				}
			}
		}
	}
	if r := shared.get(t, "/api/v1/secrets", bearer(viewer)); !strings.Contains(string(r.body), "pw-other") {
		t.Errorf("other secrets are missing: %d %.300s", r.code, r.body)
	}
	if r := shared.get(t, viewerPath+"/secrets?limit=-1", bearer(viewer)); !strings.Contains(string(r.body), "pw-other") {
		t.Errorf("other secrets are missing from the viewer's list: %d %.300s", r.code, r.body)
	}
	if r := shared.get(t, "/api/v1/secrets", bearer(admin)); !strings.Contains(string(r.body), "ks-apiserver-signing-keys") {
		t.Errorf("an administrator misses the platform's: %d %.300s", r.code, r.body)
	}
	for _, path := range []string{"/api/v1/secrets?watch=true&allowWatchBookmarks=true", viewerPath + "/secrets?watch=true"} {
		watched(t, path, viewer)
	}
}

const viewerPath = kapisViewer

// watched reads a watch of all secrets until it tells of a new one, and fails when it
// tells of the platform's.
func watched(t *testing.T, path, token string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, shared.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	bearer(token)(request)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	c := kubernetes(t, "")
	for _, namespace := range []string{"kubesphere-system", "default"} {
		create(t, c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "pw-watched-"}})
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var event struct {
			Object struct{ Metadata metav1.ObjectMeta }
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		switch object := event.Object.Metadata; {
		case object.Namespace == "kubesphere-system":
			t.Errorf("%s tells of %s", path, object.Name)
		case strings.HasPrefix(object.Name, "pw-watched-"):
			return
		}
	}
	t.Errorf("%s: %d, %v", path, response.StatusCode, lines.Err())
}

// TestForgedToken: who has the signing keys makes no token that nothing can end.
func TestForgedToken(t *testing.T) {
	t.Parallel()
	secret := &corev1.Secret{}
	if err := kubernetes(t, "").Get(t.Context(), client.ObjectKey{Namespace: "kubesphere-system", Name: "ks-apiserver-signing-keys"}, secret); err != nil {
		t.Fatal(err)
	}
	keys, err := token.DecodeKeys(secret.Data["keys.json"])
	if err != nil {
		t.Fatal(err)
	}
	key, found := keys.Active(time.Now())
	if !found {
		t.Fatal("no key signs")
	}
	real := decodeClaims(t, shared.login(t).AccessToken)
	forge := func(session any) string {
		claims := jwt.MapClaims{}
		for name, value := range real {
			claims[name] = value
		}
		if claims["sid"] = session; session == nil {
			delete(claims, "sid")
		}
		forged := jwt.NewWithClaims(jwt.GetSigningMethod(string(key.Algorithm)), claims)
		forged.Header["kid"], forged.Header["typ"] = key.ID, "at+jwt"
		text, err := forged.SignedString(key.Private)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, test := range map[string]struct {
		session any
		code    int
	}{"the session it was made of": {real["sid"], 200}, "no session": {nil, 401}, "an empty one": {"", 401}, "one that is not there": {"session-0", 401}} {
		if r := shared.get(t, "/apis/iam.kubesphere.io/v1alpha2/sessions", bearer(forge(test.session))); r.code != test.code {
			t.Errorf("%s: %d %.300s", name, r.code, r.body)
		}
	}
}

// TestPersonalTokensMakeNoCredentials: a personal access token of an administrator is
// no way to users with passwords, tokens, certificates or the platform's credentials.
func TestPersonalTokensMakeNoCredentials(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	personal := func(scope string) string {
		made := decode[struct{ Token string }](t, admin.must(t, http.StatusCreated, http.MethodPost, users+"/admin/tokens", fields{"description": "pw", "scopes": []string{scope}, "expiresInSeconds": 600}))
		return made.Token
	}
	all, read := personal("all"), personal("read")
	create(t, kubernetes(t, ""), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pw-tokens"}})
	secret := func(kind string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"generateName":"pw-","annotations":{"kubernetes.io/service-account.name":"default"}},"type":%q}`, kind)
	}
	body, err := json.Marshal(newUser("pw-robot", "platform-admin"))
	if err != nil {
		t.Fatal(err)
	}
	attempts(t, []attempt{
		{"a user with a password", all, "POST", users, string(body), nil, 403},
		{"by Kubernetes' API", all, "POST", "/apis/iam.kubesphere.io/v1alpha2/users", string(body), nil, 403},
		{"a token of a service account", all, "POST", "/api/v1/namespaces/pw-tokens/serviceaccounts/default/token", `{}`, nil, 403},
		{"one in a secret", all, "POST", "/api/v1/namespaces/pw-tokens/secrets", secret("kubernetes.io/service-account-token"), nil, 403},
		{"one by apply", all, "PATCH", "/api/v1/namespaces/pw-tokens/secrets/pw-a?fieldManager=pw", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pw-a","annotations":{"kubernetes.io/service-account.name":"default"}},"type":"kubernetes.io/service-account-token"}`, media("application/apply-patch+yaml"), 403},
		{"one for nodes", all, "POST", "/api/v1/namespaces/kube-system/secrets", secret("bootstrap.kubernetes.io/token"), nil, 403},
		{"another secret", all, "POST", "/api/v1/namespaces/pw-tokens/secrets", secret("Opaque"), nil, 201},
		{"a certificate", all, "POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", `{}`, nil, 403},
		{"the platform's keys", read, "GET", signingKeys, "", nil, 403},
		{"all of them", read, "GET", "/api/v1/namespaces/kubesphere-system/secrets", "", nil, 403},
		{"by the viewer", read, "GET", viewerPath + "/namespaces/kubesphere-system/secrets/ks-apiserver-signing-keys", "", nil, 403},
		{"sessions as they are stored", read, "GET", "/apis/iam.kubesphere.io/v1alpha2/sessions", "", nil, 403},
		{"passwords as they are stored", read, "GET", "/apis/iam.kubesphere.io/v1alpha2/users/admin", "", nil, 403},
		{"a pod beside them", all, "POST", "/api/v1/namespaces/kubesphere-system/pods", `{}`, nil, 403},
		{"a shell on a node", all, "GET", terminalPath + "/nodes/node-1/exec", "", nil, 403},
		{"what is no credential", read, "GET", "/api/v1/namespaces/pw-tokens/secrets", "", nil, 200},
	})
	if r := shared.get(t, "/api/v1/secrets", bearer(read)); r.code != 200 || strings.Contains(string(r.body), "ks-apiserver-signing-keys") {
		t.Errorf("a list of all secrets: %d %.200s", r.code, r.body)
	}
}
