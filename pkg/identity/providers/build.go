package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	sigsjson "sigs.k8s.io/json"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/aliyun"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/cas"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/github"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/gitlab"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/ldap"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/oidc"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// providerName is what providers may be called: the name is part of paths, the
// value of a label, and the end of the name of an annotation.
var providerName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,43}[A-Za-z0-9])?$`)

// build makes a provider of its configuration, and logs which options have no effect.
// Errors name what is wrong, never the values, as some are secret.
func build(ctx context.Context, c config.IdentityProvider, now func() time.Time) (*identity.Provider, error) {
	p, unknown, err := newProvider(c, now)
	for _, one := range unknown {
		slog.WarnContext(ctx, "an option of an identity provider has no effect", "provider", c.Name, "error", one)
	}
	return p, err
}

// newProvider makes a provider of its configuration. Errors beside it are about
// options that are unknown.
func newProvider(c config.IdentityProvider, now func() time.Time) (provider *identity.Provider, unknown []error, err error) {
	if !providerName.MatchString(c.Name) {
		return nil, nil, errors.New("name: at most 45 letters, digits, '-', '_' and '.' are allowed, and needed")
	}
	p := &identity.Provider{Name: c.Name, Title: c.Title, Type: c.Type, Hidden: c.Hidden, Mapping: identity.Mapping{
		Method: identity.MappingMethod(c.MappingMethod), WithoutConfirmation: c.DisableLoginConfirmation, Groups: c.GroupMapping,
	}}
	if p.Title == "" {
		p.Title = c.DisplayName
	}
	switch p.Mapping.Method {
	case "":
		p.Mapping.Method = identity.MappingAuto
	case identity.MappingAuto, identity.MappingLookup, identity.MappingManual, identity.MappingMixed:
	default:
		return nil, nil, errors.New("mappingMethod is not auto, lookup, manual or mixed")
	}
	for external, group := range c.GroupMapping {
		if external == "" || group == "" || strings.HasPrefix(strings.ToLower(group), "system:") {
			return nil, nil, errors.New("groupMapping has an empty name, or one that is Kubernetes' own")
		}
	}
	prepare, known := types()[c.Type]
	if !known {
		return nil, nil, errors.New("type is unknown")
	}
	unknown, err = prepare(p, c.Provider, now)
	if err != nil {
		return nil, nil, fmt.Errorf("provider: %w", err)
	}
	return p, unknown, nil
}

// kind fills a provider in with its options. It returns errors about options
// that are unknown, which do no harm.
type kind func(p *identity.Provider, options config.Section, now func() time.Time) (unknown []error, err error)

func types() map[string]kind {
	return map[string]kind{
		ldap.Type: func(p *identity.Provider, section config.Section, _ func() time.Time) ([]error, error) {
			var options ldap.Options
			unknown, err := decode(section, &options)
			if err != nil {
				return nil, err
			}
			p.Password, err = ldap.New(options)
			return unknown, err
		},
		oidc.Type: func(p *identity.Provider, section config.Section, now func() time.Time) ([]error, error) {
			var options oidc.Options
			unknown, err := decode(section, &options)
			if err != nil {
				return nil, err
			}
			built, err := oidc.New(options, now)
			if err != nil {
				return nil, err
			}
			p.Redirect, p.Public = built, built.Public
			return unknown, nil
		},
		cas.Type: func(p *identity.Provider, section config.Section, _ func() time.Time) ([]error, error) {
			var options cas.Options
			unknown, err := decode(section, &options)
			if err != nil {
				return nil, err
			}
			public := map[string]any{"casServerURL": options.CASServerURL, "redirectURL": options.RedirectURL}
			p.Public = func(context.Context) map[string]any { return public }
			p.Redirect, err = cas.New(options)
			return unknown, err
		},
		github.Type: code(github.New),
		gitlab.Type: code(gitlab.New),
		aliyun.Type: code(aliyun.New),
	}
}

// code is the kind of providers of OAuth 2.0.
func code(build func(*outbound.CodeOptions) (*outbound.User, error)) kind {
	return func(p *identity.Provider, section config.Section, _ func() time.Time) ([]error, error) {
		options := &outbound.CodeOptions{}
		unknown, err := decode(section, options)
		if err != nil {
			return nil, err
		}
		p.Redirect, err = build(options)
		p.Public = func(context.Context) map[string]any { return options.Public() }
		return unknown, err
	}
}

// decode reads the options of a provider.
func decode(section config.Section, into any) (unknown []error, err error) {
	encoded, err := json.Marshal(map[string]any(section)) // a Section would mask its secrets
	if err != nil {
		return nil, errors.New("the options cannot be read")
	}
	return sigsjson.UnmarshalStrict(encoded, into)
}
