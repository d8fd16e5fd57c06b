package iam

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// known are the providers, and who is known already.
type known map[string]identity.MappingMethod

func (k known) Provider(_ context.Context, name string) (*identity.Provider, error) {
	if method, found := k[name]; found {
		return &identity.Provider{Name: name, Mapping: identity.Mapping{Method: method}}, nil
	}
	return nil, nil
}
func (k known) List(context.Context) ([]*identity.Provider, error) { return nil, nil }
func (k known) WithEmail(_ context.Context, email string) ([]string, error) {
	if email == "taken@example.com" {
		return []string{"taken"}, nil
	}
	return nil, nil
}

func (k known) Linked(_ context.Context, _, subject string) ([]string, error) {
	if subject == "taken" {
		return []string{"taken"}, nil
	}
	return nil, nil
}

// noRights are those of a person who has no account yet.
type noRights struct{ smallRights }

func (noRights) Covers(_ context.Context, _ user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	return rules, nil
}

func (r noRights) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	return decideBy(ctx, r, a)
}

// TestRegister: the identity comes from the token, whatever the body says.
func TestRegister(t *testing.T) {
	jane := map[string][]string{"idp": {"them"}, "uid": {"4711"}, "username": {"jane"}, "email": {"jane@example.com"}}
	deployer := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "billing", Name: "secret"}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "deployer"}}}
	const good = `{"metadata":{"name":"jane"},"spec":{"email":"jane@example.com","lang":"en"}}`
	for _, test := range []struct {
		name, body string
		extra      map[string][]string
		code       int32 // 0 when it works
	}{
		{"good", good, jane, 0},
		{"with what is not theirs to choose", `{"metadata":{"name":"jane","labels":{"iam.kubesphere.io/identify-provider":"others","iam.kubesphere.io/origin-uid":"1","more":"x"},
			"annotations":{"iam.kubesphere.io/identity-provider.others":"1","iam.kubesphere.io/globalrole":"platform-admin","more":"x"},"finalizers":["x/y"]},
			"spec":{"email":"jane@example.com","lang":"en","groups":["admins"]},"status":{"state":"Disabled"}}`, jane, 0},
		{"with a password", `{"metadata":{"name":"jane"},"spec":{"email":"jane@example.com","password":"P@88w0rd"}}`, jane, 422},
		{"the name of somebody", `{"metadata":{"name":"taken"},"spec":{"email":"jane@example.com"}}`, jane, 409},
		{"the name of a user of Kubernetes", `{"metadata":{"name":"deployer"},"spec":{"email":"jane@example.com"}}`, jane, 409},
		{"a name that is none", `{"metadata":{"name":"system:admin"},"spec":{"email":"jane@example.com"}}`, jane, 403},
		{"the name of the administrator", `{"metadata":{"name":"admin"},"spec":{"email":"jane@example.com"}}`, jane, 403},
		{"the address of somebody", `{"metadata":{"name":"jane"},"spec":{"email":"taken@example.com"}}`, jane, 409},
		{"a second time", good, map[string][]string{"idp": {"them"}, "uid": {"taken"}}, 409},
		{"nobody", good, nil, 403},
		{"nobody in particular", good, map[string][]string{"idp": {"them"}, "uid": {""}}, 403},
		{"several people", good, map[string][]string{"idp": {"them"}, "uid": {"1", "2"}}, 403},
		{"of a provider that is gone", good, map[string][]string{"idp": {"gone"}, "uid": {"1"}}, 403},
		{"of a provider whose people get no accounts", good, map[string][]string{"idp": {"lookup"}, "uid": {"1"}}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			scheme, err := kube.Scheme()
			if err != nil {
				t.Fatal(err)
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
				&iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "taken"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "billing"}}, deployer.DeepCopy(),
			).Build()
			all := known{"them": identity.MappingAuto, "lookup": identity.MappingLookup}
			h := &Handler{Providers: all, Users: &iam.Users{Client: c, Bindings: &iam.Bindings{Client: c}, Emails: all, Identities: all, Now: time.Now}, Rights: noRights{smallRights{}}}
			r := httptest.NewRequest("POST", prefix+"/users", strings.NewReader(test.body))
			r.Header.Set("Content-Type", "application/json")
			who := &user.DefaultInfo{Name: identity.PreRegistration, Extra: test.extra}
			w := httptest.NewRecorder()
			err = h.createUser(w, r.WithContext(kube.WithCaller(r.Context(), who)))
			if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
				t.Fatalf("got %v, want %d", err, test.code)
			}
			if kept := c.Get(t.Context(), client.ObjectKeyFromObject(deployer), &rbacv1.RoleBinding{}); kept != nil || err != nil && strings.Contains(err.Error(), "rolebinding") {
				t.Errorf("the binding of another: %v, told as %v", kept, err)
			}
			stored := &iamv1alpha2.User{}
			found := c.Get(t.Context(), client.ObjectKey{Name: "jane"}, stored) == nil
			if found != (err == nil) {
				t.Fatalf("stored %+v", stored)
			}
			if err != nil {
				return
			}
			identities := iam.IdentitiesOf(stored)
			if len(identities) != 1 || identities["them"] != "4711" || len(stored.Labels) != 2 || len(stored.Annotations) != 1 || len(stored.Spec.Groups) > 0 ||
				stored.Status.State != iamv1alpha2.UserActive || stored.Spec.EncryptedPassword != "" || len(stored.Finalizers) != 1 {
				t.Errorf("stored %+v", stored)
			}
			bindings := &iamv1alpha2.GlobalRoleBindingList{}
			if err := c.List(t.Context(), bindings); err != nil || len(bindings.Items) > 0 {
				t.Errorf("bound %+v, %v", bindings.Items, err)
			}
		})
	}
}
