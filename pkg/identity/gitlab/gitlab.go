// Package gitlab lets people log in at GitLab.
package gitlab

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// Type is the type of these providers in the configuration.
const Type = "GitlabIdentityProvider"

// New returns a provider; endpoints that are not configured are those of gitlab.com.
func New(options *outbound.CodeOptions) (*outbound.User, error) {
	if len(options.Scopes) == 0 {
		options.Scopes = []string{"read_user"}
	}
	return outbound.NewUser(options, outbound.Endpoint{
		AuthURL: "https://gitlab.com/oauth/authorize", TokenURL: "https://gitlab.com/oauth/token", UserInfoURL: "https://gitlab.com/api/v4/user",
	}, true, read)
}

// account is what GitLab says of a user.
type account struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`
	Email    string `json:"email"`
	State    string `json:"state"`
	// ConfirmedAt is when the address was verified.
	ConfirmedAt string `json:"confirmed_at"`
}

func read(ctx context.Context, u *outbound.User, token *oauth2.Token) (identity.External, error) {
	var found account
	if err := u.Info(ctx, "", token, &found); err != nil {
		return identity.External{}, err
	}
	switch {
	case found.ID <= 0:
		return identity.External{}, fmt.Errorf("%w: it does not say who logged in", identity.ErrUnavailable)
	case found.State != "" && found.State != "active":
		return identity.External{}, identity.ErrIncorrect
	}
	return identity.External{
		Subject: strconv.FormatInt(found.ID, 10), Username: found.Username, Email: found.Email, EmailVerified: found.Email != "" && found.ConfirmedAt != "", DisplayName: found.Name,
	}, nil
}
