package app

import (
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/components"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/statistics"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/terminal"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/workloads"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// clusterGroups are the operations on what runs in the cluster.
func (d doors) clusterGroups() []route.Group {
	a := d.accounts
	health := &components.Handler{Cache: d.cache, Catalog: d.types.Catalog}
	jobs := &workloads.Handler{Client: a.client, Rights: d.rights}
	numbers := &statistics.Handler{Cache: d.cache, Types: d.types, Directory: a.directory, Now: time.Now}
	shells := &terminal.Handler{
		Config: d.rest, Client: a.client, Rights: d.rights, Allowed: d.stillAllowed, Image: d.config.Terminal.Image,
		IdleTimeout: time.Duration(d.config.Terminal.Timeout) * time.Second, MaxLifetime: d.config.Terminal.MaxLifetime.Duration, Now: time.Now,
	}
	groups := append(health.Groups(), jobs.Groups()...)
	return append(groups, numbers.Group(), shells.Group())
}

// stillAllowed reports why the caller of a request that lasts may not go on:
// the session has ended, the user is disabled, or a right is gone.
func (d doors) stillAllowed(r *http.Request) error {
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		return status.Unauthorized("Unauthorized: this needs credentials")
	}
	sender := who
	if another, ok := who.(*kube.Another); ok {
		sender = another.By
	}
	account, known, err := d.accounts.directory.Account(r.Context(), sender.GetName())
	if err != nil {
		return err
	}
	if !authz.IsAnonymous(sender) && (!known || !authn.MayGoOn(account.State)) {
		return authn.ErrNotActive
	}
	for _, id := range sender.GetExtra()[authn.ExtraSession] {
		if active, err := d.active.Active(r.Context(), id); err != nil || !active {
			return authn.ErrSessionEnded
		}
	}
	asked, err := authz.Asked(r.Header)
	if err == nil && asked != nil {
		_, err = asked.By(r.Context(), d.authorizer, sender)
	}
	if err != nil {
		return err
	}
	attributes := authz.AttributesOf(request.InfoFrom(r.Context()))
	attributes.User = who
	decision, _, err := d.authorizer.Authorize(r.Context(), attributes)
	if err != nil {
		return err
	}
	if decision != authorizer.DecisionAllow {
		return status.New(http.StatusForbidden, "Forbidden", "the right to do this was taken away")
	}
	return nil
}
