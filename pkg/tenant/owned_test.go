package tenant

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func meta(namespace, name, workspace string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: namespace, Name: name}
	if workspace != "" {
		m.Labels = map[string]string{iamv1alpha2.LabelWorkspace: workspace}
	}
	return m
}

func roleBases() []client.Object {
	return []client.Object{
		base64Base("WorkspaceRole", "workspace-admin", nil, ""), base64Base("WorkspaceRole", "workspace-viewer", nil, ""),
		base64Base("Role", "project-admin", nil, ""), base64Base("Role", "project-operator", nil, ""),
	}
}

func userNamed(name string) *iamv1alpha2.User {
	return &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// TestWorkspaceNames: a new workspace takes nothing that is there already.
func TestWorkspaceNames(t *testing.T) {
	role := func(name, workspace string) *iamv1alpha2.WorkspaceRole {
		return &iamv1alpha2.WorkspaceRole{ObjectMeta: meta("", name, workspace), Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}}
	}
	for _, test := range []struct {
		name, workspace string
		objects         []client.Object
		code            int32 // 0 when it works
	}{
		{"free", "crew", nil, 0},
		{"a role of another workspace", "crew", []client.Object{role("crew-admin", "w1")}, 409},
		{"another of its roles", "crew", []client.Object{role("crew-viewer", "w1")}, 409},
		{"a role of none", "crew", []client.Object{role("crew-admin", "")}, 409},
		{"a role of a shorter name", "a-b", []client.Object{role("a-b-admin", "a")}, 409},
		{"a role that only begins so", "crew", []client.Object{role("crew-admins", "w1")}, 0},
		{"a binding of another workspace", "crew", []client.Object{&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta("", "crew-admin", "w1")}}, 409},
		{"a binding that waits", "crew", []client.Object{&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta("", "x", "crew")}}, 409},
		{"a role that waits", "crew", []client.Object{role("x", "crew")}, 409},
		{"a group that waits", "crew", []client.Object{&iamv1alpha2.Group{ObjectMeta: meta("", "x", "crew")}}, 409},
		{"a namespace", "crew", []client.Object{&corev1.Namespace{ObjectMeta: meta("", "x", "crew")}}, 409},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cluster(t, append(append(test.objects, roleBases()...), userNamed("prov"))...)
			_, err := (&Workspaces{Client: c}).Create(t.Context(), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: test.workspace}}, "prov")
			if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
				t.Errorf("got %v, want %d", err, test.code)
			}
		})
	}
}

// TestTakenNames: an administrator of the platform could not see in the conflict about a new
// workspace whose role was in the way.
func TestTakenNames(t *testing.T) {
	for owner, want := range map[string]string{"w2": "it belongs to workspace w2; delete it (kubectl delete workspaceroles.iam.kubesphere.io finance-admin)", "": "it belongs to no workspace; delete it"} {
		c := cluster(t, append(roleBases(), userNamed("prov"), &iamv1alpha2.WorkspaceRole{ObjectMeta: meta("", "finance-admin", owner)})...)
		_, err := (&Workspaces{Client: c}).Create(t.Context(), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "finance"}}, "prov")
		var taken *TakenError
		if !errors.As(err, &taken) || !apierrors.IsAlreadyExists(err) || strings.Contains(err.Error(), "w2") {
			t.Fatalf("of %q: %v", owner, err)
		}
		if explained := taken.Explained(); !apierrors.IsAlreadyExists(explained) || !strings.Contains(explained.Error(), want) {
			t.Errorf("of %q: %v", owner, explained)
		}
	}
}

// TestQuotaNames: a member of one workspace took the name of another for a quota, so that the
// quota of that one could not be created.
func TestQuotaNames(t *testing.T) {
	template := func(name string) client.Object {
		return &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	for _, test := range []struct {
		name, workspace, quota string
		code                   int32 // 0 when it works
	}{
		{"of the workspace", "w1", "w1", 0},
		{"another name", "w2", "team", 0},
		{"of a workspace there is not", "w2", "w3", 0},
		{"of another workspace", "w2", "w1", 403},
	} {
		quotas := &Quotas{Client: cluster(t, template("w1"), template("w2"))}
		_, err := quotas.Create(t.Context(), test.workspace, &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: test.quota}})
		if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestTakeOver: reconciling takes over what is of the workspace, as after a
// restore, and nothing else.
func TestTakeOver(t *testing.T) {
	template := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "crew", UID: "2"}}
	template.Spec.Template.Spec.Manager = "prov"
	owner := []metav1.OwnerReference{{Kind: "WorkspaceTemplate", Name: "crew", UID: "1"}}
	other := []metav1.OwnerReference{{Kind: "WorkspaceTemplate", Name: "w1", UID: "9"}}
	for _, test := range []struct {
		name   string
		change func(role *iamv1alpha2.WorkspaceRole, binding *iamv1alpha2.WorkspaceRoleBinding)
		may    bool
	}{
		{"of an earlier UID", func(role *iamv1alpha2.WorkspaceRole, binding *iamv1alpha2.WorkspaceRoleBinding) {
			role.OwnerReferences, binding.OwnerReferences = owner, owner
		}, true},
		{"a role of another workspace", func(role *iamv1alpha2.WorkspaceRole, _ *iamv1alpha2.WorkspaceRoleBinding) {
			role.Labels = map[string]string{iamv1alpha2.LabelWorkspace: "w1"}
		}, false},
		{"a role with the owner of another", func(role *iamv1alpha2.WorkspaceRole, _ *iamv1alpha2.WorkspaceRoleBinding) {
			role.OwnerReferences = other
		}, false},
		{"a binding of another workspace", func(_ *iamv1alpha2.WorkspaceRole, binding *iamv1alpha2.WorkspaceRoleBinding) {
			binding.Labels = map[string]string{iamv1alpha2.LabelWorkspace: "w1"}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			role := &iamv1alpha2.WorkspaceRole{ObjectMeta: meta("", "crew-admin", "crew")}
			binding := &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta("", "crew-admin", "crew"), Subjects: []rbacv1.Subject{{Kind: "User", Name: "former"}}}
			test.change(role, binding)
			c := cluster(t, append(roleBases(), role, binding, template)...)
			err := (&Workspaces{Client: c}).Ensure(t.Context(), template)
			if (err == nil) != test.may || err != nil && status.Of(err).Code != 409 {
				t.Fatalf("got %v", err)
			}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(binding), binding); err != nil || (binding.Subjects[0].Name == "prov") != test.may {
				t.Errorf("the binding is %+v, %v", binding.Subjects, err)
			}
			// Without a manager only the own binding goes.
			template := template.DeepCopy()
			template.Spec.Template.Spec.Manager = ""
			_ = (&Workspaces{Client: c}).Ensure(t.Context(), template)
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(binding), binding); (err == nil) == test.may {
				t.Errorf("without a manager: %v", err)
			}
		})
	}
}

// TestProjectNames: a new project gets nothing of what had its name before.
func TestProjectNames(t *testing.T) {
	for _, test := range []struct {
		name, project string
		left          client.Object
		code          int32 // 0 when it works
	}{
		{"free", "py1", nil, 0},
		{"a namespace", "py1", &corev1.Namespace{ObjectMeta: meta("", "py1", "w1")}, 409},
		{"a binding", "py1", &rbacv1.RoleBinding{ObjectMeta: meta("py1", "wadmin-admin", "")}, 409},
		{"a role", "py1", &rbacv1.Role{ObjectMeta: meta("py1", "x", "")}, 409},
		{"a service account", "py1", &corev1.ServiceAccount{ObjectMeta: meta("py1", "x", "")}, 409},
		{"a secret", "py1", &corev1.Secret{ObjectMeta: meta("py1", "x", "")}, 409},
		{"a binding elsewhere", "py1", &rbacv1.RoleBinding{ObjectMeta: meta("py2", "x", "")}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := append(roleBases(), userNamed("otherw"), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: meta("", "w2", "")})
			if test.left != nil {
				objects = append(objects, test.left)
			}
			c := cluster(t, objects...)
			p := &Projects{Client: c, Bindings: &iam.Bindings{Client: c}, Now: time.Now, BoundNames: &BoundNames{Source: &fixedRights{}}}
			_, err := p.Create(t.Context(), "w2", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: test.project}}, &user.DefaultInfo{Name: "otherw"})
			if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
				t.Errorf("got %v, want %d", err, test.code)
			}
		})
	}
}

// TestCreatorOnce: who may write a namespace does not become its administrator.
func TestCreatorOnce(t *testing.T) {
	builtIn := map[string]string{iamv1alpha2.AnnotationCreator: "system"}
	for _, test := range []struct {
		name  string
		roles []client.Object
		label bool
		bound bool
		wider bool // whether the role operator is the platform's
	}{
		{"a new namespace", nil, false, true, true},
		{"one that had its creator", nil, true, false, true},
		{"one whose label was removed", []client.Object{&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "admin", Annotations: builtIn}}}, false, false, true},
		{"one with a chart's role", []client.Object{&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "operator"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}}}}}, false, true, false},
		{"one with a user's role", []client.Object{&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "operator", Annotations: map[string]string{iamv1alpha2.AnnotationCreator: "poper", iamv1alpha2.AnnotationAggregationRoles: "[]"}},
			Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}}},
		}}, false, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			namespace := &corev1.Namespace{ObjectMeta: meta("", "p1", "w1")}
			namespace.Annotations = map[string]string{iamv1alpha2.AnnotationCreator: "poper"}
			if test.label {
				namespace.Labels[tenantv1alpha2.LabelNamespace] = "p1"
			}
			c := cluster(t, append(append(roleBases(), userNamed("poper"), namespace), test.roles...)...)
			p := &Projects{Client: c, Bindings: &iam.Bindings{Client: c}, Now: time.Now}
			if _, err := p.Ensure(t.Context(), namespace); err != nil {
				t.Fatal(err)
			}
			bindings := &rbacv1.RoleBindingList{}
			if err := c.List(t.Context(), bindings); err != nil || (len(bindings.Items) == 1) != test.bound {
				t.Errorf("bound %+v, %v", bindings.Items, err)
			}
			operator := &rbacv1.Role{}
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "p1", Name: "operator"}, operator); err != nil || (len(operator.Rules) == 0) != test.wider {
				t.Errorf("the role is %+v, %v", operator.Rules, err)
			}
		})
	}
	// A namespace with such a role does not come to another workspace.
	c := cluster(t, append(roleBases(), &corev1.Namespace{ObjectMeta: meta("", "p1", "w1")}, &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: meta("", "w2", "")},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "operator"}})...)
	p := &Projects{Client: c, Bindings: &iam.Bindings{Client: c}, Now: time.Now}
	if _, err := p.Update(t.Context(), "w1", &corev1.Namespace{ObjectMeta: meta("", "p1", "w2")}, unchecked); err == nil || status.Of(err).Code != 409 {
		t.Errorf("moved: %v", err)
	}
}

// TestQuotaParts: one part counts in a namespace, and a name that is taken does
// not lift the limit.
func TestQuotaParts(t *testing.T) {
	labels := map[string]string{LabelQuota: "wq"}
	for _, test := range []struct {
		name    string
		objects []client.Object
		parts   int
	}{
		{"none", nil, 1},
		{"the one", []client.Object{&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "workspace-wq", Labels: labels}}}, 1},
		{"a forged one", []client.Object{
			&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "a", Labels: labels}},
			&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "workspace-wq", Labels: labels}},
		}, 1},
		{"its name for another", []client.Object{&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "p1", Name: "workspace-wq"}}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			quota := &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "wq"}}
			quota.Spec.LabelSelector, quota.Spec.Quota.Hard = of("w1"), amounts("pods", "1")
			quota.Labels = of("w1")
			c := cluster(t, append(test.objects, &corev1.Namespace{ObjectMeta: meta("", "p1", "w1")}, quota)...)
			if err := (&Quotas{Client: c}).Distribute(t.Context(), quota); err != nil {
				t.Fatal(err)
			}
			parts := &corev1.ResourceQuotaList{}
			if err := c.List(t.Context(), parts, client.MatchingLabels(labels)); err != nil || len(parts.Items) != test.parts {
				t.Fatalf("%d parts, %v", len(parts.Items), err)
			}
			if pods := parts.Items[0].Spec.Hard["pods"]; pods.String() != "1" {
				t.Errorf("the part is %+v", parts.Items[0].Spec)
			}
		})
	}
}
