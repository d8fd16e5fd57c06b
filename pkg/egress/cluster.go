package egress

import (
	"context"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rangesLast is how long the ranges of a cluster are believed.
const rangesLast = time.Minute

// Cluster knows the addresses of pods and services.
type Cluster struct {
	// Reader reads from Kubernetes.
	Reader client.Reader
	Now    func() time.Time

	mu     sync.Mutex
	ranges []netip.Prefix
	read   time.Time
}

// Inside reports whether an address is one of a pod or a service: in a range for
// them, or had by one, since not every network says its ranges. Nodes are
// outside, and so are the pods in their network.
func (c *Cluster) Inside(ctx context.Context, address netip.Addr) (bool, error) {
	ranges, err := c.known(ctx)
	if err != nil {
		return false, err
	}
	if within(ranges, address) {
		return true, nil
	}
	pods := &corev1.PodList{}
	if err := c.Reader.List(ctx, pods, having("status.podIP", address)); err != nil {
		return false, err
	}
	for n := range pods.Items {
		if !pods.Items[n].Spec.HostNetwork {
			return true, nil
		}
	}
	services := &corev1.ServiceList{}
	if err := c.Reader.List(ctx, services, having("spec.clusterIP", address)); err != nil {
		return false, err
	}
	return len(services.Items) > 0, nil
}

func having(field string, address netip.Addr) client.ListOption {
	return client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector(field, address.String())}
}

// known are the ranges of pods and services.
func (c *Cluster) known(ctx context.Context) ([]netip.Prefix, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ranges != nil && c.Now().Sub(c.read) < rangesLast {
		return c.ranges, nil
	}
	ranges := []netip.Prefix{}
	add := func(texts ...string) {
		for _, text := range texts {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				ranges = append(ranges, prefix.Masked())
			}
		}
	}
	nodes := &corev1.NodeList{}
	if err := c.Reader.List(ctx, nodes); err != nil {
		return nil, err
	}
	for n := range nodes.Items {
		add(nodes.Items[n].Spec.PodCIDRs...)
	}
	services := &networkingv1.ServiceCIDRList{}
	// Kubernetes before 1.33 does not say it.
	if err := c.Reader.List(ctx, services); err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
		return nil, err
	}
	for n := range services.Items {
		add(services.Items[n].Spec.CIDRs...)
	}
	c.ranges, c.read = ranges, c.Now()
	return ranges, nil
}
