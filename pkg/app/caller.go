package app

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// currentUser returns the sender of a request as of now, or why its credentials
// are accepted no longer.
func (d doors) currentUser(ctx context.Context, sender user.Info) (user.Info, error) {
	switch {
	case authz.IsAnonymous(sender):
		return sender, nil
	case authz.IsServiceAccount(sender):
		return sender, d.serviceAccountExists(ctx, sender)
	}
	account, known, err := d.accounts.directory.Account(ctx, sender.GetName())
	if err != nil {
		return nil, err
	}
	if !known || !authn.MayGoOn(account.State) {
		return nil, authn.ErrNotActive
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
