package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// tokenAnswer authenticates every token with the same outcome.
type tokenAnswer struct {
	accepted bool
	err      error
}

func (a tokenAnswer) AuthenticateToken(context.Context, string) (*authenticator.Response, bool, error) {
	return nil, a.accepted, a.err
}

// TestCurrentUser: a stream that began with a password went on after the password was
// changed, one of a service account after its token had expired, and each after the user
// was created again under the same name.
func TestCurrentUser(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	stored := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane", UID: "1"}, Spec: iamv1alpha2.UserSpec{EncryptedPassword: "hash"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(stored, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "robot"}}).Build()
	one := func(name, state string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"uid":"1","resourceVersion":"1"},"status":{"state":%q}}`, name, state)
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"users": {one("jane", "Active"), one("locked", "AuthLimitExceeded"), one("disabled", "Disabled"), one("unstored", "Active")}})
	directory := &iam.Directory{Cache: cache, Catalog: objects.NewCatalog(), Client: c}
	other := stored.DeepCopy()
	other.Spec.EncryptedPassword = "earlier"
	byPassword := func(name, uid, digest string) user.Info {
		return &user.DefaultInfo{Name: name, Extra: map[string][]string{authn.ExtraAccount: {uid}, authn.ExtraPasswordDigest: {digest}}}
	}
	robot := &user.DefaultInfo{Name: "system:serviceaccount:n:robot"}
	for name, test := range map[string]struct {
		sender   user.Info
		accounts authenticator.Token
		want     error
	}{
		"the same password":               {byPassword("jane", "1", iam.PasswordDigest(stored)), nil, nil},
		"the password was changed":        {byPassword("jane", "1", iam.PasswordDigest(other)), nil, authn.ErrPasswordChanged},
		"another user of the name":        {byPassword("jane", "0", iam.PasswordDigest(stored)), nil, authn.ErrNotActive},
		"a token of another of the name":  {&user.DefaultInfo{Name: "jane", Extra: map[string][]string{authn.ExtraAccount: {"0"}}}, nil, authn.ErrNotActive},
		"a token":                         {&user.DefaultInfo{Name: "jane", Extra: map[string][]string{authn.ExtraAccount: {"1"}}}, nil, nil},
		"a disabled user":                 {byPassword("disabled", "1", ""), nil, authn.ErrNotActive},
		"a deleted one":                   {byPassword("gone", "1", ""), nil, authn.ErrNotActive},
		"one that is being deleted":       {byPassword("unstored", "1", ""), nil, authn.ErrNotActive},
		"failed logins end no stream":     {&user.DefaultInfo{Name: "locked"}, nil, nil},
		"a service account":               {robot, tokenAnswer{true, nil}, nil},
		"its token has expired":           {robot, tokenAnswer{false, token.ErrInvalid}, token.ErrInvalid},
		"its token is of no account":      {robot, tokenAnswer{}, token.ErrInvalid},
		"too many tokens are checked":     {robot, tokenAnswer{false, identity.ErrBusy}, nil},
		"its tokens are not accepted":     {robot, nil, nil},
		"a service account that is gone":  {&user.DefaultInfo{Name: "system:serviceaccount:n:gone"}, tokenAnswer{true, nil}, authn.ErrNotActive},
		"a service account of that name ": {&user.DefaultInfo{Name: robot.Name, UID: "0"}, tokenAnswer{true, nil}, authn.ErrNotActive},
	} {
		d := doors{accounts: &accounts{client: c, directory: directory}, serviceAccounts: test.accounts}
		ctx := request.NewContext(t.Context(), request.Origin{Authorization: request.ParseAuthorization(http.Header{"Authorization": {"Bearer token"}})}, nil)
		who, err := d.currentUser(ctx, test.sender)
		if !errors.Is(err, test.want) || err == nil && who.GetName() != test.sender.GetName() {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
