package iam

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestDisabledBetweenCheckAndWrite: a user who kept writing the own account made it active
// again when an administrator disabled it.
func TestDisabledBetweenCheckAndWrite(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"users": nil, "globalrolebindings": nil})
	for _, test := range []struct {
		name, method, media, body string
		state                     iamv1alpha2.UserState
		code                      int32
	}{
		{"a PUT that makes it active", "PUT", "application/json", `{"metadata":{"name":"jane"},"status":{"state":"Active"}}`, iamv1alpha2.UserDisabled, 403},
		{"a PUT without a state", "PUT", "application/json", `{"metadata":{"name":"jane"},"spec":{"lang":"en"}}`, iamv1alpha2.UserDisabled, 0},
		{"a PATCH that makes it active", "PATCH", "application/merge-patch+json", `{"status":{"state":"Active"}}`, iamv1alpha2.UserDisabled, 403},
		{"a PUT while it stays active", "PUT", "application/json", `{"metadata":{"name":"jane"},"status":{"state":"Active"}}`, iamv1alpha2.UserActive, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			jane := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive}}
			done := false
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(jane).
				WithIndex(&iamv1alpha2.User{}, "metadata.name", func(o client.Object) []string { return []string{o.GetName()} }).
				WithInterceptorFuncs(interceptor.Funcs{
					Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
						if !done {
							done = true
							present := &iamv1alpha2.User{}
							if err := c.Get(ctx, client.ObjectKeyFromObject(o), present); err != nil {
								return err
							}
							present.Status.State, present.Labels = test.state, map[string]string{"changed": "true"}
							if err := c.Update(ctx, present); err != nil {
								return err
							}
						}
						return c.Update(ctx, o, options...)
					},
				}).Build()
			h := &Handler{
				Directory: &iam.Directory{Cache: cache, Catalog: objects.NewCatalog(), Client: c}, Rights: smallRights{}, Roles: smallRights{},
				Users: &iam.Users{Client: c, Emails: known{}, Identities: known{}, Now: time.Now},
			}
			r := httptest.NewRequest(test.method, prefix, strings.NewReader(test.body))
			r.Header.Set("Content-Type", test.media)
			r.SetPathValue("user", "jane")
			handler := map[string]func(http.ResponseWriter, *http.Request) error{"PUT": h.updateUser, "PATCH": h.patchOwn}[test.method]
			err := handler(httptest.NewRecorder(), r.WithContext(kube.WithCaller(t.Context(), &user.DefaultInfo{Name: "jane"})))
			if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
				t.Errorf("got %v, want %d", err, test.code)
			}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(jane), jane); err != nil || !done || jane.Status.State != test.state {
				t.Errorf("the user is %s, %v", jane.Status.State, err)
			}
		})
	}
}

// TestMemberChangedBetweenCheckAndWrite: a member who was promoted or removed after the
// checks lost the new role, or was a member again.
func TestMemberChangedBetweenCheckAndWrite(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		present []client.Object
		code    int32
	}{
		"promoted":  {[]client.Object{namespaceBinding("n", "admin")}, 403},
		"removed":   {nil, 404},
		"unchanged": {[]client.Object{namespaceBinding("n", "viewer")}, 0},
	} {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "operator"}}
		c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(test.present, role)...).Build()
		m := &members{
			Handler: &Handler{Bindings: &iam.Bindings{Client: c}, Rights: smallRights{}, Roles: smallRights{}},
			place:   func(*http.Request) iam.Place { return iam.Place{Namespace: "n"} },
		}
		r := httptest.NewRequest(http.MethodPut, prefix, nil)
		r = r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "john"}))
		err := m.give(r, Member{Username: "jane", RoleRef: "operator"}, m.isMember("jane"))
		if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
			t.Errorf("%s: %v, want %d", name, err, test.code)
		}
		for _, object := range test.present {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), &rbacv1.RoleBinding{}); (err == nil) != (test.code != 0) {
				t.Errorf("%s: the role it had: %v", name, err)
			}
		}
	}
}
