package seed

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes"
)

const (
	// allLiving is the number of pods up to which all of them roll out.
	allLiving = 300
	// someLiving is how many roll out of a larger number.
	someLiving = 60

	// The seed is done once in the life of a cluster. These keys say so; they
	// are next to /registry, where kube-apiserver does not see them.
	storageDone = "/devcluster/seeded/storage"
	apiDone     = "/devcluster/seeded/api"
)

// Options say how large the seed is.
type Options struct {
	// Pods is the number of pods there are when all has settled.
	Pods int
	// KubeletPort is where the kubelet of every node listens.
	KubeletPort int
	// Progress is told what happens.
	Progress func(format string, args ...any)
}

// split divides the pods into those that roll out and those written settled.
func (o Options) split() (living, settled int) {
	if o.Pods <= allLiving {
		return o.Pods, 0
	}
	return someLiving, o.Pods - someLiving
}

// Storage writes the settled part into etcd. Nothing else may use etcd yet:
// kube-apiserver's caches would not be told.
func Storage(ctx context.Context, etcd *clientv3.Client, opts Options) error {
	_, settled := opts.split()
	if settled == 0 {
		return nil
	}
	return once(ctx, etcd, storageDone, opts, func() error {
		opts.Progress("writing %d settled pods into etcd", settled)
		return writeSettled(ctx, etcd, settled, opts)
	})
}

// API creates the living part through kube-apiserver and waits until it runs.
func API(ctx context.Context, etcd *clientv3.Client, client kubernetes.Interface, opts Options) error {
	living, settled := opts.split()
	if living == 0 {
		return nil
	}
	return once(ctx, etcd, apiDone, opts, func() error {
		opts.Progress("creating workloads of %d pods that roll out", living)
		a := &api{client: client}
		if err := a.create(ctx, living, planSettled(settled)); err != nil {
			return err
		}
		opts.Progress("waiting for the workloads to run")
		return a.waitRunning(ctx, living)
	})
}

// once runs do unless the key says that it has been done. It is set at the
// end, and do can be repeated, so a crash in between does no harm.
func once(ctx context.Context, etcd *clientv3.Client, key string, opts Options, do func() error) error {
	found, err := etcd.Get(ctx, key, clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("look for an earlier seed: %w", err)
	}
	if found.Count > 0 {
		opts.Progress("seeded before: left as it is")
		return nil
	}
	if err := do(); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if _, err := etcd.Put(ctx, key, time.Now().UTC().Format(time.RFC3339)); err != nil {
		return fmt.Errorf("remember the seed: %w", err)
	}
	return nil
}
