package app

import (
	"crypto/rand"
	"os"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	kapisiam "github.com/super-kubenetes/ks-apiserver/pkg/kapis/iam"
	kapistenant "github.com/super-kubenetes/ks-apiserver/pkg/kapis/tenant"
	"github.com/super-kubenetes/ks-apiserver/pkg/kapis/usage"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// accounts are the domains of users, groups and workspaces.
type accounts struct {
	client     client.Client
	directory  *iam.Directory
	passwords  *identity.Passwords
	users      *iam.Users
	groups     *iam.Groups
	bindings   *iam.Bindings
	workspaces *tenant.Workspaces
	projects   *tenant.Projects
	quotas     *tenant.Quotas
	tokens     *accesstoken.Tokens
	sessions   *session.Sessions
}

// newAccounts builds the domains over a client.
func newAccounts(c client.Client, directory *iam.Directory, passwords *identity.Passwords, chosen iam.Passwords, sessions *session.Sessions, tokens *accesstoken.Tokens) *accounts {
	bindings := &iam.Bindings{Client: c}
	return &accounts{
		client: c, directory: directory, passwords: passwords, bindings: bindings, sessions: sessions, tokens: tokens,
		users:      &iam.Users{Client: c, Bindings: bindings, Sessions: sessions, Emails: directory, Identities: directory, Passwords: chosen, Now: time.Now},
		groups:     &iam.Groups{Client: c, Bindings: bindings},
		workspaces: &tenant.Workspaces{Client: c},
		projects:   &tenant.Projects{Client: c, Bindings: bindings, Now: time.Now},
		quotas:     &tenant.Quotas{Client: c},
	}
}

// accountGroups are the operations on users, groups, workspaces and projects.
func (d doors) accountGroups() []route.Group {
	a, catalog, users := d.accounts, d.types.Catalog, d.users()
	workspaces := &kapistenant.Handler{
		Cache: d.cache, Types: d.types, Directory: a.directory, Bindings: a.bindings,
		Workspaces: a.workspaces, Projects: a.projects, Quotas: a.quotas, Rights: d.rights, Limits: d.limits,
		Prices: d.config.Metering,
	}
	counts := &usage.Handler{Cache: d.cache, Catalog: catalog, Client: a.client}
	return append(workspaces.Groups(), users.Group(), d.kubeconfig.Group(), counts.Group())
}

// users is the door to users, groups and members.
func (d doors) users() *kapisiam.Handler {
	a := d.accounts
	return &kapisiam.Handler{
		Directory: a.directory, Types: d.types.Catalog, Users: a.users, Groups: a.groups, Bindings: a.bindings,
		Managers: a.workspaces, Passwords: a.passwords, Rights: d.rights, Roles: d.rights, Tokens: a.tokens, Sessions: a.sessions,
		Limits: d.limits, Providers: d.people.providers, Callback: d.people.callback, Attempts: d.people.attempts,
	}
}

// seen is a client that acts as the user of the context, and whose writes are
// in the cache when they return.
func (a *app) seen() client.Client {
	return &objects.Client{Client: a.acting, Cache: a.cache, Catalog: a.catalog}
}

// identityOf tells this process from all others.
func identityOf() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + rand.Text()
}
