package iam

import (
	"errors"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestExternalMembers: a workspace took a group away from the users who had its name from an
// identity provider by creating a Group object of that name.
func TestExternalMembers(t *testing.T) {
	const name = "corp-finance"
	join := func(t *testing.T, g *Groups, user string) *iamv1alpha2.GroupBinding {
		t.Helper()
		binding, err := g.Join(t.Context(), "w", user, name)
		if err != nil {
			t.Fatal(err)
		}
		return binding
	}
	platform := groupBelow("", name, "")
	delete(platform.Labels, iamv1alpha2.LabelWorkspace)
	for _, test := range []struct {
		test string
		// group is one that somebody created in Kubernetes, nil to create one below /kapis.
		group  *iamv1alpha2.Group
		change func(t *testing.T, g *Groups) error
		joined bool // whether john, who joined the group, has it
	}{
		{"created", nil, func(*testing.T, *Groups) error { return nil }, false},
		{"created in Kubernetes", groupBelow("w", name, ""), func(*testing.T, *Groups) error { return nil }, false},
		{"another joined", nil, func(t *testing.T, g *Groups) error { join(t, g, "john"); return nil }, true},
		{"another joined and left", nil, func(t *testing.T, g *Groups) error { return g.Leave(t.Context(), join(t, g, "john")) }, false},
		{"joined and left", nil, func(t *testing.T, g *Groups) error { return g.Leave(t.Context(), join(t, g, "reg")) }, false},
		{"joined and left a group in Kubernetes", groupBelow("w", name, ""), func(t *testing.T, g *Groups) error { return g.Leave(t.Context(), join(t, g, "reg")) }, false},
		{"joined a group in Kubernetes before it was reconciled", groupBelow("w", name, ""), func(t *testing.T, g *Groups) error {
			binding, created := join(t, g, "reg"), &iamv1alpha2.Group{}
			if err := g.Client.Get(t.Context(), client.ObjectKey{Name: name}, created); err != nil {
				return err
			}
			return errors.Join(g.Adopt(t.Context(), created), g.Leave(t.Context(), binding))
		}, false},
		{"joined and left the workspace", nil, func(t *testing.T, g *Groups) error {
			join(t, g, "reg")
			return g.LeaveWorkspace(t.Context(), "w", "reg")
		}, false},
		{"given and withdrawn by a provider", nil, func(t *testing.T, g *Groups) error {
			return errors.Join(g.Provide(t.Context(), "ldap", "reg", []string{name}), g.Provide(t.Context(), "ldap", "reg", nil))
		}, false},
		{"deleted", nil, func(t *testing.T, g *Groups) error { return g.Delete(t.Context(), "w", name) }, false},
		{"joined and deleted", nil, func(t *testing.T, g *Groups) error {
			join(t, g, "reg")
			join(t, g, "john")
			return g.Delete(t.Context(), "w", name)
		}, false},
		{"deleted in Kubernetes at once", groupBelow("w", name, ""), func(t *testing.T, g *Groups) error { return g.Delete(t.Context(), "w", name) }, false},
		{"deleted without a workspace", platform, func(t *testing.T, g *Groups) error { return g.Delete(t.Context(), "", name) }, false},
		{"created again by another workspace", nil, func(t *testing.T, g *Groups) error {
			if err := g.Delete(t.Context(), "w", name); err != nil {
				return err
			}
			_, err := g.Create(t.Context(), "v", groupBelow("v", name, ""), true)
			return err
		}, false},
		{"moved", nil, func(t *testing.T, g *Groups) error {
			_, err := g.Update(t.Context(), "w", groupBelow("w", name, "above"), unchecked)
			return err
		}, false},
		{"deleted with the group above", nil, func(t *testing.T, g *Groups) error {
			if _, err := g.Update(t.Context(), "w", groupBelow("w", name, "above"), unchecked); err != nil {
				return err
			}
			return g.Delete(t.Context(), "w", "above")
		}, false},
	} {
		t.Run(test.test, func(t *testing.T) {
			account := func(user string, groups ...string) *iamv1alpha2.User {
				return &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: user}, Spec: iamv1alpha2.UserSpec{Groups: groups}}
			}
			objects := []client.Object{account("reg", "staff", name), account("john", "staff"), groupBelow("w", "above", "")}
			if test.group != nil {
				created := test.group.DeepCopy()
				created.Finalizers = nil
				objects = append(objects, created)
			}
			g := newGroups(cluster(t, objects...))
			// The reconciler of users runs at any time.
			follow := func() {
				for _, user := range []string{"reg", "john"} {
					if err := g.Follow(t.Context(), user); err != nil {
						t.Error(err)
					}
				}
			}
			follow()
			if test.group == nil {
				if _, err := g.Create(t.Context(), "w", groupBelow("w", name, ""), true); err != nil {
					t.Fatal(err)
				}
				follow()
			}
			if err := test.change(t, g); err != nil {
				t.Fatal(err)
			}
			found := &iamv1alpha2.User{}
			if err := g.Client.Get(t.Context(), client.ObjectKey{Name: "reg"}, found); err != nil || !slices.Contains(found.Spec.Groups, name) {
				t.Errorf("reg has %v at once, %v", found.Spec.Groups, err)
			}
			follow()
			all := &iamv1alpha2.GroupList{}
			if err := g.Client.List(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			exists := false
			for n := range all.Items { // as their reconciler does
				if err := g.Adopt(t.Context(), &all.Items[n]); err != nil {
					t.Error(err)
				}
				exists = exists || all.Items[n].Name == name
			}
			follow()
			for user, has := range map[string]bool{"reg": true, "john": test.joined} {
				found := &iamv1alpha2.User{}
				if err := g.Client.Get(t.Context(), client.ObjectKey{Name: user}, found); err != nil || slices.Contains(found.Spec.Groups, name) != has || !slices.Contains(found.Spec.Groups, "staff") {
					t.Errorf("%s has %v, %v", user, found.Spec.Groups, err)
				}
			}
			external, err := memberships(t.Context(), g.Client, isExternal)
			if err != nil || (len(external) == 1) != exists || len(external) > 1 {
				t.Errorf("external members: %+v, %v", external, err)
			}
		})
	}
}

// TestReusedUserName: a new user was in the groups of an earlier one, whose memberships were
// left.
func TestReusedUserName(t *testing.T) {
	left, others := membership("w", "jane", "ops"), membership("w", "john", "ops")
	left.Name, others.Name = "left", "others"
	users := newUsers(cluster(t, groupBelow("w", "ops", ""), left, others), &ended{})
	wanted := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Spec: iamv1alpha2.UserSpec{Groups: []string{"ops"}}}
	if _, err := users.Create(t.Context(), wanted, "platform-regular"); err != nil {
		t.Fatal(err)
	}
	if err := newGroups(users.Client).Follow(t.Context(), "jane"); err != nil {
		t.Fatal(err)
	}
	found := &iamv1alpha2.User{}
	if err := users.Client.Get(t.Context(), client.ObjectKey{Name: "jane"}, found); err != nil || len(found.Spec.Groups) > 0 {
		t.Errorf("the new user has %v, %v", found.Spec.Groups, err)
	}
	if err := users.Client.Get(t.Context(), client.ObjectKeyFromObject(others), others); err != nil {
		t.Errorf("the membership of another is gone: %v", err)
	}
}
