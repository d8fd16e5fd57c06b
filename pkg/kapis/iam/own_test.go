package iam

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestPatchOwn: who may set the own password without the present one.
func TestPatchOwn(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		extra map[string][]string
		fresh string
	}{
		{"a token of who logs in for the first time", map[string][]string{authz.ExtraScopes: {"all"}}, "true"},
		{"who has chosen one", nil, ""},
	} {
		account := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane", Annotations: map[string]string{iamv1alpha2.AnnotationUninitialized: test.fresh}}}
		c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(account).Build()
		h := &Handler{
			Directory: &iam.Directory{Client: c}, Rights: &authz.RBAC{All: true},
			Users: &iam.Users{Client: c, Emails: known{}, Identities: known{}, Now: time.Now},
		}
		r := httptest.NewRequest("PATCH", "/apis/iam.kubesphere.io/v1alpha2/users/jane", strings.NewReader(`{"spec":{"password":"P@88w0rd-of-jane"}}`))
		r.Header.Set("Content-Type", "application/merge-patch+json")
		r.SetPathValue("user", "jane")
		who := &user.DefaultInfo{Name: "jane", Extra: test.extra}
		if err := h.patchOwn(httptest.NewRecorder(), r.WithContext(kube.WithCaller(r.Context(), who))); err == nil || status.Of(err).Code != 403 {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
