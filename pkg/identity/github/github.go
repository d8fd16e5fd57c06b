// Package github lets people log in at GitHub or GitHub Enterprise.
package github

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/oauth2"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// Type is the type of these providers in the configuration.
const Type = "GitHubIdentityProvider"

// New returns a provider; endpoints that are not configured are those of github.com.
func New(options *outbound.CodeOptions) (*outbound.User, error) {
	if len(options.Scopes) == 0 {
		options.Scopes = []string{"read:user", "user:email"}
	}
	return outbound.NewUser(options, outbound.Endpoint{
		AuthURL: "https://github.com/login/oauth/authorize", TokenURL: "https://github.com/login/oauth/access_token", UserInfoURL: "https://api.github.com/user",
	}, true, read)
}

// account is what GitHub says of a user; one without a name has none here either.
type account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// address is one of the addresses of a user.
type address struct {
	Email    string `json:"email"`
	Primary  bool   `json:"primary"`
	Verified bool   `json:"verified"`
}

func read(ctx context.Context, u *outbound.User, token *oauth2.Token) (identity.External, error) {
	var found account
	if err := u.Info(ctx, "", token, &found); err != nil {
		return identity.External{}, err
	}
	if found.ID <= 0 {
		return identity.External{}, fmt.Errorf("%w: it does not say who logged in", identity.ErrUnavailable)
	}
	who := identity.External{Subject: strconv.FormatInt(found.ID, 10), Username: found.Login, Email: found.Email, DisplayName: found.Name}
	// The address of the profile may be missing, and does not say whether it is verified.
	granted, _ := token.Extra("scope").(string)
	scopes := strings.FieldsFunc(granted, func(r rune) bool { return r == ',' || r == ' ' })
	if !slices.Contains(scopes, "user:email") && !slices.Contains(scopes, "user") {
		return who, nil
	}
	var addresses []address
	if err := u.Info(ctx, "/emails", token, &addresses); err != nil {
		return identity.External{}, err
	}
	for _, one := range addresses {
		if one.Primary {
			who.Email, who.EmailVerified = one.Email, one.Verified
		}
	}
	return who, nil
}
