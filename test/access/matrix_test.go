package access

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	manifests "github.com/super-kubenetes/ks-apiserver/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/app"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

var update = flag.Bool("update", false, "write the table anew")

const table = "matrix.tsv"

// The world of the table: workspace w with namespaces p and q, workspace v with
// namespace x and, as KubeSphere 3.x labels it, kubesphere-system, and namespace
// kube-system of no workspace. Namespace p is that of DevOps project d.
var namespaces = []*iam.Namespace{
	{Name: "kube-system"}, {Name: "kubesphere-system", Workspace: "v"}, {Name: "p", Workspace: "w", DevOps: "d"}, {Name: "q", Workspace: "w"}, {Name: "x", Workspace: "v"},
}

// callers are the columns of the table. All requests are about workspace w,
// namespace p and user somebody.
var callers = []struct{ name, kind, role, place string }{
	{name: "anonymous"}, {name: "pre-registration"}, {name: "nobody"}, {name: "somebody"},
	{"platform-regular", "GlobalRole", "platform-regular", ""},
	{"platform-self-provisioner", "GlobalRole", "platform-self-provisioner", ""},
	{"platform-admin", "GlobalRole", "platform-admin", ""},
	{"cluster-viewer", "ClusterRole", "cluster-viewer", ""},
	{"cluster-admin", "ClusterRole", "cluster-admin", ""},
	{"workspace-regular", "WorkspaceRole", "workspace-regular", "w"},
	{"workspace-viewer", "WorkspaceRole", "workspace-viewer", "w"},
	{"workspace-self-provisioner", "WorkspaceRole", "workspace-self-provisioner", "w"},
	{"workspace-admin", "WorkspaceRole", "workspace-admin", "w"},
	{"other-workspace-admin", "WorkspaceRole", "workspace-admin", "v"},
	{"project-viewer", "Role", "project-viewer", "p"},
	{"project-operator", "Role", "project-operator", "p"},
	{"project-admin", "Role", "project-admin", "p"},
	{"other-project-admin", "Role", "project-admin", "q"},
}

// more are requests of Kubernetes and of the viewer that the routes do not tell
// apart, since their paths name any resource.
var more = []string{
	// Requests for another cluster are decided about like all others (upstream
	// passed them on before).
	"GET /api/clusters/member/v1/nodes", "GET /kapis/clusters/member/resources.kubesphere.io/v1alpha3/nodes", "GET /kapis/clusters/member/iam.kubesphere.io/v1alpha2/users",
	"GET /api", "GET /apis", "GET /version", "GET /metrics", "GET /no/such/path",
	"GET /api/v1/nodes", "GET /api/v1/pods", "GET /api/v1/namespaces", "GET /api/v1/namespaces?watch=true", "POST /api/v1/namespaces",
	"GET /api/v1/namespaces/p", "PATCH /api/v1/namespaces/p", "DELETE /api/v1/namespaces/p",
	// The one narrowed to a name is the list everybody has of the own ones.
	"GET /api/v1/namespaces?fieldSelector=metadata.name%3Dp", "GET /api/v1/namespaces?fieldSelector=metadata.name%3Dp&watch=true", "GET /api/v1/watch/namespaces/p",
	"GET /api/v1/namespaces/p/pods", "POST /api/v1/namespaces/p/pods", "DELETE /api/v1/namespaces/p/pods", "GET /api/v1/namespaces/p/pods/a/log",
	"GET /api/v1/namespaces/p/pods/a/exec", "POST /api/v1/namespaces/p/pods/a/exec", "GET /api/v1/namespaces/p/secrets", "GET /api/v1/namespaces/p/secrets/a",
	"POST /api/v1/namespaces/p/serviceaccounts/a/token",
	"GET /api/v1/namespaces/kube-system/pods", "GET /api/v1/namespaces/kube-system/secrets", "GET /api/v1/namespaces/x/pods",
	"PATCH /apis/apps/v1/namespaces/p/deployments/a", "PATCH /apis/apps/v1/namespaces/p/deployments/a/scale",
	"POST /apis/rbac.authorization.k8s.io/v1/namespaces/p/roles", "POST /apis/rbac.authorization.k8s.io/v1/namespaces/p/rolebindings",
	"POST /apis/rbac.authorization.k8s.io/v1/clusterroles", "POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"GET /apis/iam.kubesphere.io/v1alpha2/users", "PATCH /apis/iam.kubesphere.io/v1alpha2/users/somebody", "POST /apis/iam.kubesphere.io/v1alpha2/globalrolebindings",
	"POST /apis/iam.kubesphere.io/v1alpha2/workspacerolebindings", "GET /apis/iam.kubesphere.io/v1alpha2/sessions",
	"DELETE /apis/tenant.kubesphere.io/v1alpha1/workspaces/w", "POST /apis/authorization.k8s.io/v1/subjectaccessreviews",
	// A DevOps project without a namespace is no way to anything.
	"GET /kapis/iam.kubesphere.io/v1alpha2/devops/none/members", "POST /kapis/iam.kubesphere.io/v1alpha2/devops/none/members",
	"DELETE /kapis/iam.kubesphere.io/v1alpha2/devops/none/roles/a", "GET /kapis/iam.kubesphere.io/v1alpha2/devops/d/namespaces/q/members",
	// Below a workspace, what belongs to workspaces takes a right there, and all else one in the cluster.
	"POST /kapis/quota.kubesphere.io/v1alpha2/workspaces/w/resourcequotas", "GET /kapis/quota.kubesphere.io/v1alpha2/workspaces/w/resourcequotas",
	"POST /kapis/admissionregistration.k8s.io/v1/workspaces/w/mutatingwebhookconfigurations", "PUT /kapis/app.example.com/v1/workspaces/w",
	"GET /kapis/resources.kubesphere.io/v1alpha3/nodes", "GET /kapis/resources.kubesphere.io/v1alpha3/users", "GET /kapis/resources.kubesphere.io/v1alpha3/sessions",
	"GET /kapis/resources.kubesphere.io/v1alpha3/workspaces", "GET /kapis/resources.kubesphere.io/v1alpha3/namespaces", "GET /kapis/resources.kubesphere.io/v1alpha3/clusterroles",
	"GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/p/secrets", "GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/kube-system/secrets",
}

// rights are everybody's, by the manifests a cluster is set up with.
type rights struct{ all iam.Rights }

func (r rights) Rights(context.Context) (iam.Rights, error) { return r.all, nil }

// manifest is what the table needs of an object.
type manifest struct {
	Kind     string
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Rules    []rbacv1.PolicyRule
	RoleRef  rbacv1.RoleRef
	Subjects []rbacv1.Subject
	Role     *manifest
}

func read(t *testing.T) []manifest {
	t.Helper()
	var all []manifest
	err := fs.WalkDir(manifests.IAM, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := manifests.IAM.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		for decoder := utilyaml.NewYAMLOrJSONDecoder(file, 4096); ; {
			var one manifest
			if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, one)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func world(t *testing.T) rights {
	t.Helper()
	var r iam.Rights
	bases := map[string][]rbacv1.PolicyRule{}
	for _, m := range read(t) {
		switch m.Kind {
		case "GlobalRole":
			r.GlobalRoles.Items = append(r.GlobalRoles.Items, &iam.Role{Name: m.Metadata.Name, Rules: m.Rules})
		case "GlobalRoleBinding":
			r.GlobalRoleBindings.Items = append(r.GlobalRoleBindings.Items, &iam.Binding{Name: m.Metadata.Name, RoleRef: m.RoleRef, Subjects: m.Subjects})
		case "ClusterRole":
			if m.Metadata.Name == "cluster-admin" { // Kubernetes has it
				every := []string{"*"}
				m.Rules = []rbacv1.PolicyRule{{Verbs: every, APIGroups: every, Resources: every}, {Verbs: every, NonResourceURLs: every}}
			}
			r.ClusterRoles.Items = append(r.ClusterRoles.Items, &iam.Role{Name: m.Metadata.Name, Rules: m.Rules})
		case "RoleBase":
			bases[m.Role.Metadata.Name] = m.Role.Rules
		}
	}
	r.Namespaces.Items = namespaces
	for _, caller := range callers {
		binding := &iam.Binding{Name: caller.name, RoleRef: rbacv1.RoleRef{Kind: caller.kind, Name: caller.role}, Subjects: []rbacv1.Subject{{Kind: "User", Name: caller.name}}}
		switch caller.kind {
		case "GlobalRole":
			r.GlobalRoleBindings.Items = append(r.GlobalRoleBindings.Items, binding)
		case "ClusterRole":
			r.ClusterRoleBindings.Items = append(r.ClusterRoleBindings.Items, binding)
		case "WorkspaceRole":
			binding.Workspace, binding.RoleRef.Name = caller.place, caller.place+"-"+caller.role
			r.WorkspaceRoles.Items = append(r.WorkspaceRoles.Items, &iam.Role{Name: binding.RoleRef.Name, Workspace: caller.place, Rules: must(t, bases, caller.role)})
			r.WorkspaceRoleBindings.Items = append(r.WorkspaceRoleBindings.Items, binding)
		case "Role":
			binding.Namespace = caller.place
			r.Roles.Items = append(r.Roles.Items, &iam.Role{Name: caller.role, Namespace: caller.place, Rules: must(t, bases, caller.role)})
			r.RoleBindings.Items = append(r.RoleBindings.Items, binding)
		}
	}
	for _, revision := range []*uint64{
		&r.GlobalRoles.Revision, &r.GlobalRoleBindings.Revision, &r.ClusterRoles.Revision, &r.ClusterRoleBindings.Revision, &r.Namespaces.Revision,
		&r.WorkspaceRoles.Revision, &r.WorkspaceRoleBindings.Revision, &r.Roles.Revision, &r.RoleBindings.Revision,
	} {
		*revision = 1
	}
	return rights{r}
}

func must(t *testing.T, bases map[string][]rbacv1.PolicyRule, name string) []rbacv1.PolicyRule {
	t.Helper()
	rules, found := bases[name]
	if !found {
		t.Fatalf("no role base %s", name)
	}
	return rules
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// example is a request for a route.
func example(path string) string {
	return parameter.ReplaceAllStringFunc(path, func(name string) string {
		switch strings.Trim(name, "{}.") {
		case "workspace":
			return "w"
		case "namespace":
			return "p"
		case "devops":
			return "d"
		case "user", "member", "workspacemember", "clustermember":
			return "somebody"
		case "resources":
			return "pods"
		case "group":
			return "apps"
		case "version":
			return "v1"
		}
		return "a"
	})
}

// TestMatrix compares the decisions about all requests with the table.
func TestMatrix(t *testing.T) {
	groups := app.Routes()
	decide := app.Authorizer(groups, &authz.RBAC{Source: world(t), Platform: authz.NewPlatform(reserved.New(reserved.Options{CredentialNamespaces: []string{"kubesphere-terminals"}}))})
	requests := map[string]string{} // examples by what is shown
	for name := range virtualVerbs {
		requests[name] = name
	}
	for g := range groups {
		for n := range groups[g].Routes {
			r := &groups[g].Routes[n]
			requests[r.Method+" "+groups[g].Path(r)] = r.Method + " " + example(groups[g].Path(r))
		}
	}
	for _, one := range append(more, ownedRequests...) {
		requests[one] = one
	}
	names := make([]string, 0, len(requests))
	for name := range requests {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		_, pathA, _ := strings.Cut(a, " ")
		_, pathB, _ := strings.Cut(b, " ")
		return strings.Compare(pathA+" "+a, pathB+" "+b)
	})
	var b strings.Builder
	b.WriteString("request")
	for _, caller := range callers {
		b.WriteString("\t" + caller.name)
	}
	b.WriteString("\n")
	for _, name := range names {
		b.WriteString(name)
		method, target, _ := strings.Cut(requests[name], " ")
		for _, caller := range callers {
			b.WriteString("\t" + decision(t, decide, caller.name, method, target))
		}
		b.WriteString("\n")
	}
	if *update {
		if err := os.WriteFile(table, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for _, line := range got {
		if !slices.Contains(wanted, line) {
			t.Errorf("the table does not have\n%s", line)
		}
	}
	for _, line := range wanted {
		if !slices.Contains(got, line) {
			t.Errorf("the table has\n%s", line)
		}
	}
	if t.Failed() {
		t.Log("when the change is meant: go test ./test/access -update, and review the difference")
	}
}

func decision(t *testing.T, decide authorizer.UnconditionalAuthorizer, name, method, target string) string {
	t.Helper()
	if virtual, found := virtualVerbs[method+" "+target]; found {
		return verdict(t, decide, name, &virtual)
	}
	info, err := request.Parse(httptest.NewRequest(method, target, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range namespaces {
		if info.DevOps != "" && one.DevOps == info.DevOps {
			info.InNamespace(one.Name) // as the server does
		}
	}
	return verdict(t, decide, name, authz.AttributesOf(info))
}

func verdict(t *testing.T, decide authorizer.UnconditionalAuthorizer, name string, a *authz.Attributes) string {
	t.Helper()
	a.User = caller(name)
	got, _, err := decide.Authorize(t.Context(), a)
	switch {
	case err != nil:
		t.Fatal(err)
	case got == authorizer.DecisionAllow:
		return "yes"
	case name == "anonymous":
		return "401"
	}
	return "403"
}

// caller is the user of a column.
func caller(name string) user.Info {
	who := &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}
	switch name {
	case "pre-registration":
		who.Groups = append(who.Groups, name)
	case "anonymous":
		who = &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	}
	return who
}

// TestTemplates: every template a built-in role is made of exists, in its scope,
// and says which menus it opens.
func TestTemplates(t *testing.T) {
	templates := map[string]map[string]bool{}
	all := read(t)
	for n := range all {
		m := &all[n]
		if m.Role != nil {
			m = m.Role
		}
		if templates[m.Kind] == nil {
			templates[m.Kind] = map[string]bool{}
		}
		templates[m.Kind][m.Metadata.Name] = true
	}
	for kind, fewest := range map[string]int{"GlobalRole": 13, "ClusterRole": 30, "WorkspaceRole": 18, "Role": 35} {
		count := 0
		for name := range templates[kind] {
			if strings.HasPrefix(name, "role-template-") {
				count++
			}
		}
		if count < fewest {
			t.Errorf("%d templates of %s", count, kind)
		}
	}
	err := fs.WalkDir(manifests.IAM, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(manifests.IAM, path)
		if err != nil {
			return err
		}
		for _, list := range regexp.MustCompile(`(?:aggregation-roles|dependencies): '(\[.*\])'`).FindAllSubmatch(text, -1) {
			var names []string
			if err := json.Unmarshal(list[1], &names); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, name := range names {
				found := false
				for _, kind := range templates {
					found = found || kind[name]
				}
				if !found {
					t.Errorf("%s: there is no template %s", path, name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
