package controlplane

import (
	"context"
	"fmt"

	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/pki"
)

// ControllerManager is the configuration of kube-controller-manager.
type ControllerManager struct {
	// Kubeconfig is the file it reaches kube-apiserver with.
	Kubeconfig string
	// PKI has the keys it signs with.
	PKI *pki.Store
	// PluginDir is a directory for volume plugins. There are none, but it is
	// created, by default in a place that belongs to the machine.
	PluginDir string
}

// Run controls until ctx ends.
func (c *ControllerManager) Run(ctx context.Context) error {
	args := []string{
		"--kubeconfig=" + c.Kubeconfig,
		"--secure-port=0",
		"--leader-elect=false",
		// There is nothing to attach, and it looks at every pod to find out.
		"--controllers=*,-persistentvolume-attach-detach-controller",
		"--use-service-account-credentials=true",
		"--root-ca-file=" + c.PKI.Cert(pki.CA),
		"--service-account-private-key-file=" + c.PKI.Key(pki.ServiceAccount),
		"--cluster-signing-cert-file=" + c.PKI.Cert(pki.CA),
		"--cluster-signing-key-file=" + c.PKI.Key(pki.CA),
		"--flex-volume-plugin-dir=" + c.PluginDir,
		"--kube-api-qps=300",
		"--kube-api-burst=600",
		// KWOK renews node leases about as seldom as the default grace period
		// lasts, and seeded nodes have nobody to renew theirs: without a very
		// long period nodes flap and their pods are evicted.
		"--node-monitor-grace-period=720h",
	}
	opts, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("default options: %w", err)
	}
	known, disabled, aliases := app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()
	if err := parse("kube-controller-manager", opts.Flags(known, disabled, aliases), args); err != nil {
		return err
	}
	config, err := opts.Config(ctx, known, disabled, aliases)
	if err != nil {
		return fmt.Errorf("invalid options: %w", err)
	}
	return app.Run(ctx, config.Complete())
}
