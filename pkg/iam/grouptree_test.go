package iam

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func newGroups(c client.Client) *Groups { return &Groups{Client: c, Bindings: &Bindings{Client: c}} }

func groupBelow(workspace, name, parent string) *iamv1alpha2.Group {
	labels := map[string]string{iamv1alpha2.LabelWorkspace: workspace}
	if parent != "" {
		labels[iamv1alpha2.LabelGroupParent] = parent
	}
	return &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Finalizers: []string{iamv1alpha2.FinalizerGroup}}}
}

func subjects(kind string, names ...string) []rbacv1.Subject {
	var all []rbacv1.Subject
	for _, name := range names {
		all = append(all, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: kind, Name: name})
	}
	return all
}

func inWorkspace(workspace string) map[string]string {
	return map[string]string{iamv1alpha2.LabelWorkspace: workspace}
}

// TestGroupParents: groups are below groups of their workspace, and none is
// below itself.
func TestGroupParents(t *testing.T) {
	chain := []client.Object{groupBelow("w", "top", ""), groupBelow("w", "a", "b"), groupBelow("w", "b", "top"), groupBelow("v", "other", ""), groupBelow("w", "old", "gone")}
	for n := range maxGroupDepth {
		chain = append(chain, groupBelow("w", fmt.Sprintf("deep-%d", n+1), fmt.Sprintf("deep-%d", n)))
	}
	going := groupBelow("w", "going", "")
	going.DeletionTimestamp, going.Finalizers = new(metav1.Now()), []string{iamv1alpha2.FinalizerGroup}
	chain = append(chain, groupBelow("w", "deep-0", ""), going, groupBelow("w", "below-going", "going"))
	for _, test := range []struct {
		name, group, parent string
		code                int32 // 0 when it works
	}{
		{"a parent", "top", "old", 0},
		{"itself", "top", "top", 422},
		{"one that is below it", "top", "a", 422},
		{"no object of the console's root", "a", "root", 0},
		{"none", "a", "", 0},
		{"one that is not there", "top", "missing", 404},
		{"one of another workspace", "top", "other", 404},
		{"one that is being deleted", "top", "going", 409},
		{"one below that", "top", "below-going", 409},
		{"one of many", "top", fmt.Sprintf("deep-%d", maxGroupDepth), 422},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := newGroups(cluster(t, chain...)).Update(t.Context(), "w", groupBelow("w", test.group, test.parent), unchecked)
			if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
				t.Errorf("got %v, want %d", err, test.code)
			}
		})
	}
}

// TestDeleteGroups: deleting ends also where parents are a cycle, and takes
// nothing of other workspaces.
func TestDeleteGroups(t *testing.T) {
	binding := &iamv1alpha2.GroupBinding{ObjectMeta: metav1.ObjectMeta{Name: "m", Labels: inWorkspace("w")}, GroupRef: iamv1alpha2.GroupReference{Name: "b"}, Users: []string{"u"}}
	user := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "u"}, Spec: iamv1alpha2.UserSpec{Groups: []string{"b", "idp"}}}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}
	role := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
	in := func(namespace string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: "r"}
	}
	c := cluster(t,
		groupBelow("w", "self", "self"), groupBelow("w", "a", "b"), groupBelow("w", "b", "a"), groupBelow("w", "c", "b"), groupBelow("v", "elsewhere", "a"),
		binding, user,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine", Labels: inWorkspace("w")}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Labels: inWorkspace("v")}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: role("ops"), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "a")},
		&iamv1alpha2.GlobalRoleBinding{ObjectMeta: role("ops"), Subjects: subjects(rbacv1.GroupKind, "a")},
		&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "ours", Labels: inWorkspace("w")}, Subjects: subjects(rbacv1.GroupKind, "a")},
		&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Labels: inWorkspace("v")}, Subjects: subjects(rbacv1.GroupKind, "a")},
		&rbacv1.RoleBinding{ObjectMeta: in("mine"), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "a")},
		&rbacv1.RoleBinding{ObjectMeta: in("theirs"), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "a")},
	)
	g := newGroups(c)
	for _, name := range []string{"self", "a"} {
		if err := g.Delete(t.Context(), "w", name); err != nil {
			t.Errorf("deleting %s: %v", name, err)
		}
	}
	left := &iamv1alpha2.GroupList{}
	if err := c.List(t.Context(), left); err != nil || len(left.Items) != 1 || left.Items[0].Name != "elsewhere" {
		t.Errorf("left are %+v, %v", left.Items, err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(user), user); err != nil || !slices.Equal(user.Spec.Groups, []string{"idp"}) {
		t.Errorf("the member has %v, %v", user.Spec.Groups, err)
	}
	for object, gone := range map[client.Object]bool{
		&rbacv1.ClusterRoleBinding{ObjectMeta: role("ops")}: false, &iamv1alpha2.GlobalRoleBinding{ObjectMeta: role("ops")}: false,
		&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: role("ours")}: true, &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: role("theirs")}: false,
		&rbacv1.RoleBinding{ObjectMeta: in("mine")}: true, &rbacv1.RoleBinding{ObjectMeta: in("theirs")}: false,
		&iamv1alpha2.GroupBinding{ObjectMeta: role("m")}: true,
	} {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); apierrors.IsNotFound(err) != gone {
			t.Errorf("%T %s/%s: %v", object, object.GetNamespace(), object.GetName(), err)
		}
	}
}

// TestBoundNames: a name that gives somebody something is not free.
func TestBoundNames(t *testing.T) {
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}
	meta := func(namespace, name string, labels map[string]string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}
	}
	namespaces := []client.Object{
		&corev1.Namespace{ObjectMeta: meta("", "mine", inWorkspace("w"))}, &corev1.Namespace{ObjectMeta: meta("", "theirs", inWorkspace("v"))},
		&corev1.Namespace{ObjectMeta: meta("", "nobodys", nil)}, &corev1.Namespace{ObjectMeta: meta("", "platforms", inWorkspace("system-workspace"))},
	}
	for _, test := range []struct {
		name        string
		objects     []client.Object
		group, user bool // whether one of the name can be created
	}{
		{"nothing", nil, true, true},
		{"a cluster role", []client.Object{&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")}}, false, true},
		{"a user's cluster role", []client.Object{&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.UserKind, "ops")}}, true, false},
		{"a user's role in a project", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("theirs", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.UserKind, "ops")}}, true, true},
		{"a user's role in a namespace of the platform", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("kube-system", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.UserKind, "ops")}}, true, false},
		{"a user's role in a workspace", []client.Object{&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta("", "b", inWorkspace("v")), Subjects: subjects(rbacv1.UserKind, "ops")}}, true, true},
		{"what is left of an earlier user", []client.Object{&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "b", map[string]string{iamv1alpha2.LabelUserReference: "ops"}), RoleRef: ref, Subjects: subjects(rbacv1.UserKind, "ops")}}, true, true},
		{"a global role", []client.Object{&iamv1alpha2.GlobalRoleBinding{ObjectMeta: meta("", "b", nil), Subjects: subjects(rbacv1.GroupKind, "ops")}}, false, true},
		{"a role in the workspace", []client.Object{&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta("", "b", inWorkspace("w")), Subjects: subjects(rbacv1.GroupKind, "ops")}}, true, true},
		{"a role in another workspace", []client.Object{&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta("", "foreign", inWorkspace("v")), Subjects: subjects(rbacv1.GroupKind, "ops")}}, true, true},
		{"a role in a project", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("mine", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")}}, true, true},
		{"a role in another project", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("theirs", "foreign", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")}}, true, true},
		// Creating one of the name deleted the bindings of groups and users of kube-apiserver.
		{"a role in a namespace of no workspace", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("nobodys", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")}}, false, true},
		{"a user's role in a namespace of no workspace", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("nobodys", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.UserKind, "ops")}}, true, false},
		{"a user's role in a namespace that is gone", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("gone", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.UserKind, "ops")}}, true, false},
		{"a role in the workspace of the platform", []client.Object{&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta("", "b", inWorkspace("system-workspace")), Subjects: subjects(rbacv1.GroupKind, "ops")}}, false, true},
		{"a user's role in the workspace of the platform", []client.Object{&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta("", "b", inWorkspace("system-workspace")), Subjects: subjects(rbacv1.UserKind, "ops")}}, true, false},
		{"a role in a project of the workspace of the platform", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("platforms", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")}}, false, true},
		{"a role in a namespace of no workspace beside one in another project", []client.Object{
			&rbacv1.RoleBinding{ObjectMeta: meta("nobodys", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")},
			&rbacv1.RoleBinding{ObjectMeta: meta("theirs", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")},
		}, false, true},
		{"a role in a namespace of the platform", []client.Object{&rbacv1.RoleBinding{ObjectMeta: meta("kube-system", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")}}, false, true},
		{"a role in another project beside one of the cluster", []client.Object{
			&rbacv1.RoleBinding{ObjectMeta: meta("theirs", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")},
			&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", "b", nil), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "ops")},
		}, false, true},
		{"members from an identity provider", []client.Object{&iamv1alpha2.User{ObjectMeta: meta("", "u", nil), Spec: iamv1alpha2.UserSpec{Groups: []string{"ops"}}}}, false, true},
		{"a membership in another workspace", []client.Object{&iamv1alpha2.GroupBinding{ObjectMeta: meta("", "m", inWorkspace("v")), GroupRef: iamv1alpha2.GroupReference{Name: "ops"}}}, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, confirmed := range []bool{false, true} {
				groups := newGroups(cluster(t, append(test.objects, namespaces...)...))
				before, _ := groups.Bindings.ofSubject(t.Context(), rbacv1.GroupKind, "ops")
				_, err := groups.Create(t.Context(), "w", groupBelow("w", "ops", ""), confirmed)
				if !confirmed { // what others gave the name is taken away with the creation only
					before = slices.DeleteFunc(before, func(b binding) bool { return err == nil && b.object.GetName() == "foreign" })
				}
				if left, listErr := groups.Bindings.ofSubject(t.Context(), rbacv1.GroupKind, "ops"); listErr != nil || !slices.Equal(references(left), references(before)) {
					t.Errorf("the group, confirmed %v, has %v, %v, want %v", confirmed, references(left), listErr, references(before))
				}
				var bound *BoundError
				if (err == nil) != (test.group || confirmed) || err != nil && (!errors.As(err, &bound) || status.Of(err).Code != 409) {
					t.Errorf("a group, confirmed %v: %v", confirmed, err)
				}
				users := newUsers(cluster(t, append(test.objects, namespaces...)...), &ended{})
				create := users.Create
				if confirmed {
					create = users.CreateBound
				}
				wanted := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "ops"}}
				if _, err = create(t.Context(), wanted, "platform-regular"); (err == nil) != (test.user || confirmed) || err != nil && (!errors.As(err, &bound) || status.Of(err).Code != 409) {
					t.Errorf("a user, confirmed %v: %v", confirmed, err)
				}
				if left, listErr := users.Bindings.ofSubject(t.Context(), rbacv1.UserKind, "ops"); listErr != nil || err == nil && !confirmed && len(left) != 1 {
					t.Errorf("a new user has %d roles, want the one it was created with: %v", len(left), listErr)
				}
			}
		})
	}
}

// TestGroupOfOthers: whoever asked for the name of another workspace's group learned its
// members, and took roles from it.
func TestGroupOfOthers(t *testing.T) {
	c := cluster(t, groupBelow("v", "ops", ""), &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Spec: iamv1alpha2.UserSpec{Groups: []string{"ops"}}},
		&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: inWorkspace("v")}, Subjects: subjects(rbacv1.GroupKind, "ops")})
	for _, confirmed := range []bool{false, true} {
		_, err := newGroups(c).Create(t.Context(), "w", groupBelow("w", "ops", ""), confirmed)
		if !apierrors.IsAlreadyExists(err) || strings.Contains(err.Error(), "user") {
			t.Errorf("confirmed %v: %v", confirmed, err)
		}
	}
	if left, err := newGroups(c).Bindings.ofSubject(t.Context(), rbacv1.GroupKind, "ops"); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", references(left), err)
	}
}

// TestDropConflict: whoever changed a binding at the same time kept a subject in it.
func TestDropConflict(t *testing.T) {
	stored := &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: inWorkspace("v")}, Subjects: subjects(rbacv1.GroupKind, "ops")}
	for _, more := range []string{"", "staff"} {
		g := newGroups(cluster(t, stored.DeepCopy()))
		read, err := g.Bindings.ofSubject(t.Context(), rbacv1.GroupKind, "ops")
		if err != nil || len(read) != 1 {
			t.Fatal(read, err)
		}
		present := &iamv1alpha2.WorkspaceRoleBinding{}
		if err := g.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), present); err != nil {
			t.Fatal(err)
		}
		present.Annotations = map[string]string{"changed": "meanwhile"}
		if more != "" {
			present.Subjects = append(present.Subjects, subjects(rbacv1.GroupKind, more)...)
		}
		if err := g.Client.Update(t.Context(), present); err != nil {
			t.Fatal(err)
		}
		if err := g.Bindings.takeAway(t.Context(), rbacv1.GroupKind, "ops", read); err != nil {
			t.Error(err)
		}
		err = g.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), present)
		if more == "" && !apierrors.IsNotFound(err) || more != "" && (err != nil || len(present.Subjects) != 1 || present.Subjects[0].Name != more) {
			t.Errorf("left is %+v, %v", present.Subjects, err)
		}
	}
}
