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
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// administratorRights are those of a platform with some administrators.
type administratorRights struct {
	smallRights
	users, groups []string
}

func (a administratorRights) Administrators(context.Context) (users, groups []string, err error) {
	return a.users, a.groups, nil
}

// TestAdministratorRemains: the only administrator could delete or disable himself, and
// nobody could make another one.
func TestAdministratorRemains(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	stored := func(name string, state iamv1alpha2.UserState) *iamv1alpha2.User {
		return &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: iamv1alpha2.UserStatus{State: state}}
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"users": {
		`{"metadata":{"name":"admin"},"status":{"state":"Active"}}`, `{"metadata":{"name":"boss"},"status":{"state":"Active"}}`,
		`{"metadata":{"name":"gone"},"status":{"state":"Disabled"}}`,
	}})
	for _, test := range []struct {
		name    string
		rights  administratorRights
		leaving string
		refused bool
	}{
		{"the only one", administratorRights{users: []string{"admin"}}, "admin", true},
		{"one of two", administratorRights{users: []string{"admin", "boss"}}, "admin", false},
		{"beside one that is disabled", administratorRights{users: []string{"admin", "gone"}}, "admin", true},
		{"beside a name without a user", administratorRights{users: []string{"admin", "nobody"}}, "admin", true},
		{"beside a group", administratorRights{users: []string{"admin"}, groups: []string{"admins"}}, "admin", false},
		{"another user", administratorRights{users: []string{"admin"}}, "boss", false},
	} {
		directory := &iam.Directory{Cache: cache, Catalog: objects.NewCatalog(), Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(stored("admin", iamv1alpha2.UserActive)).Build()}
		h := &Handler{Directory: directory, Rights: test.rights}
		r := httptest.NewRequest(http.MethodDelete, prefix, nil)
		r = r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "admin"}))
		if err := h.checkAdministratorRemains(r, test.leaving); (err != nil) != test.refused || err != nil && status.Of(err).Code != http.StatusConflict {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.refused {
			r.SetPathValue("user", test.leaving)
			if err := h.deleteUser(httptest.NewRecorder(), r); status.Of(err).Code != http.StatusConflict {
				t.Errorf("%s is deleted: %v", test.name, err)
			}
		}
	}
}

// TestGroupMembersWithoutNames: a member without a name was answered 500.
func TestGroupMembersWithoutNames(t *testing.T) {
	for _, body := range []string{`[{}]`, `[null]`, `[{"userName":"jane"}]`, `[{"groupName":"devs"}]`, `[{"user":"jane","group":"devs"}]`} {
		h := &Handler{Rights: smallRights{}, Groups: &iam.Groups{}}
		r := httptest.NewRequest(http.MethodPost, prefix, strings.NewReader(body))
		r.SetPathValue("workspace", "w")
		if err := h.createGroupBindings(httptest.NewRecorder(), r); status.Of(err).Code != http.StatusBadRequest {
			t.Errorf("%s: %v", body, err)
		}
	}
}
