package access

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/app"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// rolesPage is the reference of built-in roles. It is written with -update.
const rolesPage = "../../docs/roles.md"

// probe is something a role may reach, and the request for it.
type probe struct{ title, request string }

var projectProbes = []probe{
	{"sees pods", "GET /api/v1/namespaces/p/pods"},
	{"reads secrets", "GET /api/v1/namespaces/p/secrets/a"},
	{"changes workloads", "PATCH /apis/apps/v1/namespaces/p/deployments/a"},
	{"runs commands in pods", "POST /api/v1/namespaces/p/pods/a/exec"},
	{"changes quotas and limits", "PATCH /api/v1/namespaces/p/resourcequotas/a"},
	{"deletes the project", "DELETE /api/v1/namespaces/p"},
	{"invites members of projects", "POST /kapis/iam.kubesphere.io/v1alpha2/namespaces/p/members"},
	{"writes roles of projects", "POST /kapis/iam.kubesphere.io/v1alpha2/namespaces/p/roles"},
}

var workspaceProbes = []probe{
	{"sees the workspace", "GET /kapis/tenant.kubesphere.io/v1alpha2/workspaces/w"},
	{"creates projects", "POST /kapis/tenant.kubesphere.io/v1alpha2/workspaces/w/namespaces"},
	{"invites members", "POST /kapis/iam.kubesphere.io/v1alpha2/workspaces/w/workspacemembers"},
	{"writes roles", "POST /kapis/iam.kubesphere.io/v1alpha2/workspaces/w/workspaceroles"},
	{"manages groups", "POST /kapis/iam.kubesphere.io/v1alpha2/workspaces/w/groups"},
	{"changes the workspace", "PATCH /kapis/tenant.kubesphere.io/v1alpha2/workspaces/w"},
}

var clusterProbes = []probe{
	{"sees nodes", "GET /api/v1/nodes"},
	{"changes nodes", "PATCH /api/v1/nodes/n"},
	{"reads secrets of all projects", "GET /api/v1/namespaces/p/secrets/a"},
	{"changes workloads of all projects", "PATCH /apis/apps/v1/namespaces/p/deployments/a"},
	{"runs commands in all pods", "POST /api/v1/namespaces/p/pods/a/exec"},
	{"deletes projects", "DELETE /api/v1/namespaces/p"},
	{"writes cluster roles", "POST /kapis/iam.kubesphere.io/v1alpha2/clusterroles"},
	{"defines types", "PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"},
}

var platformProbes = []probe{
	{"sees users", "GET /kapis/iam.kubesphere.io/v1alpha2/users"},
	{"creates users", "POST /kapis/iam.kubesphere.io/v1alpha2/users"},
	{"writes global roles", "POST /kapis/iam.kubesphere.io/v1alpha2/globalroles"},
	{"creates workspaces", "POST /kapis/tenant.kubesphere.io/v1alpha2/workspaces"},
	{"deletes workspaces", "DELETE /kapis/tenant.kubesphere.io/v1alpha2/workspaces/w"},
}

// ownedProbes are what takes a name in a role, or all rights on the platform.
var ownedProbes = []probe{
	{"acts as other users", "impersonate users"},
	{"issues service account tokens", "POST /api/v1/namespaces/p/serviceaccounts/a/token"},
	{"reads the platform's secrets", "GET /api/v1/namespaces/kubesphere-system/secrets/a"},
}

// builtIn is a role or template of the manifests.
type builtIn struct {
	name, description string
	template          bool
	rules             []rbacv1.PolicyRule
}

// scopeOfRoles is a section of the page.
type scopeOfRoles struct {
	title, kind, place, intro string
	probes                    []probe
	roles                     []builtIn
}

func scopesOfRoles(t *testing.T) []scopeOfRoles {
	t.Helper()
	all := []scopeOfRoles{
		{title: "Platform", kind: "GlobalRole", intro: "Global roles count on the platform and everywhere below. The names are those of the objects.", probes: slices.Concat(platformProbes, clusterProbes, ownedProbes)},
		{title: "Cluster", kind: "ClusterRole", intro: "Cluster roles count in the cluster and in all its namespaces.", probes: slices.Concat(platformProbes, clusterProbes, ownedProbes)},
		{title: "Workspace", kind: "WorkspaceRole", place: "w", intro: "Each workspace has its own, named `WORKSPACE-admin` and so on; they count in the workspace and its projects.", probes: slices.Concat(workspaceProbes, projectProbes, ownedProbes)},
		{title: "Project", kind: "Role", place: "p", intro: "Each project has its own, named `admin`, `operator` and `viewer`; they count in the project.", probes: slices.Concat(projectProbes, ownedProbes)},
	}
	for _, m := range read(t) {
		if m.Role != nil {
			m = *m.Role
		}
		for n := range all {
			if all[n].kind != m.Kind {
				continue
			}
			if m.Kind == "ClusterRole" && m.Metadata.Name == "cluster-admin" { // Kubernetes has it
				m.Rules = append(authz.Everything(), rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}})
			}
			one := builtIn{name: m.Metadata.Name, rules: m.Rules, description: m.Metadata.Annotations["kubesphere.io/description"]}
			if one.template = strings.HasPrefix(one.name, "role-template-"); one.template {
				one.description = m.Metadata.Annotations["kubesphere.io/alias-name"]
			}
			all[n].roles = append(all[n].roles, one)
		}
	}
	return all
}

// holder decides for user reader, who has nothing but a role and what everyone has
// who is logged in.
func holder(base rights, groups []route.Group, scope scopeOfRoles, role builtIn) authorizer.UnconditionalAuthorizer {
	all := base.all
	binding := &iam.Binding{Name: "reader", RoleRef: rbacv1.RoleRef{Kind: scope.kind, Name: "probed"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "reader"}}}
	held := &iam.Role{Name: "probed", Rules: role.rules}
	add := func(roles *[]*iam.Role, bindings *[]*iam.Binding) {
		*roles, *bindings = append(slices.Clip(*roles), held), append(slices.Clip(*bindings), binding)
	}
	switch scope.kind {
	case "GlobalRole":
		add(&all.GlobalRoles.Items, &all.GlobalRoleBindings.Items)
	case "ClusterRole":
		add(&all.ClusterRoles.Items, &all.ClusterRoleBindings.Items)
	case "WorkspaceRole":
		held.Workspace, binding.Workspace = scope.place, scope.place
		add(&all.WorkspaceRoles.Items, &all.WorkspaceRoleBindings.Items)
	case "Role":
		held.Namespace, binding.Namespace = scope.place, scope.place
		add(&all.Roles.Items, &all.RoleBindings.Items)
	}
	return app.Authorizer(groups, &authz.RBAC{Source: rights{all}, Platform: authz.NewPlatform(reserved.New(reserved.Options{CredentialNamespaces: []string{"kubesphere-terminals"}}))})
}

// TestRolesPage: the reference says what the manifests and the authorizer do.
func TestRolesPage(t *testing.T) {
	page, base, groups := rolesIntro, world(t), app.Routes()
	for _, scope := range scopesOfRoles(t) {
		page += "\n## " + scope.title + "\n\n" + scope.intro + "\n"
		for _, templates := range []bool{false, true} {
			page += rolesTable(t, scope, templates, func(role builtIn) authorizer.UnconditionalAuthorizer { return holder(base, groups, scope, role) })
		}
	}
	if *update {
		if err := os.WriteFile(rolesPage, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(rolesPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(page)) {
		t.Errorf("%s is not current: go test ./test/access -update, and review the difference", rolesPage)
	}
}

// rolesTable is a row for each role, or template, with what it reaches and its rules.
func rolesTable(t *testing.T, scope scopeOfRoles, templates bool, holder func(builtIn) authorizer.UnconditionalAuthorizer) string {
	t.Helper()
	var b strings.Builder
	heading := "role"
	if templates {
		heading = "template"
	}
	fmt.Fprintf(&b, "\n| %s | for | reaches | rules |\n|---|---|---|---|\n", heading)
	for _, role := range scope.roles {
		if role.template != templates {
			continue
		}
		decide := holder(role)
		var reached []string
		for _, p := range scope.probes {
			if method, target, _ := strings.Cut(p.request, " "); decision(t, decide, "reader", method, target) == "yes" {
				reached = append(reached, p.title)
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", role.name, role.description, strings.Join(reached, ", "), rulesText(role.rules))
	}
	return b.String()
}

// rulesText is the rules of a role in a cell of a table.
func rulesText(rules []rbacv1.PolicyRule) string {
	cells := make([]string, 0, len(rules))
	for n := range rules {
		rule := &rules[n]
		what := strings.Join(rule.NonResourceURLs, " ")
		if len(rule.Resources) > 0 {
			groups := make([]string, 0, len(rule.APIGroups))
			for _, group := range rule.APIGroups {
				if group == "" {
					group = "core"
				}
				groups = append(groups, group)
			}
			what = strings.Join(rule.Resources, " ") + " of " + strings.Join(groups, " ")
		}
		cells = append(cells, "`"+strings.Join(rule.Verbs, " ")+"` on `"+what+"`")
	}
	return strings.Join(cells, "<br>")
}

const rolesIntro = `# Built-in roles

What each role and template that comes with the platform reaches. The tables are written
from ` + "`config/iam`" + ` and the decisions of the authorizer by ` + "`go test ./test/access -update`" + `; a test
fails while they are not current. [test/access/matrix.tsv](../test/access/matrix.tsv) has every
operation for every role.

Roles in projects list their verbs: at kube-apiserver, for service accounts of the project, a
` + "`*`" + ` includes the powers below. A role with ` + "`*`" + ` that was copied from one of the platform is
rewritten so ([Upgrading](operations.md#upgrading)). Who has everything in a project writes no role with
` + "`*`" + ` at ` + "`/apis/rbac.authorization.k8s.io`" + `, as in Kubernetes; below ` + "`/kapis`" + ` the verbs are listed instead.

Otherwise roles that KubeSphere 3.x or a person made stay as they are: an ` + "`operator`" + ` of 3.x has all of the
core group in its project, the namespace and its limits included. What follows about powers and
about the platform's objects holds for every role, whoever made it.

A custom role is made of templates: its rules are those of the templates its annotation
` + "`iam.kubesphere.io/aggregation-roles`" + ` names. It follows them when they change. Who has everything in
its place may name a template that is to come: a global or workspace role follows it from when it is there, a role of
a cluster or project, which service accounts also write past this server, when it is written again here.

Nobody gives a role whose rules they do not have. So "Members Management" alone invites
nobody into a role with further rules: a custom role also needs the templates whose rights
it shall give (for ` + "`WORKSPACE-regular`" + ` those named ` + "`view-basic`" + ` and ` + "`view-workspace-settings`" + `).
A refusal lists the rules that are missing.

Lists of one project below ` + "`/kapis/resources.kubesphere.io`" + ` take the resource in the group
` + "`resources.kubesphere.io`" + `, and ` + "`/api`" + ` and ` + "`/apis`" + ` take it in the group it has there: the templates
name both, and so do rules and scopes of tokens that shall reach both. A list of all
namespaces shows what may be listed in either.

## What a "*" does not include

Powers let their holder exceed a role. A rule grants them by name only, whatever else it
grants with ` + "`*`" + `; only the holder of ` + "`*` on `*`" + ` on the platform (` + "`platform-admin`" + `) has all of them.
No built-in role but that one names any, except where the tables say so.

| power | what it allows |
|---|---|
| ` + "`impersonate`" + ` (and verbs with a colon, such as ` + "`impersonate:user-info`" + `) | act as other users, groups and service accounts |
| ` + "`escalate`, `bind`" + ` | give rules and roles one does not hold |
| ` + "`approve`, `sign`, `attest`" + `; ` + "`certificatesigningrequests/approval`, `/status`" + ` | have certificates issued and trusted, by the signers the rule names |
| ` + "`certificatesigningrequests/nodeclient`, `/selfnodeclient`" + ` | request certificates of nodes (signers ` + "`kubernetes.io/kube-apiserver-client-kubelet`" + ` and ` + "`kubernetes.io/kubelet-serving`" + `), which Kubernetes approves by itself |
| ` + "`use`" + ` | security policies of pods |
| ` + "`namespaces/finalize`, `namespaces/status`" + ` | delete a namespace and leave its content |
| ` + "`serviceaccounts/token`" + ` | issue tokens, also by a Secret of type ` + "`kubernetes.io/service-account-token`" + ` |
| ` + "`pods/ephemeralcontainers`, `pods/binding`, `bindings`" + ` | add containers to running pods, place pods on nodes |
| ` + "`nodes/proxy`" + ` | the kubelet's API, with every pod of the node |
| ` + "`unsafe-delete-ignore-read-errors`" + ` | delete an object that cannot be read, without its finalizers: ` + "`ignoreStoreReadErrorWithClusterBreakingPotential`" + ` |
| writing ` + "`nodes/status`, `pods/status`, `services/status`, `ingresses/status`, `servicecidrs/status`, `ipaddresses`" + ` | the addresses that traffic goes to and that kube-apiserver connects to; also ` + "`status`, `podCIDR`" + ` and ` + "`providerID`" + ` of a node that is created or changed, and ` + "`externalIPs`" + ` of a service (all rights in the cluster suffice for these) |
| writing ` + "`resourcequotas/status`, `persistentvolumes/status`, `persistentvolumeclaims/status`, `volumeattachments` and `csinodes` with their `status`, `csistoragecapacities`, `resourceclaims/status`, `resourceslices`, `podgroups/status`" + ` | the use of quotas, volumes and devices by which components of the cluster place, bind and mount |
| writing ` + "`podcertificaterequests`" + ` with its ` + "`status`" + ` | certificates with the identity of pods |
| writing ` + "`customresourcedefinitions/status`, `apiservices/status`, `storageversions` with its `status`, `storageversionmigrations/status`" + ` | the conditions by which kube-apiserver serves types |

Reading through ` + "`pods/proxy`" + ` and ` + "`services/proxy`" + ` reaches the application with all effects a
request to it has. It takes the right to create them, or a rule that names the subresource with
` + "`get`" + `: roles to read everything (` + "`get list watch`" + ` on ` + "`*`" + `) do not include it.

Clients without an account (` + "`system:anonymous`, `system:unauthenticated`" + `) reach nothing through ` + "`proxy`" + `,
` + "`exec`, `attach`" + ` and ` + "`portforward`" + `, whatever roles they have.

Who gives a role to everybody, that is to ` + "`system:anonymous`, `system:unauthenticated`, `system:authenticated`,\n`system:pre-registration` or `system:serviceaccounts`, or to a subject whose name begins with `kubesphere:`" + `, needs all rights on the platform. Removing these takes what removing any subject takes.

Who writes a role or a binding needs the powers it names by name as well, unless with all
rights on the platform.

## What no role reaches

The platform's own credentials are for holders of all rights on the platform, and for no personal
access token. In the namespaces ` + "`kubesphere-system`, `kubesphere-controls-system`" + ` and the one of
terminals (` + "`terminal.kubectl.namespace`" + `) other roles read what they may read elsewhere, but no
Secrets, no ConfigMaps and nothing through exec, attach, port-forward or proxy, and they write
nothing but, by roles of the cluster, its gateway. Lists and watches of all namespaces leave these Secrets and ConfigMaps
out. Definitions of types in ` + "`*.kubesphere.io`" + `, and webhooks, admission policies and APIServices
that see or serve requests for the platform's objects, take the same.

There are limits no authorization here can draw. Who may run privileged pods, or pods with a
service account that Kubernetes lets do everything, has the node or the cluster by Kubernetes'
own means. Give ` + "`cluster-admin`" + ` of the cluster the platform runs in to people who could as
well be administrators of the platform. So do rights to storage of the cluster: who writes
PersistentVolumes (` + "`role-template-manage-volumes`" + ` of clusters), VolumeSnapshotContents or CSIDrivers
mounts the file system of a node, or the volumes of others, by a claim in any project, whatever the Pod
Security of the project says. Give these templates to administrators of the cluster.

Who writes Endpoints or EndpointSlices of a project, as its administrators and operators may, sends
requests for its Services to any address in the cluster, also around the network isolation of
other projects (CVE-2021-25740). Where projects are isolated from each other, give them roles without.

## Members and roles of others

Nobody gives a role without holding its rules, and nobody takes one from another user, deletes
or narrows it without holding them. Parts of a workspace's quota are changed in the workspace. Quotas and LimitRanges with the label
` + "`quota.kubesphere.io/protected`" + ` take all rights in the cluster.
`
