package iam

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// memberRights are those of a caller who manages users: boss has a role on the platform
// beyond them, and member one in a workspace.
type memberRights struct{ smallRights }

func (memberRights) FindExcess(_ context.Context, _, subject user.Info) (*authz.Excess, error) {
	if name := subject.GetName(); name == "boss" || name == "member" {
		return &authz.Excess{Role: "admin", Scope: authz.Scope{Workspace: "w"}}, nil
	}
	return nil, nil
}

func (memberRights) FindPlatformExcess(_ context.Context, _, subject user.Info) (*authz.Excess, error) {
	if subject.GetName() == "boss" {
		return &authz.Excess{Role: "admin"}, nil
	}
	return nil, nil
}

// TestRank: a role in a workspace protected its holder from being disabled and deleted by
// those who manage users.
func TestRank(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"users": nil})
	stored := func(name string) *iamv1alpha2.User {
		return &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: iamv1alpha2.UserSpec{Email: name + "@example.com"}}
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(stored("boss"), stored("member"), stored("plain")).Build()
	directory := &iam.Directory{Cache: cache, Catalog: objects.NewCatalog(), Client: c}
	h := &Handler{Directory: directory, Users: &iam.Users{Client: c}, Rights: memberRights{}, Roles: smallRights{}}
	update := func(manages bool, email string) func(*http.Request, string) error {
		return func(r *http.Request, name string) error {
			wanted := stored(name)
			wanted.Spec.Email, wanted.Status.State = email, iamv1alpha2.UserDisabled
			return h.checkUpdateRank(r, manages, stored(name), wanted)
		}
	}
	for _, test := range []struct {
		name, user string
		check      func(r *http.Request, name string) error
		refused    bool
	}{
		{"deletes an administrator", "boss", h.checkPlatformRank, true},
		{"deletes a member", "member", h.checkPlatformRank, false},
		{"sets the password of a member", "member", h.outranks, true},
		{"sets the password of a user", "plain", h.outranks, false},
		{"disables an administrator", "boss", update(true, "boss@example.com"), true},
		{"disables a member", "member", update(true, "member@example.com"), false},
		{"changes the address of a member", "member", update(true, "own@example.com"), true},
		{"removes the address of a member", "member", update(true, ""), true},
		{"changes the address of a user", "plain", update(true, "own@example.com"), false},
		{"changes a member without managing users", "member", update(false, "member@example.com"), true},
	} {
		r := httptest.NewRequest(http.MethodPut, prefix, nil)
		err := test.check(r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "hr"})), test.user)
		if (err != nil) != test.refused || err != nil && status.Of(err).Code != http.StatusForbidden {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for name, handler := range map[string]func(http.ResponseWriter, *http.Request) error{"deletion": h.deleteUser, "password": h.changePassword, "update": h.updateUser} {
		r := httptest.NewRequest(http.MethodPut, prefix, strings.NewReader(`{"metadata":{"name":"boss"},"spec":{"email":"boss@example.com"}}`))
		if name == "password" {
			r = httptest.NewRequest(http.MethodPut, prefix, strings.NewReader(`{"password":"Newpass-of-1984"}`))
		}
		r.SetPathValue("user", "boss")
		if err := handler(httptest.NewRecorder(), r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "hr"}))); status.Of(err).Code != http.StatusForbidden {
			t.Errorf("%s of an administrator: %v", name, err)
		}
	}
}
