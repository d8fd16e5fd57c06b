//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// newPerson creates a user with a global role and logs in.
func newPerson(t *testing.T, name, role string) person {
	t.Helper()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", iamPath+"/users", newUser(name, role))
	t.Cleanup(func() { dropped(t, iamPath+"/users/"+name) })
	return shared.as(t, name, passwordOf(name))
}

// dropped deletes what may be gone already, after the context of a test is over.
func dropped(t *testing.T, path string) {
	c, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, shared.url+path, nil)
	if err != nil {
		t.Error(err)
		return
	}
	form := url.Values{}
	pairs := passwordForm("admin", adminPassword)
	for n := 0; n < len(pairs); n += 2 {
		form.Add(pairs[n], pairs[n+1])
	}
	login, err := http.PostForm(shared.url+"/oauth/token", form)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = login.Body.Close() }()
	var issued tokens
	if err := json.NewDecoder(login.Body).Decode(&issued); err != nil {
		t.Error(err)
		return
	}
	bearer(issued.AccessToken)(c)
	answer, err := http.DefaultClient.Do(c)
	if err != nil {
		t.Error(err)
		return
	}
	_ = answer.Body.Close()
	if answer.StatusCode != 200 && answer.StatusCode != 404 {
		t.Logf("DELETE %s: %d", path, answer.StatusCode)
	}
}

// newSpace creates a workspace with a manager.
func newSpace(t *testing.T, name string, manager person) {
	t.Helper()
	shared.as(t, "admin", adminPassword).must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace(name, manager.name))
	t.Cleanup(func() { dropped(t, tenantPath+"/workspaces/"+name) })
}

func (p person) mergePatch(t *testing.T, path, body string) reply {
	t.Helper()
	return p.do(t, "PATCH", path, strings.NewReader(body), bearer(p.token), header("Content-Type", "application/merge-patch+json"))
}

func (p person) sends(t *testing.T, code int, method, path, body string) {
	t.Helper()
	if r := shared.send(t, method, path, p.token, body); r.code != code {
		t.Errorf("%s: %s %s %s: %d %.300s, want %d", p.name, method, path, body, r.code, r.body, code)
	}
}

func (p person) answersPatch(t *testing.T, code int, path, body string) {
	t.Helper()
	if r := p.mergePatch(t, path, body); r.code != code {
		t.Errorf("%s: PATCH %s %s: %d %.300s, want %d", p.name, path, body, r.code, r.body, code)
	}
}

// isKnown waits until a binding that was created behind the server's back counts.
func isKnown(t *testing.T, binding string) {
	t.Helper()
	admin := shared.as(t, "admin", adminPassword)
	wait.For(t, "the ClusterRoleBinding to be in the cache", func() error {
		return expectItems(admin.call(t, "GET", viewer+"/clusterrolebindings?name="+binding, nil), 1)
	})
}

// TestReservedNames: what others rely on is not to be had by taking its name.
func TestReservedNames(t *testing.T) {
	t.Parallel()
	wadmin, prov := newPerson(t, "nm-res-wadmin", "platform-regular"), newPerson(t, "nm-res-prov", "platform-self-provisioner")
	newSpace(t, "nm-res", wadmin)
	admin := shared.as(t, "admin", adminPassword)
	for _, name := range []string{"kubesphere-terminals", "kubesphere-anything", "kubesphere", "kube-anything", "default"} {
		wadmin.sends(t, 403, "POST", tenantPath+"/workspaces/nm-res/namespaces", fmt.Sprintf(`{"metadata":{"name":%q}}`, name))
	}
	for _, name := range []string{"system-workspace", "platform", "kubesphere-x"} {
		prov.sends(t, 403, "POST", tenantPath+"/workspaces", fmt.Sprintf(`{"metadata":{"name":%q}}`, name))
	}
	for _, name := range []string{"system", "ks-apiserver", "system:anonymous"} {
		admin.sends(t, 403, "POST", iamPath+"/users", fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"email":""}}`, name))
	}
	for _, name := range []string{"pre-registration", "root"} {
		wadmin.sends(t, 403, "POST", iamPath+"/workspaces/nm-res/groups", fmt.Sprintf(`{"metadata":{"name":%q}}`, name))
	}
	admin.sends(t, 403, "POST", "/apis/iam.kubesphere.io/v1alpha2/groups", `{"apiVersion":"iam.kubesphere.io/v1alpha2","kind":"Group","metadata":{"name":"pre-registration"}}`)
	wadmin.sends(t, 403, "POST", iamPath+"/workspaces/nm-res/workspaceroles", `{"metadata":{"name":"role-template-mine"},"rules":[]}`)
	// A terminal's namespace that is a project gets no tokens.
	wadmin.must(t, 200, "POST", tenantPath+"/workspaces/nm-res/namespaces", newNamespace("nm-res-terminals"))
	i := run(t, func(c *config.Config) {
		c.Terminal.Kubectl.Server, c.Terminal.Kubectl.CertificateAuthority = shared.secure, shared.certificate
		c.Terminal.Kubectl.Namespace = "nm-res-terminals"
	})
	if err := i.waitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	if r := i.get(t, kubeconfigs+"/admin/kubectl", bearer(i.login(t).AccessToken)); r.code != 409 {
		t.Errorf("a terminal in a project: %d %s", r.code, r.body)
	}
	pods := &corev1.PodList{}
	if err := kubernetes(t, "").List(t.Context(), pods, client.InNamespace("nm-res-terminals")); err != nil || len(pods.Items) > 0 {
		t.Errorf("%d pods, %v", len(pods.Items), err)
	}
}

// TestReservedFields: what a reconciler acts on is written by who holds the
// right that follows.
func TestReservedFields(t *testing.T) {
	t.Parallel()
	wadmin, poper := newPerson(t, "nm-fld-wadmin", "platform-regular"), newPerson(t, "nm-fld-poper", "platform-regular")
	newSpace(t, "nm-fld", wadmin)
	wadmin.must(t, 200, "POST", tenantPath+"/workspaces/nm-fld/namespaces", newNamespace("nm-fld-p1"))
	wadmin.must(t, 200, "POST", iamPath+"/namespaces/nm-fld-p1/members", []fields{{"username": poper.name, "roleRef": "admin"}})
	const namespace = "/api/v1/namespaces/nm-fld-p1"
	poper.answersPatch(t, 200, namespace, `{"metadata":{"annotations":{"a":"b"}}}`)
	poper.answersPatch(t, 403, namespace, `{"metadata":{"labels":{"kubesphere.io/namespace":null},"annotations":{"kubesphere.io/creator":"nm-fld-poper"}}}`)
	poper.answersPatch(t, 403, namespace, `{"metadata":{"annotations":{"kubesphere.io/creator":"nm-fld-poper"}}}`)
	poper.answersPatch(t, 403, namespace+"/status", `{"metadata":{"annotations":{"kubesphere.io/creator":"nm-fld-poper"}}}`)
	poper.answersPatch(t, 403, namespace, `{"metadata":{"finalizers":["example.com/never"]}}`)
	poper.answersPatch(t, 403, namespace, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"x","uid":"1"}]}}`)
	if r := poper.do(t, "PATCH", namespace+"?fieldManager=x", strings.NewReader(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"nm-fld-p1","annotations":{"kubesphere.io/creator":"nm-fld-poper"}}}`),
		bearer(poper.token), header("Content-Type", "application/apply-patch+yaml")); r.code != 403 && r.code != 409 {
		t.Errorf("apply: %d %s", r.code, r.body)
	}
	wadmin.answersPatch(t, 403, tenantPath+"/workspaces/nm-fld/namespaces/nm-fld-p1", `{"metadata":{"annotations":{"kubesphere.io/creator":"nm-fld-poper"}}}`)
	wadmin.answersPatch(t, 200, tenantPath+"/workspaces/nm-fld/namespaces/nm-fld-p1", `{"metadata":{"annotations":{"kubesphere.io/description":"ours"}}}`)

	// A namespace is not finalized by force.
	r := shared.get(t, namespace, bearer(wadmin.token))
	body := decode[map[string]any](t, r)
	body["spec"] = fields{"finalizers": []string{}}
	wadmin.must(t, 403, "PUT", namespace+"/finalize", body)

	// What a role of a workspace hangs on is not for its writers.
	made := decode[iamv1alpha2.WorkspaceRole](t, wadmin.must(t, 200, "POST", iamPath+"/workspaces/nm-fld/workspaceroles", fields{
		"metadata": fields{"name": "nm-fld-mine", "finalizers": []string{"example.com/never"}, "ownerReferences": []fields{{"apiVersion": "v1", "kind": "Node", "name": "x", "uid": "1"}}}, "rules": []any{},
	}))
	if len(made.Finalizers) > 0 || len(made.OwnerReferences) > 0 {
		t.Errorf("made %+v", made.ObjectMeta)
	}
	patched := wadmin.mergePatch(t, iamPath+"/workspaces/nm-fld/workspaceroles/nm-fld-mine", `{"metadata":{"finalizers":["example.com/never"]}}`)
	if role := decode[iamv1alpha2.WorkspaceRole](t, patched); patched.code != 200 || len(role.Finalizers) > 0 {
		t.Errorf("patched %d %+v", patched.code, role.ObjectMeta)
	}
	wadmin.answersPatch(t, 403, iamPath+"/workspaces/nm-fld/workspaceroles/nm-fld-mine", `{"metadata":{"annotations":{"kubesphere.io/creator":"system"}}}`)

	// The part of a workspace's quota is deleted with the quota.
	wadmin.must(t, 200, "POST", tenantPath+"/workspaces/nm-fld/resourcequotas", fields{"metadata": fields{"name": "nm-fld-q"}, "spec": fields{"quota": fields{"hard": fields{"pods": "1"}}}})
	part := namespace + "/resourcequotas/workspace-nm-fld-q"
	answers(t, "GET", part, poper.token, 200)
	for _, who := range []person{poper, wadmin} {
		who.sends(t, 403, "DELETE", part, "")
		who.sends(t, 200, "DELETE", namespace+"/resourcequotas", "")
		who.answersPatch(t, 403, part, `{"spec":{"hard":{"pods":"9"}}}`)
		who.answersPatch(t, 403, part, `{"metadata":{"labels":null}}`)
		who.sends(t, 200, "GET", part, "")
	}
	wadmin.must(t, 200, "DELETE", tenantPath+"/workspaces/nm-fld/resourcequotas/nm-fld-q", nil)

	// Settings of a gateway stay in the project.
	wadmin.sends(t, 403, "POST", gatewayPath+"/namespaces/nm-fld-p1/gateways", `{"spec":{"controller":{"config":{"http-snippet":"x"}}}}`)
	wadmin.sends(t, 403, "POST", gatewayPath+"/namespaces/nm-fld-p1/gateways", `{"spec":{"controller":{"config":{"proxy-body-size":"1m; }"}}}}`)
}

// TestReusedNamespace: who had roles in a namespace of the name has none in the
// next project.
func TestReusedNamespace(t *testing.T) {
	t.Parallel()
	wadmin, otherw := newPerson(t, "nm-old-wadmin", "platform-regular"), newPerson(t, "nm-old-otherw", "platform-regular")
	newSpace(t, "nm-old-w1", wadmin)
	newSpace(t, "nm-old-w2", otherw)
	wadmin.must(t, 200, "POST", tenantPath+"/workspaces/nm-old-w1/namespaces", newNamespace("nm-old-py1"))
	c, namespace := kubernetes(t, ""), &corev1.Namespace{}
	if err := c.Get(t.Context(), clientKey("nm-old-py1"), namespace); err != nil {
		t.Fatal(err)
	}
	namespace.Spec.Finalizers = nil
	if err := c.SubResource("finalize").Update(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the namespace to be gone", func() error {
		if err := c.Delete(t.Context(), namespace); client.IgnoreNotFound(err) != nil {
			return err
		}
		if err := c.Get(t.Context(), clientKey("nm-old-py1"), namespace); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %v", err)
		}
		return nil
	})
	r := otherw.call(t, "POST", tenantPath+"/workspaces/nm-old-w2/namespaces", newNamespace("nm-old-py1"))
	if r.code != 409 || !strings.Contains(string(r.body), "left of an earlier namespace") {
		t.Errorf("with what is left: %d %s", r.code, r.body)
	}
	// Kubernetes deletes what is left with the namespace, once it is there again.
	again := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "nm-old-py1"}}
	if err := c.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the name of the namespace to be free", func() error {
		return expect(otherw.call(t, "POST", tenantPath+"/workspaces/nm-old-w2/namespaces", newNamespace("nm-old-py1")), 200)
	})
	wadmin.must(t, 403, "GET", "/api/v1/namespaces/nm-old-py1/secrets", nil)
}

// TestGroupNames: the names of groups are global, their owners are not.
func TestGroupNames(t *testing.T) {
	t.Parallel()
	wadmin := newPerson(t, "nm-grp-wadmin", "platform-regular")
	newSpace(t, "nm-grp", wadmin)
	admin, c := shared.as(t, "admin", adminPassword), kubernetes(t, "")
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "nm-grp-ops-admins"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "nm-grp-ops"}},
	}
	create(t, c, binding)
	isKnown(t, binding.Name)
	const groups = iamPath + "/workspaces/nm-grp/groups"
	r := wadmin.call(t, "POST", groups, fields{"metadata": fields{"name": "nm-grp-ops"}})
	if r.code != 409 || strings.Contains(string(r.body), "nm-grp-ops-admins") {
		t.Errorf("a name with a cluster role: %d %s", r.code, r.body)
	}
	wadmin.must(t, 403, "POST", groups+"?confirmBindings=true", fields{"metadata": fields{"name": "nm-grp-ops"}})
	if r := admin.call(t, "POST", groups, fields{"metadata": fields{"name": "nm-grp-ops"}}); r.code != 409 || !strings.Contains(string(r.body), "nm-grp-ops-admins") {
		t.Errorf("by the administrator: %d %s", r.code, r.body)
	}
	admin.must(t, 200, "POST", groups+"?confirmBindings=true", fields{"metadata": fields{"name": "nm-grp-ops"}})
	// Its members lose the cluster role with it, which the workspace's admin does not hold.
	wadmin.must(t, 403, "DELETE", groups+"/nm-grp-ops", nil)
	// Nor does he move it to where it goes with another.
	wadmin.must(t, 200, "POST", groups, fields{"metadata": fields{"name": "nm-grp-mine"}})
	wadmin.answersPatch(t, 403, groups+"/nm-grp-ops", `{"metadata":{"labels":{"iam.kubesphere.io/group-parent":"nm-grp-mine"}}}`)
	wadmin.must(t, 200, "POST", groups, fields{"metadata": fields{"name": "nm-grp-between", "labels": fields{"iam.kubesphere.io/group-parent": "nm-grp-mine"}}})
	admin.must(t, 200, "PATCH", groups+"/nm-grp-ops", fields{"metadata": fields{"labels": fields{"iam.kubesphere.io/group-parent": "nm-grp-between"}}})
	wadmin.answersPatch(t, 403, groups+"/nm-grp-between", `{"metadata":{"labels":{"iam.kubesphere.io/group-parent":"root"}}}`)
	wadmin.must(t, 403, "DELETE", groups+"/nm-grp-mine", nil)
	admin.must(t, 200, "DELETE", groups+"/nm-grp-ops", nil)
	wadmin.must(t, 200, "DELETE", groups+"/nm-grp-mine", nil)
	if err := c.Get(t.Context(), clientKey(binding.Name), binding); err != nil {
		t.Errorf("the binding is gone: %v", err)
	}

	// Parents end somewhere, and so does a deletion.
	wadmin.must(t, 200, "POST", groups, fields{"metadata": fields{"name": "nm-grp-a", "labels": fields{"iam.kubesphere.io/group-parent": "root"}}})
	wadmin.must(t, 200, "POST", groups, fields{"metadata": fields{"name": "nm-grp-b", "labels": fields{"iam.kubesphere.io/group-parent": "nm-grp-a"}}})
	wadmin.answersPatch(t, 422, groups+"/nm-grp-a", `{"metadata":{"labels":{"iam.kubesphere.io/group-parent":"nm-grp-a"}}}`)
	wadmin.answersPatch(t, 422, groups+"/nm-grp-a", `{"metadata":{"labels":{"iam.kubesphere.io/group-parent":"nm-grp-b"}}}`)
	generated := decode[iamv1alpha2.Group](t, wadmin.must(t, 200, "POST", groups, fields{"metadata": fields{"generateName": "nm-grp-dep-", "labels": fields{"iam.kubesphere.io/group-parent": "root"}}}))
	if !strings.HasPrefix(generated.Name, "nm-grp-dep-") || len(generated.Name) != len("nm-grp-dep-")+5 {
		t.Errorf("generated %q", generated.Name)
	}
	// A cycle that is there already.
	for _, name := range []string{"nm-grp-a", "nm-grp-b"} {
		change(t, c, &iamv1alpha2.Group{}, clientKey(name), func(g *iamv1alpha2.Group) {
			g.Labels["iam.kubesphere.io/group-parent"] = map[string]string{"nm-grp-a": "nm-grp-b", "nm-grp-b": "nm-grp-a"}[name]
		})
	}
	started := time.Now()
	wadmin.must(t, 200, "DELETE", groups+"/nm-grp-a", nil)
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("deleting a cycle took %s", took)
	}
	// A group deleted behind the server's back goes, too: the reconciler lives.
	if err := c.Delete(t.Context(), &generated); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the groups to be gone", func() error {
		for _, name := range []string{"nm-grp-a", "nm-grp-b", generated.Name} {
			if err := c.Get(t.Context(), clientKey(name), &iamv1alpha2.Group{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}

// TestOutranking: who changes the credentials of another holds all that the
// other holds, in every scope.
func TestOutranking(t *testing.T) {
	t.Parallel()
	admin, c := shared.as(t, "admin", adminPassword), kubernetes(t, "")
	admin.must(t, 200, "POST", iamPath+"/globalroles", fields{"metadata": fields{"name": "nm-rank-hr"}, "rules": []fields{
		{"apiGroups": []string{"iam.kubesphere.io"}, "resources": []string{"users", "users/password", "users/sessions", "users/tokens", "users/identities"}, "verbs": []string{"get", "list", "create", "update", "patch", "delete"}},
	}})
	t.Cleanup(func() { dropped(t, iamPath+"/globalroles/nm-rank-hr") })
	hr, plain := newPerson(t, "nm-rank-boss", "nm-rank-hr"), newPerson(t, "nm-rank-plain", "")
	cadmin, wadmin, padmin := newPerson(t, "nm-rank-cadmin", "platform-regular"), newPerson(t, "nm-rank-wadmin", "platform-regular"), newPerson(t, "nm-rank-padmin", "platform-regular")
	create(t, c, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "nm-rank-cadmin"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: []rbacv1.Subject{subjectUser(cadmin.name)},
	})
	newSpace(t, "nm-rank", wadmin)
	wadmin.must(t, 200, "POST", tenantPath+"/workspaces/nm-rank/namespaces", newNamespace("nm-rank-p1"))
	wadmin.must(t, 200, "POST", iamPath+"/namespaces/nm-rank-p1/members", []fields{{"username": padmin.name, "roleRef": "admin"}})
	answers(t, "GET", "/api/v1/nodes", cadmin.token, 200)
	for _, other := range []person{cadmin, wadmin, padmin} {
		hr.must(t, 403, "PUT", iamPath+"/users/"+other.name+"/password", fields{"password": "Newpass-of-1984"})
		hr.must(t, 403, "DELETE", iamPath+"/users/"+other.name+"/sessions", nil)
		user := decode[iamv1alpha2.User](t, hr.must(t, 200, "GET", iamPath+"/users/"+other.name, nil))
		user.Spec.Email = "taken-over@example.com"
		hr.must(t, 403, "PUT", iamPath+"/users/"+other.name, user)
	}
	// Deletion gives nothing: roles in workspaces and projects do not protect from it.
	hr.must(t, 403, "DELETE", iamPath+"/users/"+cadmin.name, nil)
	hr.must(t, 200, "DELETE", iamPath+"/users/"+padmin.name, nil)
	hr.must(t, 200, "PUT", iamPath+"/users/"+plain.name+"/password", fields{"password": "Newpass-of-1984"})
	admin.must(t, 200, "PUT", iamPath+"/users/"+cadmin.name+"/password", fields{"password": "Newpass-of-1984"})

	// Bindings that wait for a user of their name.
	create(t, c, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "nm-rank-ghosts"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: []rbacv1.Subject{subjectUser("nm-rank-ghost")},
	})
	ghost := newUser("nm-rank-ghost", "")
	isKnown(t, "nm-rank-ghosts")
	hr.must(t, 409, "POST", iamPath+"/users", ghost)
	hr.must(t, 403, "POST", iamPath+"/users?confirmBindings=true", ghost)
	if r := admin.call(t, "POST", iamPath+"/users", ghost); r.code != 409 || !strings.Contains(string(r.body), "nm-rank-ghosts") {
		t.Errorf("by the administrator: %d %s", r.code, r.body)
	}
	admin.must(t, 200, "POST", iamPath+"/users?confirmBindings=true", ghost)
	admin.must(t, 200, "DELETE", iamPath+"/users/nm-rank-ghost", nil)
}
