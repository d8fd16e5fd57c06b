package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/flowcontrol"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// Lease is the name of the lease the replica that reconciles holds, in
// kube.Namespace.
const Lease = "ks-apiserver-controllers"

// A replica that dies is replaced when its lease runs out and another one
// looks: well within 15 seconds.
const (
	leaseDuration = 8 * time.Second
	renewDeadline = 5 * time.Second
	retryPeriod   = 1500 * time.Millisecond
)

// pause is how long is waited between attempts to take part.
const pause = time.Second

// Controllers reconcile while this replica leads.
type Controllers struct {
	// Config reaches kube-apiserver.
	Config *rest.Config
	// Client reads and writes without a cache, for what must not be missed, in
	// the name of this server.
	Client client.Client
	// Identity tells this replica from all others.
	Identity string
	// Ready reports why the cluster is not prepared yet.
	Ready func() error
	// Sessions end when their users do.
	Sessions iam.Sessions
	// Passwords hash those that were written in clear.
	Passwords iam.Passwords
	Now       func() time.Time
	// MaximumRecords and RecordRetention bound the login records of a user.
	MaximumRecords  int
	RecordRetention time.Duration
	// Network says how workspaces and projects are isolated.
	Network config.Network
	// Names is the register of the platform's namespaces; nil for the built-in one.
	Names *reserved.Register
	// Also run while this replica leads.
	Also []manager.Runnable
}

// Run takes part until the context ends: it waits to lead, reconciles while it
// does, and begins again when it does not any more.
func (c *Controllers) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if c.Ready() == nil {
			if err := c.elect(ctx); err != nil {
				slog.WarnContext(ctx, "this replica cannot take part in reconciling", "error", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (c *Controllers) elect(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(rest.AddUserAgent(rest.CopyConfig(c.Config), "leader-election"))
	if err != nil {
		return err
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: kube.Namespace, Name: Lease},
			Client:     clients.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: c.Identity},
		},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		ReleaseOnCancel: true, Name: Lease,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				slog.InfoContext(ctx, "this replica reconciles now", "identity", c.Identity)
				for ctx.Err() == nil {
					if err := c.reconcile(ctx); err != nil {
						slog.ErrorContext(ctx, "reconciling stopped", "error", err)
					}
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			},
			OnStoppedLeading: func() { slog.InfoContext(ctx, "this replica does not reconcile any more", "identity", c.Identity) },
		},
	})
	if err != nil {
		return err
	}
	elector.Run(ctx)
	return nil
}

// reconcile runs all reconcilers until the context ends.
func (c *Controllers) reconcile(ctx context.Context) error {
	scheme, err := kube.Scheme()
	if err != nil {
		return err
	}
	run, err := manager.New(c.Config, manager.Options{
		Scheme:  scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:   cache.Options{ByObject: isolationCache()},
		// The names of a replica that leads for the second time are not new.
		Controller: ctrlconfig.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		return fmt.Errorf("starting the reconcilers: %w", err)
	}
	if err := c.setup(ctx, run); err != nil {
		return fmt.Errorf("starting the reconcilers: %w", err)
	}
	for _, also := range c.Also {
		if err := run.Add(also); err != nil {
			return fmt.Errorf("starting the reconcilers: %w", err)
		}
	}
	return run.Start(ctx)
}

// setup registers the reconcilers. What they read again and again comes from
// the cache of the manager; what finishes a deletion is read as it is.
func (c *Controllers) setup(ctx context.Context, run ctrl.Manager) error {
	policies, err := c.watchesPolicies(run.GetRESTMapper())
	if err != nil {
		return fmt.Errorf("the definition of NamespaceNetworkPolicies: %w", err)
	}
	if err := index(ctx, run.GetFieldIndexer(), policies); err != nil {
		return err
	}
	bindings, cached := &iam.Bindings{Client: c.Client}, run.GetClient()
	reconcilers := []interface{ setup(ctrl.Manager) error }{
		&users{client: cached, live: c.Client, users: &iam.Users{Client: c.Client, Bindings: bindings, Sessions: c.Sessions, Passwords: c.Passwords, Now: c.Now}, now: c.Now},
		&records{client: cached, now: c.Now, maximum: c.MaximumRecords, retention: c.RecordRetention},
		&groups{client: cached, groups: &iam.Groups{Client: c.Client, Bindings: bindings}},
		&administrators{client: cached},
		&leftovers{client: cached, live: c.Client, now: c.Now},
		&workspaces{client: cached, ensure: &tenant.Workspaces{Client: cached}, finish: &tenant.Workspaces{Client: c.Client}},
		&projects{client: cached, live: c.Client, ensure: &tenant.Projects{Client: cached, Bindings: &iam.Bindings{Client: cached}, Now: c.Now, Names: c.Names}},
		&templates{client: cached, live: c.Client},
		&explicitVerbs{client: cached, live: c.Client, limiter: flowcontrol.NewTokenBucketRateLimiter(rewritesPerSecond, rewritesPerSecond)},
		&quotas{client: cached, quotas: &tenant.Quotas{Client: cached}},
	}
	if policies {
		reconcilers = append(reconcilers, &networkIsolation{client: cached, config: c.Network})
	} else {
		slog.InfoContext(ctx, "Network isolation is off and the definition of NamespaceNetworkPolicies does not exist")
	}
	for _, reconciler := range reconcilers {
		if err := reconciler.setup(run); err != nil {
			return err
		}
	}
	return nil
}
