package authn

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// visitors verifies tokens of people who have no account; the token is the session.
type visitors struct{ world }

func (v *visitors) Verify(_ context.Context, text string) (*token.Claims, error) {
	claims := &token.Claims{Extra: map[string][]string{"idp": {"them"}, "uid": {"4711"}, ExtraSession: {"forged"}}}
	claims.Subject = identity.PreRegistration
	if claims.Session = text; text == "none" {
		claims.Session = ""
	}
	return claims, nil
}

// TestVisitor: somebody without an account is nobody's user, and less than
// everybody who has one.
func TestVisitor(t *testing.T) {
	for _, test := range []struct {
		session string
		want    error
	}{
		{"on", nil}, {"over", ErrSessionEnded}, {"none", ErrSessionEnded}, {"unasked", errAway},
	} {
		v := &visitors{}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+test.session)
		response, _, err := New(v, v, v, v, nil).AuthenticateRequest(r)
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: got %v", test.session, err)
		}
		if err != nil {
			continue
		}
		who := response.User
		if who.GetName() != identity.PreRegistration || !slices.Equal(who.GetGroups(), []string{"pre-registration", user.AllUnauthenticated}) ||
			!slices.Equal(who.GetExtra()["uid"], []string{"4711"}) || !slices.Equal(who.GetExtra()[ExtraSession], []string{"on"}) {
			t.Errorf("got %+v", who)
		}
	}
}
