package mirror

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// ReadServed returns the resources of all versions that kube-apiserver serves, in order.
// Groups whose servers do not answer keep the resources they had before.
func ReadServed(from discovery.DiscoveryInterface, before []authz.ServedResource) ([]authz.ServedResource, error) {
	_, lists, err := from.ServerGroupsAndResources()
	failed, partial := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partial {
		return nil, err
	}
	served := servedOf(lists)
	missing := make(map[string]bool, len(failed))
	for version := range failed {
		missing[version.Group] = true
	}
	for _, one := range before {
		if missing[one.Group] {
			served = append(served, one)
		}
	}
	slices.SortFunc(served, authz.CompareServed)
	return slices.CompactFunc(served, func(a, b authz.ServedResource) bool { return authz.CompareServed(a, b) == 0 }), nil
}

func servedOf(lists []*metav1.APIResourceList) []authz.ServedResource {
	var served []authz.ServedResource
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for n := range list.APIResources {
			resource, subresource, _ := strings.Cut(list.APIResources[n].Name, "/")
			served = append(served, authz.ServedResource{Group: version.Group, Resource: resource, Subresource: subresource, Namespaced: list.APIResources[n].Namespaced})
		}
	}
	return served
}
