package iam

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// TestVouchForEmail: an address is vouched for by whoever has all rights and writes it, and
// not by a write of something else or of somebody else.
func TestVouchForEmail(t *testing.T) {
	with := func(email string) *iamv1alpha2.User {
		return &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Spec: iamv1alpha2.UserSpec{Email: email}}
	}
	h := &Handler{Rights: administrators{}}
	for _, test := range []struct {
		name, caller    string
		present, wanted *iamv1alpha2.User
		verified        bool
	}{
		{"a new user", "admin", nil, with("Jane@example.com"), true},
		{"a new user of a manager", "um", nil, with("jane@example.com"), false},
		{"another address", "admin", with("other@example.com"), with("jane@example.com"), true},
		{"the address that the user wrote", "admin", with("jane@example.com"), with("jane@example.com"), false},
		{"another address of the own account", "jane", with("other@example.com"), with("jane@example.com"), false},
		{"no address", "admin", nil, with(""), false},
	} {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r = r.WithContext(kuberequest.WithUser(context.Background(), &user.DefaultInfo{Name: test.caller}))
		if err := h.vouchForEmail(r, test.present, test.wanted); err != nil || iam.HasVerifiedEmail(test.wanted) != test.verified {
			t.Errorf("%s: %v, %v", test.name, test.wanted.Annotations, err)
		}
	}
}

// TestVerifiedEmailStays: who manages users could not write a user whose address is verified
// without repeating the annotation.
func TestVerifiedEmailStays(t *testing.T) {
	h := &Handler{Rights: administrators{}}
	r := httptest.NewRequest(http.MethodPut, "/", nil)
	r = r.WithContext(kuberequest.WithUser(context.Background(), &user.DefaultInfo{Name: "um"}))
	present := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane", Annotations: map[string]string{iamv1alpha2.AnnotationVerifiedEmail: "jane@example.com"}}}
	for value, refused := range map[string]bool{"": false, "jane@example.com": false, "other@example.com": true} {
		wanted := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}}
		if value != "" {
			wanted.Annotations = map[string]string{iamv1alpha2.AnnotationVerifiedEmail: value}
		}
		if err := h.checkUserFields(r, present, wanted); (err != nil) != refused {
			t.Errorf("%q: %v", value, err)
		}
	}
}
