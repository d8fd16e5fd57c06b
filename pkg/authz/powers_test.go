package authz

import (
	"fmt"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// powers are requests that a "*" does not include, each with a rule that names it.
var powers = []struct {
	request string
	named   rbacv1.PolicyRule
}{
	{`impersonate "" users jane`, rules("impersonate", "*", "*")[0]},
	{`impersonate "" users jane`, rules("impersonate", "", "users")[0]},
	{`impersonate:user-info authentication.k8s.io users jane`, rules("impersonate:user-info", "*", "*")[0]},
	{`escalate rbac.authorization.k8s.io roles r`, rules("escalate", "*", "roles")[0]},
	{`bind rbac.authorization.k8s.io clusterroles r`, rules("bind", "*", "clusterroles")[0]},
	{`approve certificates.k8s.io signers s`, rules("approve", "certificates.k8s.io", "*")[0]},
	{`sign certificates.k8s.io signers s`, rules("sign", "certificates.k8s.io", "*")[0]},
	{`attest certificates.k8s.io signers s`, rules("attest", "certificates.k8s.io", "*")[0]},
	{`use policy podsecuritypolicies p`, rules("use", "*", "*")[0]},
	{`use security.openshift.io securitycontextconstraints privileged`, rules("use", "*", "*")[0]},
	{`arbitrary-node:update resource.k8s.io resourceclaims/driver d`, rules("arbitrary-node:update", "*", "resourceclaims/driver")[0]},
	{`unsafe-delete-ignore-read-errors "" secrets s`, rules("unsafe-delete-ignore-read-errors", "*", "*")[0]},
	{`update "" namespaces/finalize p`, rules("*", "", "namespaces/finalize")[0]},
	{`update "" namespaces/finalize p`, rules("*", "*", "*/finalize")[0]},
	{`update "" namespaces/status p`, rules("*", "", "namespaces/status")[0]},
	{`create "" serviceaccounts/token a`, rules("create", "*", "serviceaccounts/token")[0]},
	{`update "" pods/ephemeralcontainers a`, rules("*", "*", "pods/ephemeralcontainers")[0]},
	{`patch "" pods/ephemeralcontainers a`, rules("patch", "", "*/ephemeralcontainers")[0]},
	{`create "" pods/binding a`, rules("*", "*", "pods/binding")[0]},
	{`create "" bindings`, rules("*", "*", "bindings")[0]},
	{`get "" nodes/proxy n`, rules("get", "", "nodes/proxy")[0]},
	{`create "" nodes/proxy n`, rules("*", "*", "nodes/proxy")[0]},
	{`proxy "" nodes n`, rules("*", "*", "nodes")[0]},
	{`patch "" pods/status a`, rules("*", "*", "pods/status")[0]},
	{`patch "" services/status a`, rules("*", "*", "services/status")[0]},
	{`update "" resourcequotas/status a`, rules("*", "*", "resourcequotas/status")[0]},
	{`patch networking.k8s.io ingresses/status a`, rules("*", "*", "*/status")[0]},
	{`update resource.k8s.io resourceclaims/status a`, rules("*", "*", "*/status")[0]},
	{`patch "" nodes/status n`, rules("patch", "", "nodes/status")[0]},
	{`update "" nodes/status n`, rules("*", "*", "*/status")[0]},
	{`patch "" persistentvolumeclaims/status c`, rules("*", "", "persistentvolumeclaims/status")[0]},
	{`patch storage.k8s.io volumeattachments/status v`, rules("*", "*", "*/status")[0]},
	{`create storage.k8s.io volumeattachments`, rules("*", "storage.k8s.io", "volumeattachments")[0]},
	{`patch storage.k8s.io csinodes n`, rules("*", "*", "csinodes")[0]},
	{`patch storage.k8s.io csinodes/status n`, rules("*", "storage.k8s.io", "csinodes/status")[0]},
	{`create storage.k8s.io csistoragecapacities`, rules("create", "storage.k8s.io", "csistoragecapacities")[0]},
	{`delete networking.k8s.io ipaddresses 10.96.0.1`, rules("delete", "networking.k8s.io", "ipaddresses")[0]},
	{`deletecollection networking.k8s.io ipaddresses`, rules("*", "*", "ipaddresses")[0]},
	{`update networking.k8s.io servicecidrs/status kubernetes`, rules("*", "networking.k8s.io", "*/status")[0]},
	{`create resource.k8s.io resourceslices`, rules("*", "resource.k8s.io", "resourceslices")[0]},
	{`patch scheduling.k8s.io podgroups/status g`, rules("*", "*", "podgroups/status")[0]},
	{`create certificates.k8s.io podcertificaterequests`, rules("create", "*", "podcertificaterequests")[0]},
	{`update certificates.k8s.io podcertificaterequests/status p`, rules("*", "certificates.k8s.io", "*/status")[0]},
	{`patch apiextensions.k8s.io customresourcedefinitions/status widgets.example.com`, rules("*", "*", "customresourcedefinitions/status")[0]},
	{`update apiregistration.k8s.io apiservices/status v1.example.com`, rules("*", "apiregistration.k8s.io", "*/status")[0]},
	{`update internal.apiserver.k8s.io storageversions/status apps.deployments`, rules("*", "*", "storageversions/status")[0]},
	{`delete internal.apiserver.k8s.io storageversions apps.deployments`, rules("*", "*", "storageversions")[0]},
	{`update storagemigration.k8s.io storageversionmigrations/status m`, rules("*", "*", "*/status")[0]},
	{`create certificates.k8s.io certificatesigningrequests/nodeclient`, rules("create", "*", "certificatesigningrequests/nodeclient")[0]},
	{`create certificates.k8s.io certificatesigningrequests/selfnodeclient`, rules("create", "certificates.k8s.io", "*/selfnodeclient")[0]},
	{`update certificates.k8s.io certificatesigningrequests/approval c`, rules("*", "*", "certificatesigningrequests/approval")[0]},
	{`update certificates.k8s.io certificatesigningrequests/status c`, rules("*", "*", "certificatesigningrequests/status")[0]},
}

// ordinary are requests beside those that a "*" includes.
var ordinary = []string{
	`get "" namespaces/status p`, `get "" pods/status a`, `patch "" pods a`, `create "" pods/exec a`, `create "" pods/eviction a`, `patch "" pods/resize a`, `get "" pods/log a`,
	`get "" services/proxy a`, `create "" pods/portforward a`, `update apps deployments/status a`, `patch apps deployments/scale a`, `update example.com widgets/status a`, `get "" nodes/status n`, `patch "" nodes n`,
	`list storage.k8s.io csinodes`, `get networking.k8s.io ipaddresses 10.96.0.1`, `watch resource.k8s.io resourceslices`, `create networking.k8s.io servicecidrs`,
	`create coordination.k8s.io leases`, `update "" endpoints e`, `patch discovery.k8s.io endpointslices e`, `patch policy poddisruptionbudgets/status p`,
	`update flowcontrol.apiserver.k8s.io flowschemas/status f`, `patch admissionregistration.k8s.io validatingadmissionpolicies/status p`, `update batch jobs/status j`,
	`create rbac.authorization.k8s.io rolebindings`, `create certificates.k8s.io certificatesigningrequests`, `update iam.kubesphere.io users/password a`, `deletecollection "" secrets`,
}

// one is the state with a single role of a kind for user u, given in w, n or the
// cluster.
func one(kind string, held ...rbacv1.PolicyRule) *directory {
	d := &directory{}
	ref := rbacv1.RoleRef{Kind: kind, Name: "r"}
	subjects := []rbacv1.Subject{{Kind: "User", Name: "u"}}
	set(&d.rights.Namespaces, nameOf, adding(&iam.Namespace{Name: "n", Workspace: "w"}))
	switch kind {
	case "GlobalRole":
		d.role("r", held...)
		d.bind("r", subjects...)
	case "ClusterRole":
		set(&d.rights.ClusterRoles, roleName, adding(&iam.Role{Name: "r", Rules: held}))
		set(&d.rights.ClusterRoleBindings, bindingName, adding(&iam.Binding{Name: "b", RoleRef: ref, Subjects: subjects}))
	case "WorkspaceRole":
		set(&d.rights.WorkspaceRoles, roleName, adding(&iam.Role{Name: "r", Workspace: "w", Rules: held}))
		set(&d.rights.WorkspaceRoleBindings, bindingName, adding(&iam.Binding{Name: "b", Workspace: "w", RoleRef: ref, Subjects: subjects}))
	case "Role":
		set(&d.rights.Roles, roleName, adding(&iam.Role{Name: "r", Namespace: "n", Rules: held}))
		set(&d.rights.RoleBindings, bindingName, adding(&iam.Binding{Name: "b", Namespace: "n", RoleRef: ref, Subjects: subjects}))
	}
	return d
}

// TestPowers: all of everything is no power, but on the platform; a name is one.
func TestPowers(t *testing.T) {
	asks := func(d *directory, text string) bool {
		record := to(text)
		record.Namespace = "n"
		return allowed(t, &RBAC{Source: d}, &Attributes{Scope: Scope{Namespace: "n"}, AttributesRecord: record})
	}
	everything := Everything()[0]
	for _, kind := range []string{"GlobalRole", "ClusterRole", "WorkspaceRole", "Role"} {
		for _, power := range powers {
			if got := asks(one(kind, everything), power.request); got != (kind == "GlobalRole") {
				t.Errorf("%s by a %s with everything: %v", power.request, kind, got)
			}
			if !asks(one(kind, power.named), power.request) {
				t.Errorf("%s by a %s that names it in %v", power.request, kind, power.named)
			}
		}
		for _, request := range ordinary {
			if !asks(one(kind, everything), request) {
				t.Errorf("%s by a %s with everything", request, kind)
			}
		}
	}
	// Less than everything on the platform is no power either.
	for name, rule := range map[string]rbacv1.PolicyRule{
		"all verbs of the core group": rules("*", ",certificates.k8s.io,rbac.authorization.k8s.io", "*")[0],
		"users of all groups":         rules("*", "*", "users")[0],
		"all of some names":           {Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}, ResourceNames: []string{"jane", "a", "p", "n"}},
	} {
		for _, power := range powers {
			if power.request != `proxy "" nodes n` && asks(one("GlobalRole", rule), power.request) {
				t.Errorf("%s by %s", power.request, name)
			}
		}
	}
}

// TestPowersAreNotGiven: who has all of everything in a scope does not give powers
// by name that the same person does not have.
func TestPowersAreNotGiven(t *testing.T) {
	resource := schema.GroupResource{Group: rbacv1.GroupName, Resource: "roles"}
	who := &user.DefaultInfo{Name: "u"}
	for n, power := range powers {
		if power.request == `proxy "" nodes n` { // a name of a resource, and a verb nothing serves any more
			continue
		}
		rule := power.named
		for name, test := range map[string]struct {
			held []rbacv1.PolicyRule
			kind string
			want bool
		}{
			"everything in the project":   {Everything(), "Role", false},
			"everything in the workspace": {Everything(), "WorkspaceRole", false},
			"everything on the platform":  {Everything(), "GlobalRole", true},
			"the power itself":            {[]rbacv1.PolicyRule{rule}, "Role", true},
			"everything and the power":    {append(Everything(), rule), "Role", true},
		} {
			rbac := &RBAC{Source: one(test.kind, test.held...)}
			err := rbac.MayWriteRole(t.Context(), who, Scope{Namespace: "n"}, resource, "new", []rbacv1.PolicyRule{rule})
			if (err == nil) != test.want {
				t.Errorf("%d %v by who has %s: %v", n, rule, name, err)
			}
		}
	}
	project := &RBAC{Source: one("Role", Everything()...)}
	for name, given := range map[string][]rbacv1.PolicyRule{
		"everything":  Everything(),
		"a status":    rules("get,list", "", "pods/status"),
		"of workload": rules("*", "apps", "deployments/status,deployments/scale"),
		"commands":    rules("*", "", "pods/exec,services/proxy"),
		"of add-ons":  rules("*", "*", "pipelineruns/status,pipelineruns"),
	} {
		if err := project.MayWriteRole(t.Context(), who, Scope{Namespace: "n"}, resource, "new", given); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlatformObjects: no role but everything on the platform reaches what belongs
// to the platform, and no personal access token.
func TestPlatformObjects(t *testing.T) {
	platform := NewPlatform(reserved.New(reserved.Options{CredentialNamespaces: []string{"shells", ""}}))
	for text, owned := range map[string]bool{
		"get kubesphere-system secrets": true, "list kubesphere-system secrets": true, "watch shells secrets": true, "get kubesphere-controls-system configmaps": true,
		"list kubesphere-system configmaps": true, "get kubesphere-system pods/exec": true, "create kubesphere-system pods/exec": true, "create shells pods/attach": true,
		"get kubesphere-system services/proxy": true, "get shells pods/portforward": true, "create kubesphere-system pods": true, "patch kubesphere-system deployments": true,
		"create kubesphere-system cronjobs": true, "update kubesphere-system pods/ephemeralcontainers": true, "create kubesphere-system serviceaccounts/token": true,
		"create kubesphere-system rolebindings": true, "deletecollection kubesphere-system secrets": true, "delete kubesphere-system namespaces": true, "update shells namespaces/finalize": true,
		"patch kubesphere-system services": true, "create shells persistentvolumeclaims": true, "get kubesphere-system secrets.v1": true,
		"get kubesphere-system pods": false, "list kubesphere-system deployments": false, "get kubesphere-system pods/log": false, "get kubesphere-system namespaces": false,
		"get default secrets": false, "create default pods": false, "patch kube-system deployments": false, "list kubesphere-systems secrets": false,
	} {
		var verb, namespace, resource string
		if _, err := fmt.Sscan(text, &verb, &namespace, &resource); err != nil {
			t.Fatal(err)
		}
		record := to(verb + ` "" ` + resource + " a")
		record.Namespace = namespace
		if got := platform.Owns(record); got != owned {
			t.Errorf("%s: %v", text, got)
		}
		if !owned {
			continue
		}
		at := &Attributes{Scope: Scope{Namespace: namespace}, AttributesRecord: record}
		for kind, want := range map[string]bool{"ClusterRole": false, "GlobalRole": true} {
			d := one(kind, append(Everything(), rules("*", "*", "serviceaccounts/token,pods/ephemeralcontainers,namespaces/finalize")...)...)
			if got := allowed(t, &RBAC{Source: d, Platform: platform}, at); got != want {
				t.Errorf("%s by a %s with everything: %v", text, kind, got)
			}
			limited := *at
			limited.User = &user.DefaultInfo{Name: "u", Extra: map[string][]string{ExtraScopes: {"all"}}}
			if allowed(t, &RBAC{Source: d, Platform: platform}, &limited) {
				t.Errorf("%s by a personal access token of a %s with everything", text, kind)
			}
		}
	}
	for text, owned := range map[string]bool{
		"patch apiextensions.k8s.io customresourcedefinitions users.iam.kubesphere.io": true, "delete apiextensions.k8s.io customresourcedefinitions workspaces.tenant.kubesphere.io": true,
		"update apiextensions.k8s.io customresourcedefinitions/status users.iam.kubesphere.io": true, "deletecollection apiextensions.k8s.io customresourcedefinitions": true,
		"patch apiextensions.k8s.io customresourcedefinitions widgets.example.com": false, "get apiextensions.k8s.io customresourcedefinitions users.iam.kubesphere.io": false,
		`delete "" namespaces kubesphere-system`: true, `delete "" namespaces default`: false, `list "" secrets`: false,
	} {
		if got := platform.Owns(to(text)); got != owned {
			t.Errorf("%s: %v", text, got)
		}
	}
	gateway := to("create gateway.kubesphere.io gateways g")
	gateway.Namespace = "kubesphere-system"
	for kind, want := range map[string]bool{"ClusterRole": true, "GlobalRole": true, "WorkspaceRole": false, "Role": false} {
		d := one(kind, rules("*", "*", "gateways")...)
		set(&d.rights.Namespaces, nameOf, adding(&iam.Namespace{Name: "kubesphere-system", Workspace: "w"}))
		if got := allowed(t, &RBAC{Source: d, Platform: platform}, &Attributes{Scope: Scope{Namespace: "kubesphere-system"}, AttributesRecord: gateway}); got != want {
			t.Errorf("the gateway of the cluster is managed by a %s: %v", kind, got)
		}
	}
}

// TestHiddenNamespaces: lists of all namespaces leave out the platform's secrets.
func TestHiddenNamespaces(t *testing.T) {
	d := one("ClusterRole", rules("get,list,watch", "*", "*")...)
	set(&d.rights.Namespaces, nameOf, adding(&iam.Namespace{Name: "kubesphere-system", Workspace: "w"}))
	set(&d.rights.WorkspaceRoles, roleName, adding(&iam.Role{Name: "wr", Workspace: "w", Rules: Everything()}))
	set(&d.rights.WorkspaceRoleBindings, bindingName, adding(&iam.Binding{
		Name: "wb", Workspace: "w", RoleRef: rbacv1.RoleRef{Kind: "WorkspaceRole", Name: "wr"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "m"}},
	}))
	d.role("everything", Everything()...)
	d.bind("everything", rbacv1.Subject{Kind: "User", Name: "admin"})
	rbac := &RBAC{Source: d, Platform: NewPlatform(nil)}
	limited := &user.DefaultInfo{Name: "admin", Extra: map[string][]string{ExtraScopes: {"all"}}}
	for _, test := range []struct {
		who      user.Info
		resource string
		sees     map[string]bool
	}{
		{&user.DefaultInfo{Name: "u"}, "secrets", map[string]bool{"n": true, "kubesphere-system": false, "kubesphere-controls-system": false, "default": true}},
		{&user.DefaultInfo{Name: "u"}, "configmaps", map[string]bool{"n": true, "kubesphere-system": false}},
		{&user.DefaultInfo{Name: "u"}, "pods", map[string]bool{"n": true, "kubesphere-system": true}},
		{&user.DefaultInfo{Name: "m"}, "secrets", map[string]bool{"n": true, "kubesphere-system": false, "default": false}},
		{&user.DefaultInfo{Name: "m"}, "pods", map[string]bool{"n": true, "kubesphere-system": true}},
		{&user.DefaultInfo{Name: "admin"}, "secrets", map[string]bool{"n": true, "kubesphere-system": true}},
		{limited, "secrets", map[string]bool{"n": true, "kubesphere-system": false}},
	} {
		visible, err := rbac.VisibleNamespaces(t.Context(), test.who, Action{Verb: "list", Resource: test.resource})
		if err != nil {
			t.Fatal(err)
		}
		for namespace, want := range test.sees {
			if visible.Has(namespace) != want {
				t.Errorf("%s of %s seen by %s: %v", test.resource, namespace, test.who.GetName(), !want)
			}
		}
	}
}

// TestRevoke: who does not hold a role does not take it from others.
func TestRevoke(t *testing.T) {
	d := one("Role", rules("*", "*", "rolebindings,members")...)
	set(&d.rights.Roles, roleName, adding(&iam.Role{Name: "admin", Namespace: "n", Rules: Everything()}))
	set(&d.rights.Roles, roleName, adding(&iam.Role{Name: "token", Namespace: "n", Rules: rules("*", "", "serviceaccounts/token")}))
	set(&d.rights.RoleBindings, bindingName, adding(&iam.Binding{
		Name: "c", Namespace: "n", RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "admin"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "admin"}},
	}))
	rbac := &RBAC{Source: d, Platform: NewPlatform(nil)}
	for _, test := range []struct {
		who, role string
		want      bool
	}{{"u", "admin", false}, {"u", "r", true}, {"u", "none", true}, {"admin", "admin", true}, {"admin", "r", true}, {"admin", "token", true}} {
		err := rbac.MayRevoke(t.Context(), &user.DefaultInfo{Name: test.who}, Scope{Namespace: "n"}, rbacv1.RoleRef{Kind: "Role", Name: test.role})
		if (err == nil) != test.want {
			t.Errorf("%s takes %s: %v", test.who, test.role, err)
		}
	}
}
