package app

import (
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/server"
)

// checks are the conditions for being ready.
func (a *app) checks() []server.Check {
	checks := []server.Check{
		{Name: "kubernetes", Err: a.monitor.Err},
		{Name: "setup", Err: a.setup.Ready},
		{Name: "kubernetes-rights", Err: a.proxy.Err},
		{Name: "signing-keys", Err: a.keys.Ready},
		{Name: "rights", Err: a.rights.Ready},
		{Name: "mirrored-roles", Err: a.mirrored.Ready},
		{Name: "extensions", Err: a.extensions.Ready},
		{Name: "configuration-objects", Err: func() error { return nil }, Detail: a.problems.Detail},
	}
	if a.certificate != nil {
		checks = append(checks, server.Check{Name: "certificate", Err: func() error {
			_, err := a.certificate.Authority()
			return err
		}})
	}
	for _, resource := range append(iam.Pinned(), a.config.Objects.AlwaysOn...) {
		kind := a.catalog.Type(resource)
		checks = append(checks, server.Check{Name: "cache-" + resource, Err: func() error { return a.cache.Synced(kind) }})
	}
	return checks
}
