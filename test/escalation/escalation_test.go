package escalation

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// imagined is a world without a server.
func imagined() *world {
	w := &world{subjects: subjects(), canaries: map[string]string{"canary-of-x": "x", "Y2FuYXJ5LW9mLXg=": "x"}}
	for _, one := range []struct {
		group, version, resource, kind string
		namespaced                     bool
	}{
		{"", "v1", "namespaces", "Namespace", false}, {"", "v1", "secrets", "Secret", true}, {"", "v1", "pods", "Pod", true},
		{"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true}, {"iam.kubesphere.io", "v1alpha2", "users", "User", false},
		{"certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", false},
	} {
		w.types = append(w.types, resourceType{GroupVersionResource: schema.GroupVersionResource{Group: one.group, Version: one.version, Resource: one.resource}, kind: one.kind, namespaced: one.namespaced})
	}
	w.operations = []operation{
		{"POST", "/kapis/iam.kubesphere.io/v1alpha2/workspaces/{workspace}/groups"}, {"PUT", "/kapis/iam.kubesphere.io/v1alpha2/workspaces/{workspace}/groups/{group}"},
		{"POST", "/kapis/{group}/{version}/workspaces/{workspace}/{resources}"},
		{"POST", "/kapis/iam.kubesphere.io/v1alpha2/namespaces/{namespace}/members"}, {"PATCH", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/{workspace}"}, {"GET", "/kapis/resources.kubesphere.io/v1alpha3/{resources}"},
	}
	return w
}

// TestSeed: a walk can be repeated, but for certificate requests, which have keys.
func TestSeed(t *testing.T) {
	a, b, other := newGenerator(imagined(), 7), newGenerator(imagined(), 7), newGenerator(imagined(), 8)
	differ := 0
	for n := range 5000 {
		x, y, z := a.next(), b.next(), other.next()
		if x.target != y.target || x.method != y.method || x.subject != y.subject || len(x.body) != len(y.body) && !reflect.DeepEqual(x.headers, y.headers) {
			t.Fatalf("request %d: %s and %s", n, &x, &y)
		}
		if x.target != z.target {
			differ++
		}
	}
	if differ < 4000 {
		t.Errorf("another seed makes %d other requests", differ)
	}
}

// TestGenerated: the generator makes requests of the kinds that found ways up.
func TestGenerated(t *testing.T) {
	g, found := newGenerator(imagined(), 1), make(map[string]bool)
	for range 50_000 {
		s := g.next()
		text := s.String()
		for name, parts := range map[string][]string{
			"a label of another workspace":  {"PATCH /api/v1/namespaces/" + ownProjects[0] + " ", `"kubesphere.io/workspace":"` + foreignWorkspace},
			"a creator":                     {"/api/v1/namespaces/" + ownProjects[0] + " ", `"kubesphere.io/creator":`},
			"finalizing":                    {"PUT /api/v1/namespaces/" + ownProjects[0] + "/finalize", `"finalizers":[]`},
			"impersonation":                 {"Impersonate-User:admin"},
			"a binding of everything":       {"rolebindings", `"name":"cluster-admin"`},
			"approving certificates":        {"certificatesigningrequests/", "/approval"},
			"a body of another namespace":   {"POST /api/v1/namespaces/" + ownProjects[0], `"namespace":"kube-system"`},
			"a path with a second decision": {"%2F..%2F" + foreignProject},
			"a parameter twice":             {"fieldSelector=metadata.name%3Dwalk&fieldSelector="},
			"a type below a workspace":      {"POST /kapis/certificates.k8s.io/v1/workspaces/" + ownWorkspace + "/certificatesigningrequests ", `"kind":"CertificateSigningRequest"`},
			"a group of others":             {"POST /kapis/iam.kubesphere.io/v1alpha2/workspaces/" + ownWorkspace + "/groups ", `"name":"` + foreignGroup},
			"the same group deleted":        {"DELETE /kapis/iam.kubesphere.io/v1alpha2/workspaces/" + ownWorkspace + "/groups/" + foreignGroup + " "},
			"an object of the name":         {"PUT /kapis/iam.kubesphere.io/v1alpha2/workspaces/" + ownWorkspace + "/groups/walk-x1 ", `"name":"walk-x1"`},
			"a lent project's creator":      {"/api/v1/namespaces/" + lentProject + " ", `"kubesphere.io/creator":"walk-none"`},
			"a label taken away":            {"PATCH /api/v1/namespaces/" + lentProject + " ", `"kubesphere.io/namespace":null`},
		} {
			if contains(text, parts...) {
				found[name] = true
			}
		}
	}
	if len(found) != 15 {
		t.Errorf("only %v are made", found)
	}
}

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// TestChanges: what belongs to the users may change, and nothing else.
func TestChanges(t *testing.T) {
	one, two := digest{sum: [32]byte{1}}, digest{sum: [32]byte{2}}
	in := func(workspace string) digest { return digest{sum: [32]byte{1}, workspace: workspace} }
	for _, test := range []struct {
		name          string
		before, after state
		want          int
	}{
		{"a secret of another project", state{"secrets walk-foreign-1/a": one}, state{"secrets walk-foreign-1/a": two}, 1},
		{"a secret of the platform deleted", state{"secrets kubesphere-system/a": one}, state{}, 1},
		{"a new pod of Kubernetes' namespace", state{}, state{"configmaps kube-system/a": one}, 1},
		{"the own secret", state{"secrets walk-own-1/a": one}, state{"secrets walk-own-1/a": two}, 0},
		{"the own project deleted", state{"namespaces /walk-own-1": one}, state{}, 0},
		{"another project", state{"namespaces /walk-foreign-1": one}, state{"namespaces /walk-foreign-1": two}, 1},
		{"a role of the cluster", state{}, state{"clusterroles.rbac.authorization.k8s.io /walk-x1": one}, 1},
		{"a role that stands for the rules of the own workspace, which is deleted", state{"clusterroles.rbac.authorization.k8s.io /kubesphere:rules:1": one}, state{}, 0},
		{"a role that stands for new rules", state{}, state{"clusterroles.rbac.authorization.k8s.io /kubesphere:rules:1": one}, 0},
		{"a role that stands for rules, with others", state{"clusterroles.rbac.authorization.k8s.io /kubesphere:rules:1": one}, state{"clusterroles.rbac.authorization.k8s.io /kubesphere:rules:1": two}, 1},
		{"a workspace", state{}, state{"workspaces.tenant.kubesphere.io /walk-x1": one}, 0},
		{"a binding in the own workspace", state{}, state{"workspacerolebindings.iam.kubesphere.io /b": in(ownWorkspace)}, 0},
		{"a binding in another workspace", state{}, state{"workspacerolebindings.iam.kubesphere.io /b": in(foreignWorkspace)}, 1},
		{"a global role", state{}, state{"globalrolebindings.iam.kubesphere.io /b": one}, 1},
		{"an administrator", state{"users.iam.kubesphere.io /admin": one}, state{"users.iam.kubesphere.io /admin": two}, 1},
		{"the own account", state{"users.iam.kubesphere.io /walk-self": one}, state{"users.iam.kubesphere.io /walk-self": two}, 0},
		{"a binding in the lent project", state{}, state{"rolebindings.rbac.authorization.k8s.io walk-foreign-2/b": one}, 1},
		{"a pod's settings in the lent project", state{"configmaps walk-foreign-2/a": one}, state{"configmaps walk-foreign-2/a": two}, 0},
		{"the lent project", state{"namespaces /walk-foreign-2": one}, state{}, 1},
		{"a new user", state{}, state{"users.iam.kubesphere.io /bob": one}, 0},
		{"a new user's role", state{}, state{"globalrolebindings.iam.kubesphere.io /bob": {role: "platform-regular"}}, 0},
		{"a new user as administrator", state{}, state{"globalrolebindings.iam.kubesphere.io /bob": {role: "platform-admin"}}, 1},
		{"the mirror of rules", state{}, state{"clusterroles.rbac.authorization.k8s.io /kubesphere:rules:x": one}, 0},
		{"the mirror of administrators", state{}, state{"clusterrolebindings.rbac.authorization.k8s.io /kubesphere:administrators": one}, 1},
		{"what only the platform writes", state{"namespaces /walk-own-1": {kept: one.sum}}, state{"namespaces /walk-own-1": {kept: two.sum}}, 1},
		{"what Kubernetes takes when it deletes", state{"namespaces /walk-own-1": {kept: one.sum}}, state{"namespaces /walk-own-1": {}}, 0},
		{"a project as a namespace of no workspace", state{}, state{"namespaces /other": one}, 1},
	} {
		if got := changes(test.before, test.after); len(got) != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestCanaries(t *testing.T) {
	w := imagined()
	for text, want := range map[string]int{`{"text":"canary-of-x"}`: 1, `{"text":"Y2FuYXJ5LW9mLXg="}`: 1, `{"text":"canary-of-y"}`: 0} {
		if got := w.seen([]byte(text)); len(got) != want {
			t.Errorf("%s: %v", text, fmt.Sprint(got))
		}
	}
}

func TestOrphans(t *testing.T) {
	var none digest
	got := orphans(state{"namespaces /a": none, "secrets a/x": none, "secrets b/y": none, "nodes /c": none})
	if len(got) != 1 || !strings.HasSuffix(got[0], "secrets b/y") {
		t.Errorf("got %q", got)
	}
}

// TestDigests: of namespaces that users may write it is compared what they may not.
func TestDigests(t *testing.T) {
	namespace := func(name string, change func(*unstructured.Unstructured)) state {
		object := &unstructured.Unstructured{Object: fields{"spec": fields{"finalizers": []any{"kubernetes"}}}}
		object.SetName(name)
		object.SetLabels(map[string]string{"kubesphere.io/workspace": foreignWorkspace, "kubesphere.io/namespace": name})
		object.SetAnnotations(map[string]string{"kubesphere.io/creator": "admin"})
		if change != nil {
			change(object)
		}
		typ := imagined().typeOf("", "namespaces")
		return state{key(typ, object): digestOf(typ, object)}
	}
	labelled := func(label, value string) func(*unstructured.Unstructured) {
		return func(object *unstructured.Unstructured) {
			labels := object.GetLabels()
			labels[label] = value
			object.SetLabels(labels)
		}
	}
	createdBy := func(name string) func(*unstructured.Unstructured) {
		return func(object *unstructured.Unstructured) {
			object.SetAnnotations(map[string]string{"kubesphere.io/creator": name})
		}
	}
	withoutFinalizers := func(object *unstructured.Unstructured) { object.Object["spec"] = fields{} }
	for _, test := range []struct {
		name, namespace string
		change          func(*unstructured.Unstructured)
		want            int
	}{
		{"a label of the own project", ownProjects[0], labelled("a", "b"), 0},
		{"Pod Security of the own project", ownProjects[0], labelled("pod-security.kubernetes.io/enforce", "privileged"), 1},
		{"finalizers of the own project", ownProjects[0], withoutFinalizers, 1},
		{"finalizers of one that is deleted", ownProjects[0], func(object *unstructured.Unstructured) {
			withoutFinalizers(object)
			object.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
		}, 0},
		{"a label of the lent project", lentProject, labelled("a", "b"), 0},
		{"the workspace of the lent project", lentProject, labelled("kubesphere.io/workspace", ownWorkspace), 1},
		{"another creator of the lent project", lentProject, createdBy("walk-none"), 1},
		{"the own name as the creator", lentProject, createdBy(lentWriter), 0},
		{"a label of another project", foreignProject, labelled("a", "b"), 1},
	} {
		if got := changes(namespace(test.namespace, nil), namespace(test.namespace, test.change)); len(got) != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// TestSending: a subject's requests are sent in order, and one object is replaced by what the
// subject reads with changes.
func TestSending(t *testing.T) {
	var lock sync.Mutex
	received := make(map[string][]string) // by token
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		lock.Lock()
		defer lock.Unlock()
		received[r.Header.Get("Authorization")] = append(received[r.Header.Get("Authorization")], r.Method+" "+r.URL.Path+" "+string(body))
		_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"7"},"spec":{"a":"b"}}`)
	}))
	defer server.Close()
	w := imagined()
	w.target.URL, w.client = server.URL, server.Client()
	w.subjects[0].token, w.subjects[1].token = "a", "b"
	answers := w.sendAll(t.Context(), []step{
		{subject: 0, method: "POST", target: "/x"}, {subject: 1, method: "PUT", target: "/x/1/finalize?a", body: []byte(`{"spec":{"a":"c"}}`), onto: true}, {subject: 0, method: "DELETE", target: "/x/1"},
	})
	want := map[string][]string{
		"Bearer a": {"POST /x ", "DELETE /x/1 "},
		"Bearer b": {"GET /x/1 ", `PUT /x/1/finalize {"metadata":{"resourceVersion":"7"},"spec":{"a":"c"}}`},
	}
	if !reflect.DeepEqual(received, want) {
		t.Errorf("received %q", received)
	}
	for n, method := range []string{"POST", "PUT", "DELETE"} {
		if answers[n].method != method || answers[n].code != http.StatusOK {
			t.Errorf("answer %d is of %s: %d", n, answers[n].method, answers[n].code)
		}
	}
}
