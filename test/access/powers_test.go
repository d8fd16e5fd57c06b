package access

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// ownedRequests are requests for powers and for what belongs to the platform.
var ownedRequests = []string{
	// Powers, which no "*" but that of the platform includes.
	"PUT /api/v1/namespaces/p/finalize", "PUT /api/v1/namespaces/p/status",
	"PATCH /api/v1/namespaces/p/pods/a/ephemeralcontainers", "POST /api/v1/namespaces/p/pods/a/binding", "POST /api/v1/namespaces/p/bindings",
	"PATCH /api/v1/namespaces/p/pods/a/status", "PATCH /api/v1/namespaces/p/services/a/status", "PUT /api/v1/namespaces/p/resourcequotas/a/status",
	"GET /api/v1/nodes/n/proxy/pods", "POST /api/v1/nodes/n/proxy/run/a/b/c", "GET /api/v1/namespaces/p/pods/a/proxy/", "GET /api/v1/namespaces/p/services/a/proxy/", "POST /api/v1/namespaces/p/pods/a/attach",
	"POST /api/v1/namespaces/p/pods/a/portforward", "POST /api/v1/namespaces/p/pods/a/eviction",
	"POST /apis/certificates.k8s.io/v1/certificatesigningrequests", "PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/a/approval",
	"PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/a/status", "POST /apis/certificates.k8s.io/v1beta1/clustertrustbundles",
	"PATCH /apis/resource.k8s.io/v1/namespaces/p/resourceclaims/a/status",
	"PATCH /api/v1/nodes/n/status", "GET /api/v1/nodes/n/status", "PATCH /api/v1/namespaces/p/persistentvolumeclaims/a/status",
	"PATCH /apis/storage.k8s.io/v1/volumeattachments/a/status", "PATCH /apis/storage.k8s.io/v1/csinodes/n", "POST /apis/storage.k8s.io/v1/namespaces/p/csistoragecapacities",
	"DELETE /apis/networking.k8s.io/v1/ipaddresses/a", "PUT /apis/networking.k8s.io/v1/servicecidrs/a/status", "POST /apis/resource.k8s.io/v1/resourceslices",
	"POST /apis/certificates.k8s.io/v1beta1/namespaces/p/podcertificaterequests", "PUT /apis/apiregistration.k8s.io/v1/apiservices/a/status",
	"PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com/status", "PATCH /apis/policy/v1/namespaces/p/poddisruptionbudgets/a/status",
	// Limits of a project.
	"PATCH /api/v1/namespaces/p/resourcequotas/a", "DELETE /api/v1/namespaces/p/resourcequotas/a", "DELETE /api/v1/namespaces/p/limitranges/a",
	// What belongs to the platform itself.
	"GET /api/v1/secrets", "GET /api/v1/secrets?watch=true", "GET /api/v1/namespaces/kubesphere-system/secrets", "GET /api/v1/namespaces/kubesphere-system/secrets?watch=true",
	"GET /api/v1/namespaces/kubesphere-system/secrets/ks-apiserver-signing-keys", "PATCH /api/v1/namespaces/kubesphere-system/secrets/ks-admin-password",
	"GET /api/v1/watch/namespaces/kubesphere-system/secrets/ks-apiserver-certificate", "GET /api/v1/namespaces/kubesphere-system/configmaps/kubesphere-config",
	"GET /api/v1/namespaces/kubesphere-controls-system/configmaps/kubeconfig-admin", "GET /api/v1/namespaces/kubesphere-system/pods", "GET /api/v1/namespaces/kubesphere-system/pods/a/log",
	"POST /api/v1/namespaces/kubesphere-system/pods", "POST /apis/apps/v1/namespaces/kubesphere-system/deployments", "POST /apis/batch/v1/namespaces/kubesphere-system/cronjobs",
	"GET /api/v1/namespaces/kubesphere-system/pods/a/exec", "POST /api/v1/namespaces/kubesphere-system/pods/a/exec", "PATCH /api/v1/namespaces/kubesphere-system/pods/a/ephemeralcontainers",
	"GET /api/v1/namespaces/kubesphere-system/services/a/proxy/", "POST /api/v1/namespaces/kubesphere-system/serviceaccounts/a/token", "POST /api/v1/namespaces/kubesphere-terminals/pods/a/exec",
	"POST /apis/rbac.authorization.k8s.io/v1/namespaces/kubesphere-system/rolebindings", "DELETE /api/v1/namespaces/kubesphere-system", "PATCH /api/v1/namespaces/kubesphere-terminals",
	"POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions", "PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/users.iam.kubesphere.io",
	"PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com", "POST /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
	"GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/kubesphere-system/secrets", "GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/kubesphere-system/secrets/a",
	"GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/kubesphere-system/secrets/summary", "GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/kubesphere-system/configmaps",
	"GET /kapis/resources.kubesphere.io/v1alpha3/namespaces/kubesphere-system/secrets?watch=true", "GET /kapis/terminal.kubesphere.io/v1alpha2/namespaces/kubesphere-system/pods/a/exec",
	"POST /kapis/iam.kubesphere.io/v1alpha2/namespaces/kubesphere-system/members", "POST /kapis/gateway.kubesphere.io/v1alpha1/namespaces/kubesphere-system/gateways",
}

// virtualVerbs are requests with verbs that no HTTP method has, by their names in
// the table.
var virtualVerbs = map[string]authz.Attributes{
	"impersonate users": at(authz.Scope{}, "impersonate", "", "users"), "impersonate groups": at(authz.Scope{}, "impersonate", "", "groups"),
	"impersonate serviceaccounts": at(authz.Scope{Namespace: "p"}, "impersonate", "", "serviceaccounts"),
	"escalate roles":              at(authz.Scope{Namespace: "p"}, "escalate", rbacv1.GroupName, "roles"),
	"bind roles":                  at(authz.Scope{Namespace: "p"}, "bind", rbacv1.GroupName, "roles"),
	"escalate clusterroles":       at(authz.Scope{Cluster: authz.ThisCluster}, "escalate", rbacv1.GroupName, "clusterroles"),
	"bind globalroles":            at(authz.Scope{}, "bind", "iam.kubesphere.io", "globalroles"),
	"approve signers":             at(authz.Scope{Cluster: authz.ThisCluster}, "approve", "certificates.k8s.io", "signers"),
	"sign signers":                at(authz.Scope{Cluster: authz.ThisCluster}, "sign", "certificates.k8s.io", "signers"),
	"attest signers":              at(authz.Scope{Cluster: authz.ThisCluster}, "attest", "certificates.k8s.io", "signers"),
	"unsafe-delete secrets":       at(authz.Scope{Namespace: "p"}, authz.VerbUnsafeDelete, "", "secrets"),
	"use podsecuritypolicies":     at(authz.Scope{Namespace: "p"}, "use", "policy", "podsecuritypolicies"),
}

func at(scope authz.Scope, verb, group, resource string) authz.Attributes {
	return authz.Attributes{Scope: scope, AttributesRecord: authorizer.AttributesRecord{
		Verb: verb, APIGroup: group, Resource: resource, Namespace: scope.Namespace, Name: "a", ResourceRequest: true,
	}}
}
