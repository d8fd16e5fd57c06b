//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestIPPools: the pools of the cluster, and those of a namespace.
func TestIPPools(t *testing.T) {
	t.Parallel()
	x := newTenancy(t, "pool")
	c, root := kubernetes(t, ""), shared.as(t, "admin", adminPassword)
	for name, labels := range map[string]map[string]string{
		"pool-default": {networkv1alpha1.LabelDefaultIPPool: ""}, "pool-ours": {"kubesphere.io/workspace": x.workspace}, "pool-theirs": {"kubesphere.io/workspace": "another"}, "pool-none": nil,
	} {
		create(t, c, &networkv1alpha1.IPPool{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: networkv1alpha1.IPPoolSpec{Type: "calico", CIDR: "10.244.0.0/16"}})
	}
	for _, resource := range []string{"ippools", "ipamblocks", "ipamhandles"} {
		root.must(t, 200, "GET", "/apis/network.kubesphere.io/v1alpha1/"+resource, nil)
		root.must(t, 200, "GET", viewer+"/"+resource+"?sortBy=createTime&limit=10", nil)
		x.viewer.must(t, 403, "GET", viewer+"/"+resource, nil)
	}
	wait.For(t, "the pools to be listed", func() error {
		return expectItems(root.must(t, 200, "GET", viewer+"/ippools?name=pool-&limit=10", nil), 4)
	})
	of := viewer + "/namespaces/" + x.project + "/ippools"
	wait.For(t, "the namespace to have its pools", func() error {
		got := names(decode[list](t, x.viewer.must(t, 200, "GET", of+"?sortBy=name&ascending=true&limit=-1", nil)))
		if !slices.Equal(got, []string{"/pool-default", "/pool-ours"}) {
			return fmt.Errorf("the namespace has %v", got)
		}
		return nil
	})
	if err := expectItems(x.viewer.must(t, 200, "GET", of+"?labelSelector=ippool.network.kubesphere.io%2Fdefault", nil), 1); err != nil {
		t.Error(err)
	}
	x.viewer.must(t, 403, "GET", viewer+"/namespaces/kube-system/ippools", nil)
}
