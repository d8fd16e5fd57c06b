//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// asJSONPatch is a patch of labels in JSON patch form.
const asJSONPatch = `[{"op":"add","path":"/metadata/labels/rescope-patched","value":"yes"}]`

// TestScopeOfForwarded: what is forwarded is what was authorized. A workspace admin wrote
// cluster-scoped objects of any group below the own workspace, webhooks among them.
func TestScopeOfForwarded(t *testing.T) {
	t.Parallel()
	workspace(t, "rescope-w1")
	workspace(t, "rescope-w2")
	admin, manager := shared.login(t).AccessToken, user(t, "rescope-wadmin")
	inWorkspace(t, "rescope-wadmin", "rescope-w1", "admin")
	answers(t, "GET", "/kapis/quota.kubesphere.io/v1alpha2/workspaces/rescope-w1/resourcequotas", manager, 200)
	hook := `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"rescope-hook"},"webhooks":[]}`
	const hooks = "/workspaces/rescope-w1/mutatingwebhookconfigurations"
	for _, test := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "/kapis/admissionregistration.k8s.io/v1" + hooks, hook, 403},
		{"POST", "/kapis/admissionregistration.k8s.io/v1" + hooks + "/", hook, 403},
		{"GET", "/kapis/admissionregistration.k8s.io/v1" + hooks, "", 403},
		{"POST", "/kapis/rbac.authorization.k8s.io/v1/workspaces/rescope-w1/clusterroles", `{"metadata":{"name":"rescope-role"},"rules":[]}`, 403},
		{"POST", "/kapis/rbac.authorization.k8s.io/v1/workspaces/rescope-w1/clusterrolebindings", `{"metadata":{"name":"rescope-b"},"roleRef":{"kind":"ClusterRole","name":"view","apiGroup":"rbac.authorization.k8s.io"}}`, 403},
		{"PUT", "/kapis/storage.k8s.io/v1/workspaces/rescope-w1/storageclasses/rescope-s", `{"metadata":{"name":"rescope-s"},"provisioner":"x"}`, 403},
		{"POST", "/kapis/apiextensions.k8s.io/v1/workspaces/rescope-w1/customresourcedefinitions", `{}`, 403},
	} {
		if r := shared.send(t, test.method, test.path, manager, test.body); r.code != test.code {
			t.Errorf("%s %s: %d %s", test.method, test.path, r.code, r.body)
		}
	}
	// Who has the right in the cluster writes there, in the workspace of the path.
	c := kubernetes(t, "")
	t.Cleanup(func() {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "rescope-hook"}}
		o.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"))
		o.APIVersion = "admissionregistration.k8s.io/v1"
		_ = c.Delete(context.Background(), o)
	})
	if r := shared.send(t, "POST", "/kapis/admissionregistration.k8s.io/v1"+hooks, admin, hook); r.code != 201 || !strings.Contains(string(r.body), `"kubesphere.io/workspace":"rescope-w1"`) {
		t.Errorf("the platform's admin: %d %s", r.code, r.body)
	}

	const quotas = "/kapis/quota.kubesphere.io/v1alpha2/workspaces/rescope-w1/resourcequotas"
	quota := func(name, selector string) string {
		return fmt.Sprintf(`{"apiVersion":"quota.kubesphere.io/v1alpha2","kind":"ResourceQuota","metadata":{"name":%q},"spec":{"selector":%s,"quota":{"hard":{"pods":"0"}}}}`, name, selector)
	}
	for _, selector := range []string{`{"kubesphere.io/workspace":"rescope-w2"}`, `{}`, `{"kubesphere.io/workspace":"rescope-w1","a":"b"}`, `{"kubernetes.io/metadata.name":"kube-system"}`} {
		for _, path := range []string{quotas, "/apis/quota.kubesphere.io/v1alpha2/resourcequotas"} {
			token := manager
			if !strings.HasPrefix(path, "/kapis") {
				token = admin
				if strings.Contains(selector, "w2") {
					continue // there it is a quota of that workspace
				}
			}
			if r := shared.send(t, "POST", path, token, quota("rescope-q", selector)); r.code != 422 {
				t.Errorf("POST %s with selector %s: %d %s", path, selector, r.code, r.body)
			}
		}
	}
	t.Cleanup(func() {
		for _, name := range []string{"rescope-q1", "rescope-foreign", "rescope-all"} {
			_ = c.Delete(context.Background(), &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
	})
	if r := shared.send(t, "POST", quotas, manager, quota("rescope-q1", `{"kubesphere.io/workspace":"rescope-w1"}`)); r.code != 201 {
		t.Errorf("the own workspace: %d %s", r.code, r.body)
	}
	// Written by kubectl, it is not distributed.
	for name, selector := range map[string]map[string]string{"rescope-foreign": {"kubesphere.io/workspace": "rescope-w2"}, "rescope-all": {}} {
		written := &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubesphere.io/workspace": "rescope-w1"}}}
		written.Spec.LabelSelector = selector
		written.Spec.Quota.Hard = corev1.ResourceList{}
		create(t, c, written)
	}
	wait.For(t, "the quota to be distributed", func() error {
		return c.Get(t.Context(), client.ObjectKey{Namespace: "rescope-w1-project", Name: "workspace-rescope-q1"}, &corev1.ResourceQuota{})
	})
	for name, namespace := range map[string]string{"rescope-foreign": "rescope-w2-project", "rescope-all": "default"} {
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "workspace-" + name}, &corev1.ResourceQuota{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s is distributed to %s: %v", name, namespace, err)
		}
	}
}

// TestParametersReadOnce: what is authorized and what is served read the same parameters.
func TestParametersReadOnce(t *testing.T) {
	t.Parallel()
	workspace(t, "rescope-p")
	c, token := kubernetes(t, ""), user(t, "rescope-lister")
	const project = "rescope-p-project"
	for _, name := range []string{"one", "two"} {
		create(t, c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: name}})
	}
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "rescope-one"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"list"}, APIGroups: []string{"", "resources.kubesphere.io"}, Resources: []string{"configmaps"}, ResourceNames: []string{"one"}},
		{Verbs: []string{"list"}, APIGroups: []string{"", "resources.kubesphere.io"}, Resources: []string{"pods"}},
		{Verbs: []string{"patch", "update"}, APIGroups: []string{""}, Resources: []string{"configmaps"}},
	}})
	inNamespace(t, "rescope-lister", project, "rescope-one")
	maps := kapisViewer + "/namespaces/" + project + "/configmaps"
	answers(t, "GET", maps+"?fieldSelector=metadata.name%3Done", token, 200)
	for target, code := range map[string]int{
		maps: 403, maps + "?fieldSelector=metadata.name%3Done&fieldSelector=": 400, maps + "?fieldSelector=&fieldSelector=metadata.name%3Done": 400,
		maps + "?fieldSelector=metadata.name%3Done;x": 400, maps + "?fieldSelector=metadata.name%3Done&x=%zz": 400, maps + "?fieldSelector=metadata.name%3Dtwo": 403,
		"/api/v1/namespaces/" + project + "/configmaps?fieldSelector=metadata.name%3Done&fieldSelector=": 400,
		"/api/v1/namespaces/" + project + "/configmaps?fieldSelector=metadata.name%3Done":                200,
	} {
		if r := shared.send(t, "GET", target, token, ""); r.code != code {
			t.Errorf("%s: %d %.200s", target, r.code, r.body)
		}
	}
	// All spellings of false are a list, all of true a watch, which the role does not have.
	pods := kapisViewer + "/namespaces/" + project + "/pods"
	for value, code := range map[string]int{"False": 200, "false": 200, "FALSE": 200, "0": 200, "True": 403, "1": 403, "TRUE": 403, "": 403, "maybe": 400, "f": 400, "no": 400, "false&watch=true": 400} {
		for _, path := range []string{pods, "/api/v1/namespaces/" + project + "/pods"} {
			if r := shared.send(t, "GET", path+"?watch="+value, token, ""); r.code != code {
				t.Errorf("%s?watch=%s: %d %.200s", path, value, r.code, r.body)
			}
		}
	}
	// The same path, and the same decision, with a trailing slash.
	for _, path := range []string{maps, pods, kapisViewer + "/namespaces", "/api/v1/namespaces/" + project + "/pods", iamAPI + "/users", iamAPI + "/users/rescope-lister"} {
		if with, without := shared.send(t, "GET", path+"/", token, ""), shared.send(t, "GET", path, token, ""); with.code != without.code {
			t.Errorf("%s: %d with a trailing slash, %d without", path, with.code, without.code)
		}
	}
	review := `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"*","group":"*","resource":"*"}}}`
	for _, path := range []string{"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/"} {
		if r := shared.send(t, "POST", path, token, review); r.code != 201 || !strings.Contains(string(r.body), `"allowed":false`) {
			t.Errorf("%s: %d %s", path, r.code, r.body)
		}
	}
	// Who may patch and update creates nothing by it.
	applied := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rescope-new}\n"
	for _, path := range []string{"/api/v1/namespaces/" + project + "/configmaps/"} {
		if r := shared.send(t, "PATCH", path+"rescope-new?fieldManager=x", token, applied, header("Content-Type", "application/apply-patch+yaml")); r.code != 403 {
			t.Errorf("apply of what is not there: %d %s", r.code, r.body)
		}
		if r := shared.send(t, "PATCH", path+"one?fieldManager=x", token, strings.Replace(applied, "rescope-new", "one", 1), header("Content-Type", "application/apply-patch+yaml")); r.code != 200 {
			t.Errorf("apply of what is there: %d %s", r.code, r.body)
		}
		if r := shared.send(t, "PUT", path+"one", token, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":{"a":"b"}}`); r.code != 200 {
			t.Errorf("update: %d %s", r.code, r.body)
		}
	}
	// An absent field is "".
	admin := shared.login(t).AccessToken
	create(t, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "rescope-pending"}, Spec: corev1.PodSpec{
		NodeSelector: map[string]string{"no": "where"}, Containers: []corev1.Container{{Name: "c", Image: "i"}},
	}})
	for selector, total := range map[string]int{"spec.nodeName%3D": 1, "spec.nodeName!%3D": 0} {
		wait.For(t, "the pods of the node to be listed", func() error {
			r := shared.send(t, "GET", pods+"?fieldSelector="+selector, admin, "")
			if want := fmt.Sprintf(`"totalItems":%d`, total); r.code != 200 || !strings.Contains(string(r.body), want) {
				return fmt.Errorf("%s: %d %.300s, want %s", selector, r.code, r.body, want)
			}
			return nil
		})
	}
	// Fields, and warnings that name what has no effect.
	r := shared.send(t, "GET", iamAPI+"/users?fields=metadata.name&nonsense=1&watch=true&limit=2", admin, "")
	if warnings := strings.Join(r.header.Values("Warning"), " "); r.code != 200 || strings.Contains(string(r.body), "spec") || !strings.Contains(warnings, "'nonsense'") || !strings.Contains(warnings, "'watch'") {
		t.Errorf("%d %s %s", r.code, warnings, r.body)
	}
}

// TestMemberSeesTheEnd: a project's admin deletes it with kubectl, and everybody who was
// told of it is told of its end, though the role goes first.
func TestMemberSeesTheEnd(t *testing.T) {
	t.Parallel()
	workspace(t, "rescope-e")
	const project = "rescope-e-project"
	token := user(t, "rescope-padmin")
	inNamespace(t, "rescope-padmin", project, "admin")
	answers(t, "GET", "/api/v1/namespaces/"+project, token, 200)
	for target, want := range map[string]bool{
		"?fieldSelector=metadata.name%3D" + project: true, "?fieldSelector=metadata.name%3Ddefault": false, "": true,
	} {
		r := shared.send(t, "GET", "/api/v1/namespaces"+target, token, "")
		if r.code != 200 || strings.Contains(string(r.body), `"name":"`+project+`"`) != want || strings.Contains(string(r.body), `"name":"default"`) {
			t.Errorf("namespaces%s: %d %.300s", target, r.code, r.body)
		}
	}
	var watches []<-chan frame
	for _, target := range []string{
		"/api/v1/namespaces?watch=true", "/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3D" + project, "/api/v1/watch/namespaces/" + project,
	} {
		response := stream(t, target, bearer(token))
		events := make(chan frame, 1024)
		go func() {
			defer close(events)
			for decoder := json.NewDecoder(response.Body); ; {
				var f frame
				if decoder.Decode(&f) != nil {
					return
				}
				events <- f
			}
		}()
		next(t, events, watch.Added, project)
		watches = append(watches, events)
	}
	if output, err := kubectl(t, token, "", "delete", "namespace", project, "--timeout=60s"); err != nil {
		t.Errorf("kubectl delete: %v %s", err, output)
	}
	for n, events := range watches {
		next(t, events, watch.Deleted, project)
		_ = n
	}
}

// TestWatchEndsWithTheRight: a watch ends within seconds of the right to it, and one of
// the own projects tells that the member was removed.
func TestWatchEndsWithTheRight(t *testing.T) {
	t.Parallel()
	workspace(t, "rescope-r")
	const project = "rescope-r-project"
	c, token := kubernetes(t, ""), user(t, "rescope-removed")
	inNamespace(t, "rescope-removed", project, "viewer")
	answers(t, "GET", "/api/v1/namespaces/"+project+"/configmaps", token, 200)
	create(t, c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "before"}})
	direct := frames(t, stream(t, kapisViewer+"/namespaces/"+project+"/configmaps?watch=true", bearer(token)))
	spaces := stream(t, "/api/v1/namespaces?watch=true", bearer(token))
	response := stream(t, "/api/v1/namespaces/"+project+"/configmaps?watch=true", bearer(token))
	ended := make(chan time.Time, 1)
	go func() {
		var f frame
		for decoder := json.NewDecoder(response.Body); decoder.Decode(&f) == nil; {
		}
		ended <- time.Now()
	}()
	told := make(chan frame, 16)
	go func() {
		for decoder := json.NewDecoder(spaces.Body); ; {
			var f frame
			if decoder.Decode(&f) != nil {
				return
			}
			told <- f
		}
	}()
	next(t, told, watch.Added, project)
	next(t, direct, watch.Added, "before")
	removed := time.Now()
	if err := c.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "rescope-removed-viewer"}}); err != nil {
		t.Fatal(err)
	}
	next(t, told, watch.Deleted, project)
	select {
	case at := <-ended:
		if at.Sub(removed) > 8*time.Second {
			t.Errorf("the watch went on for %s", at.Sub(removed))
		}
	case <-time.After(10 * time.Second):
		t.Error("the watch goes on")
	}
	for range direct { // until it ends
	}
}

// TestGuardedWritesUnderContention: updates without a version and JSON patches succeed
// while another client writes the role.
func TestGuardedWritesUnderContention(t *testing.T) {
	t.Parallel()
	workspace(t, "rescope-g")
	const project = "rescope-g-project"
	token := user(t, "rescope-writer")
	inNamespace(t, "rescope-writer", project, "admin")
	c := kubernetes(t, "")
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "contended", Labels: map[string]string{"a": "b"}}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}}
	create(t, c, role)
	path := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + project + "/roles/contended"
	answers(t, "GET", path, token, 200)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_ = c.Patch(ctx, &rbacv1.Role{ObjectMeta: role.ObjectMeta}, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"annotations":{"n":"%d"}}}`, n)))
		}
	})
	defer writing.Wait()
	defer stop()
	body := `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"contended","labels":{"a":"c"}},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}`
	for n := range 30 {
		if r := shared.send(t, http.MethodPut, path, token, body); r.code != 200 {
			t.Fatalf("update %d: %d %s", n, r.code, r.body)
		}
		if r := shared.send(t, http.MethodPatch, path, token, asJSONPatch, header("Content-Type", "application/json-patch+json")); r.code != 200 {
			t.Fatalf("JSON patch %d: %d %s", n, r.code, r.body)
		}
	}
}
