package v1alpha2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the types in this package.
const GroupName = "quota.kubesphere.io"

// LabelQuota names the quota of a workspace that a quota of a namespace is a
// part of.
const LabelQuota = "quota.kubesphere.io/resourcequota"

// LabelProtected marks quotas of workspaces, and ResourceQuotas and LimitRanges of
// namespaces, that only users with all rights in the cluster change and delete, whatever
// its value.
const LabelProtected = "quota.kubesphere.io/protected"

// FinalizerPart keeps the part of a protected quota in a namespace that is being deleted
// until nothing is in use there.
const FinalizerPart = "ks-apiserver.kubesphere.io/workspace-quota"

// SchemeGroupVersion is the group and version of the types in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha2"}

// Resource returns the group-qualified name of a plural resource of this group.
func Resource(plural string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(plural).GroupResource()
}

// AddToScheme registers the types of this package with a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &ResourceQuota{}, &ResourceQuotaList{})
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
