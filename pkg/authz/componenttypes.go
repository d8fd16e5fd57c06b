package authz

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// componentWrites are the parts of the objects of a type that only components of the
// cluster write, since other components act on them.
type componentWrites struct{ object, status bool }

// componentTypes are the types of Kubernetes with parts that only components of the
// cluster write. Types whose status only informs, or can be brought about by the
// specification as well, are not among them; nor are types that workloads of users
// write too, such as leases and endpoints.
var componentTypes = map[schema.GroupResource]componentWrites{
	// kube-apiserver connects to the address and the port of a node's kubelet, the
	// scheduler places pods by capacity and conditions.
	{Resource: "nodes"}: {status: true},
	// A namespace is deleted with its content or without it.
	{Resource: "namespaces"}: {status: true},
	// Traffic goes to the addresses of pods and of load balancers.
	{Resource: "pods"}:     {status: true},
	{Resource: "services"}: {status: true},
	{Group: "networking.k8s.io", Resource: "ingresses"}: {status: true},
	// Admission counts with the use of a quota.
	{Resource: "resourcequotas"}: {status: true},
	// Volumes are bound and resized by the phase and the capacity.
	{Resource: "persistentvolumes"}:      {status: true},
	{Resource: "persistentvolumeclaims"}: {status: true},
	// Kubelets mount volumes that are attached; drivers say which ones a node can have
	// and how much space there is for volumes of all namespaces.
	{Group: "storage.k8s.io", Resource: "volumeattachments"}:    {object: true, status: true},
	{Group: "storage.k8s.io", Resource: "csinodes"}:             {object: true, status: true},
	{Group: "storage.k8s.io", Resource: "csistoragecapacities"}: {object: true},
	// The addresses of services are taken as long as these objects exist.
	{Group: "networking.k8s.io", Resource: "ipaddresses"}:  {object: true},
	{Group: "networking.k8s.io", Resource: "servicecidrs"}: {status: true},
	// Signers put the certificate into the status. Kubelets ask for those of pods, with
	// the identity of the pod's service account.
	{Group: groupCertificates, Resource: "certificatesigningrequests"}: {status: true},
	{Group: groupCertificates, Resource: "podcertificaterequests"}:     {object: true, status: true},
	// The scheduler allocates the devices that drivers publish, the status of claims
	// says which pods use them.
	{Group: "resource.k8s.io", Resource: "resourceslices"}: {object: true},
	{Group: "resource.k8s.io", Resource: "resourceclaims"}: {status: true},
	{Group: "scheduling.k8s.io", Resource: "podgroups"}:    {status: true},
	// kube-apiserver serves a type by the conditions and the accepted names of its
	// definition, and a group by the condition of its APIService.
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}: {status: true},
	{Group: "apiregistration.k8s.io", Resource: "apiservices"}:             {status: true},
	// Writes wait for the versions that all replicas of kube-apiserver can decode, and
	// migrations continue from their status.
	{Group: "internal.apiserver.k8s.io", Resource: "storageversions"}:        {object: true, status: true},
	{Group: "storagemigration.k8s.io", Resource: "storageversionmigrations"}: {status: true},
}

const groupCertificates = "certificates.k8s.io"

// powerGroups are the API groups with types of which only components of the cluster
// write parts.
var powerGroups = func() []string {
	var groups []string
	for resource := range componentTypes {
		groups = append(groups, resource.Group)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}()

// isComponentObject reports whether only components of the cluster write objects of a
// type.
func isComponentObject(group, resource string) bool {
	return componentTypes[schema.GroupResource{Group: group, Resource: resource}].object
}

// hasComponentStatus reports whether components of the cluster act on the status of
// objects of a type, or of one of the types of a group when the resource is all.
func hasComponentStatus(group, resource string) bool {
	if resource == rbacv1.ResourceAll {
		return slices.Contains(powerGroups, group)
	}
	return componentTypes[schema.GroupResource{Group: group, Resource: resource}].status
}
