package app

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// currentUser returns the sender of a request as of now, or why its credentials
// are accepted no longer.
func (d doors) currentUser(ctx context.Context, sender user.Info) (user.Info, error) {
	switch {
	case authz.IsAnonymous(sender):
		return sender, nil
	case authz.IsServiceAccount(sender):
		if err := d.serviceAccountExists(ctx, sender); err != nil {
			return nil, err
		}
		return sender, d.checkServiceAccountToken(ctx)
	}
	account, known, err := d.accounts.directory.Account(ctx, sender.GetName())
	if err != nil {
		return nil, err
	}
	if !known || !authn.MayGoOn(account.State) || !sameAccount(sender, account) {
		return nil, authn.ErrNotActive
	}
	if err := d.checkPassword(ctx, sender); err != nil {
		return nil, err
	}
	for _, id := range sender.GetExtra()[authn.ExtraSession] {
		active, err := d.active.Active(ctx, id)
		if err != nil {
			return nil, err
		}
		if !active {
			return nil, authn.ErrSessionEnded
		}
	}
	for _, name := range sender.GetExtra()[authn.ExtraPersonalToken] {
		active, err := d.accounts.tokens.Active(ctx, name)
		if err != nil {
			return nil, err
		}
		if !active {
			return nil, accesstoken.ErrInvalid
		}
	}
	return &user.DefaultInfo{Name: account.Name, Groups: append(authn.Groups(account.Groups), user.AllAuthenticated), Extra: sender.GetExtra()}, nil
}

// serviceAccountExists returns authn.ErrNotActive for a service account that was
// deleted, or made again: its tokens are of the one before.
func (d doors) serviceAccountExists(ctx context.Context, sender user.Info) error {
	namespace, name, err := serviceaccount.SplitUsername(sender.GetName())
	if err != nil {
		return authn.ErrNotActive
	}
	found := &corev1.ServiceAccount{}
	err = d.accounts.client.Get(kube.AsServer(ctx), types.NamespacedName{Namespace: namespace, Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return authn.ErrNotActive
	case err != nil:
		return err
	case sender.GetUID() != "" && sender.GetUID() != string(found.UID):
		return authn.ErrNotActive
	}
	return nil
}

// sameAccount reports whether an account is the one the credentials of a request were
// checked for, and not another one of the same name.
func sameAccount(sender user.Info, account iam.Account) bool {
	for _, uid := range sender.GetExtra()[authn.ExtraAccount] {
		if uid != account.UID {
			return false
		}
	}
	return true
}

// checkPassword returns authn.ErrPasswordChanged for a request that began with a password
// that the user no longer has.
func (d doors) checkPassword(ctx context.Context, sender user.Info) error {
	for _, digest := range sender.GetExtra()[authn.ExtraPasswordDigest] {
		present, err := d.accounts.directory.PasswordDigest(ctx, sender.GetName())
		switch {
		case apierrors.IsNotFound(err):
			return authn.ErrNotActive
		case err != nil:
			return err
		case present != digest:
			return authn.ErrPasswordChanged
		}
	}
	return nil
}

// checkServiceAccountToken returns token.ErrInvalid for a request that began with a token
// that Kubernetes no longer accepts: it has expired, or the pod or the Secret it belongs
// to was deleted. The authenticator asks Kubernetes about each token once in a while.
func (d doors) checkServiceAccountToken(ctx context.Context) error {
	text := request.TokenFrom(ctx)
	if d.serviceAccounts == nil || text == "" {
		return nil
	}
	_, accepted, err := d.serviceAccounts.AuthenticateToken(ctx, text)
	switch {
	case errors.Is(err, identity.ErrBusy):
		return nil // it is checked again after the next interval
	case err != nil:
		return err
	case !accepted:
		return token.ErrInvalid
	}
	return nil
}
