package escalation

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

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
	w.operations = []operation{{"POST", "/kapis/iam.kubesphere.io/v1alpha2/namespaces/{namespace}/members"}, {"PATCH", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/{workspace}"}, {"GET", "/kapis/resources.kubesphere.io/v1alpha3/{resources}"}}
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
		} {
			if contains(text, parts...) {
				found[name] = true
			}
		}
	}
	if len(found) != 9 {
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
