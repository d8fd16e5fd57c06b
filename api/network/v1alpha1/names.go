package v1alpha1

// AnnotationNetworkIsolation on a namespace isolates it from all others when
// its value is NetworkIsolationEnabled.
const (
	AnnotationNetworkIsolation = "kubesphere.io/network-isolate"
	NetworkIsolationEnabled    = "enabled"
)

// ConditionEnforced is the condition of a NamespaceNetworkPolicy that says
// whether a NetworkPolicy of Kubernetes carries it out.
const ConditionEnforced = "Enforced"

// LabelDefaultIPPool marks the address pools of all namespaces.
const LabelDefaultIPPool = "ippool.network.kubesphere.io/default"
