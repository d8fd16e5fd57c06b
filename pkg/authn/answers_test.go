package authn

import (
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// TestAnswersFollowAccounts: the answer for a token is remembered for the account as it is
// and for these claims only: not when its groups change, and not when a user of the same
// name is created again.
func TestAnswersFollowAccounts(t *testing.T) {
	answers := newAnswers()
	claims := func(session string) *token.Claims {
		return &token.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "jane"}, Session: session}
	}
	first := claims("s1")
	one := answers.of(first, &iam.Account{Name: "jane", UID: "1", Groups: []string{"a"}})
	if again := answers.of(first, &iam.Account{Name: "jane", UID: "1", Groups: []string{"a"}}); again != one {
		t.Error("the answer was made twice")
	}
	for _, test := range []struct {
		name    string
		claims  *token.Claims
		account iam.Account
		groups  []string
	}{
		{"another group", first, iam.Account{Name: "jane", UID: "1", Groups: []string{"b"}}, []string{"b", "system:authenticated"}},
		{"no group", first, iam.Account{Name: "jane", UID: "1"}, []string{"system:authenticated"}},
		{"created again", first, iam.Account{Name: "jane", UID: "2", Groups: []string{"a"}}, []string{"a", "system:authenticated"}},
		{"another session", claims("s2"), iam.Account{Name: "jane", UID: "1", Groups: []string{"a"}}, []string{"a", "system:authenticated"}},
	} {
		got := answers.of(test.claims, &test.account).User
		extra := got.GetExtra()
		if !slices.Equal(got.GetGroups(), test.groups) || extra[ExtraAccount][0] != test.account.UID || extra[ExtraSession][0] != test.claims.Session {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	if got := one.User; !slices.Equal(got.GetGroups(), []string{"a", "system:authenticated"}) || got.GetExtra()[ExtraAccount][0] != "1" {
		t.Errorf("the first answer is another one now: %+v", got)
	}
}
