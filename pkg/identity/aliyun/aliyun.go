// Package aliyun lets people log in at IDaaS of Alibaba Cloud.
package aliyun

import (
	"context"
	"fmt"

	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// Type is the type of these providers in the configuration.
const Type = "AliyunIDaaSProvider"

// New returns a provider. Each tenant has endpoints of its own, so that all are needed.
func New(options *outbound.CodeOptions) (*outbound.User, error) {
	if len(options.Scopes) == 0 {
		options.Scopes = []string{"read"}
	}
	return outbound.NewUser(options, outbound.Endpoint{}, false, read)
}

// answer is what IDaaS says of a user.
type answer struct {
	Success bool `json:"success"`
	Data    struct {
		Sub      string `json:"sub"`
		Username string `json:"username"`
		Nickname string `json:"nickname"`
		Email    string `json:"email"`
	} `json:"data"`
}

func read(ctx context.Context, u *outbound.User, token *oauth2.Token) (identity.External, error) {
	var found answer
	if err := u.Info(ctx, "", token, &found); err != nil {
		return identity.External{}, err
	}
	if !found.Success || found.Data.Sub == "" {
		return identity.External{}, fmt.Errorf("%w: it does not say who logged in", identity.ErrUnavailable)
	}
	return identity.External{Subject: found.Data.Sub, Username: found.Data.Username, Email: found.Data.Email, DisplayName: found.Data.Nickname}, nil
}
