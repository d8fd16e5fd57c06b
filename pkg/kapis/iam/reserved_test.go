package iam

import (
	"context"
	"net/http/httptest"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// administrators hold all rights when they are called admin, and none otherwise.
type administrators struct{ Rights }

func (administrators) Names() *reserved.Register { return nil }

func (administrators) Covers(_ context.Context, who user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if who.GetName() == "admin" {
		return nil, nil
	}
	return rules, nil
}

func (r administrators) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	return decideBy(ctx, r, a)
}

// TestReservedFields: what this server acts on in users and groups is not for those
// to write who may write users and groups, and what they leave out stays.
func TestReservedFields(t *testing.T) {
	type values = map[string]string
	meta := func(labels, annotations values) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: "jane", Labels: labels, Annotations: annotations}
	}
	h := &Handler{Rights: administrators{}}
	present := meta(values{"iam.kubesphere.io/identify-provider": "ldap", "iam.kubesphere.io/origin-uid": "jane"},
		values{"iam.kubesphere.io/last-password-change-time": "then", "iam.kubesphere.io/uninitialized": "true"})
	present.Finalizers = []string{iamv1alpha2.FinalizerUser}
	fresh := values{"iam.kubesphere.io/uninitialized": "true"}
	finalized := meta(nil, fresh)
	finalized.Finalizers = []string{"example.com/never"}
	for _, test := range []struct {
		name    string
		present *metav1.ObjectMeta
		wanted  metav1.ObjectMeta
		refused bool
	}{
		{"a new user who has to choose a password", nil, meta(values{"a": "b"}, fresh), false},
		{"a new user of an identity provider", nil, meta(values{"iam.kubesphere.io/identify-provider": "ldap", "iam.kubesphere.io/origin-uid": "boss"}, nil), true},
		{"a new user of another one", nil, meta(nil, values{"iam.kubesphere.io/identity-provider.oidc": "boss"}), true},
		{"a new user of this server", nil, meta(values{"app.kubernetes.io/managed-by": "ks-apiserver"}, nil), true},
		{"a new user with a finalizer", nil, finalized, true},
		{"all left out but the first password", &present, meta(nil, fresh), false},
		{"the first password left out", &present, meta(nil, nil), true},
		{"the same", &present, present, false},
		{"another identity", &present, meta(values{"iam.kubesphere.io/identify-provider": "ldap", "iam.kubesphere.io/origin-uid": "boss"}, fresh), true},
		{"one more identity", &present, meta(nil, values{"iam.kubesphere.io/identity-provider.oidc": "boss", "iam.kubesphere.io/uninitialized": "true"}), true},
		{"another finalizer", &present, finalized, true},
	} {
		var before *iamv1alpha2.User
		if test.present != nil {
			before = &iamv1alpha2.User{ObjectMeta: *test.present}
		}
		for who, refused := range map[string]bool{"admin": false, "hr": test.refused} {
			r := httptest.NewRequest("PUT", "/", nil)
			r = r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: who}))
			wanted := &iamv1alpha2.User{ObjectMeta: *test.wanted.DeepCopy()}
			if err := h.checkUserFields(r, before, wanted); (err != nil) != refused || err != nil && status.Of(err).Code != 403 {
				t.Errorf("%s by %s: %v", test.name, who, err)
			}
		}
	}
	group := meta(values{"kubesphere.io/workspace": "w", "iam.kubesphere.io/group-parent": "p"}, nil)
	group.Finalizers = []string{iamv1alpha2.FinalizerGroup}
	for _, test := range []struct {
		name    string
		present *metav1.ObjectMeta
		wanted  metav1.ObjectMeta
		refused bool
	}{
		{"a new group below another", nil, meta(values{"iam.kubesphere.io/group-parent": "p"}, nil), false},
		{"a new group of this server", nil, meta(values{"app.kubernetes.io/managed-by": "ks-apiserver"}, nil), true},
		{"a new group with a finalizer", nil, finalized, true},
		{"below another", &group, meta(values{"iam.kubesphere.io/group-parent": "q"}, values{"a": "b"}), false},
		{"one of this server", &group, meta(values{"app.kubernetes.io/managed-by": "ks-apiserver"}, nil), true},
		{"what this server keeps", &group, meta(nil, values{"ks-apiserver.kubesphere.io/applied": "x"}), true},
	} {
		var before *iamv1alpha2.Group
		if test.present != nil {
			before = &iamv1alpha2.Group{ObjectMeta: *test.present}
		}
		for who, refused := range map[string]bool{"admin": false, "wadmin": test.refused} {
			r := httptest.NewRequest("PUT", "/", nil)
			r = r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: who}))
			wanted := &iamv1alpha2.Group{ObjectMeta: *test.wanted.DeepCopy()}
			if err := h.checkGroupFields(r, before, wanted); (err != nil) != refused || err != nil && status.Of(err).Code != 403 {
				t.Errorf("group: %s by %s: %v", test.name, who, err)
			}
		}
	}
}
