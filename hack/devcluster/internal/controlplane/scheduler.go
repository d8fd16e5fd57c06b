package controlplane

import (
	"context"
	"fmt"

	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// Scheduler is the configuration of kube-scheduler.
type Scheduler struct {
	// Kubeconfig is the file it reaches kube-apiserver with.
	Kubeconfig string
}

// Run schedules until ctx ends.
func (s *Scheduler) Run(ctx context.Context) error {
	args := []string{
		"--kubeconfig=" + s.Kubeconfig,
		"--authentication-kubeconfig=" + s.Kubeconfig,
		"--authorization-kubeconfig=" + s.Kubeconfig,
		"--secure-port=0",
		"--leader-elect=false",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	}
	opts := options.NewOptions()
	if err := parse("kube-scheduler", *opts.Flags, args); err != nil {
		return err
	}
	name, err := cache.NewInformerName("kube-scheduler")
	if err != nil {
		return fmt.Errorf("name the informers: %w", err)
	}
	opts.InformerName = name
	config, scheduler, err := app.Setup(ctx, opts)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	// It calls every end without leader election an error, even ours.
	if err := app.Run(ctx, config, scheduler); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
