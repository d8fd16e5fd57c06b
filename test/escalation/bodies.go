package escalation

import (
	"encoding/base64"
	"maps"
	"strings"
)

// object makes an object of a type with what may give its writer more than it should.
func (g *generator) object(group, version, kind, namespace, name string) fields {
	object := fields{"apiVersion": strings.TrimPrefix(group+"/"+version, "/"), "kind": kind, "metadata": g.metadata(namespace, name)}
	if kind == "Namespace" && g.chance(50) {
		object["metadata"].(fields)["labels"] = g.namespaceLabels()
	}
	if kind == "Namespace" && g.chance(30) {
		object["metadata"].(fields)["annotations"] = fields{"kubesphere.io/creator": g.user()}
	}
	maps.Copy(object, g.content(group, kind))
	return object
}

func (g *generator) metadata(namespace, name string) fields {
	metadata := fields{"name": name}
	if g.chance(5) {
		delete(metadata, "name")
		metadata["generateName"] = "walk-x"
	}
	if namespace != "" {
		metadata["namespace"] = namespace
		if g.chance(4) {
			metadata["namespace"] = g.namespace()
		}
	}
	if g.chance(50) {
		metadata["labels"] = g.labels()
	}
	if g.chance(35) {
		metadata["annotations"] = g.annotations()
	}
	if g.chance(8) {
		metadata["ownerReferences"] = []any{fields{"apiVersion": "tenant.kubesphere.io/v1alpha1", "kind": "Workspace", "name": g.workspace(), "uid": "00000000-0000-0000-0000-000000000001", "controller": true}}
	}
	if g.chance(6) {
		metadata["finalizers"] = []any{one(g, "walk.example.com/x", "finalizers.kubesphere.io/namespaces")}
	}
	return metadata
}

func (g *generator) labels() fields {
	labels := fields{}
	for range 1 + g.IntN(2) {
		switch g.IntN(9) {
		case 0, 1, 2:
			labels["kubesphere.io/workspace"] = g.workspace()
		case 3:
			labels["kubesphere.io/namespace"] = g.namespace()
		case 4:
			labels["iam.kubesphere.io/role-template"] = "true"
		case 5:
			labels["iam.kubesphere.io/user-ref"] = g.user()
		case 6:
			labels["pod-security.kubernetes.io/enforce"] = "privileged"
		case 7:
			labels["app.kubernetes.io/managed-by"] = "ks-apiserver"
		default:
			labels["kubefed.io/managed"] = "true"
		}
	}
	return labels
}

// namespaceLabels are labels of a namespace that reconcilers and Pod Security act on; nil
// takes one away in a merge.
func (g *generator) namespaceLabels() fields {
	labels := fields{one(g, "kubesphere.io/namespace", "kubesphere.io/namespace", "kubesphere.io/workspace", "kubesphere.io/managed"): one[any](g, nil, g.namespace(), g.workspace())}
	if g.chance(25) {
		labels["pod-security.kubernetes.io/enforce"] = one[any](g, nil, "privileged")
	}
	return labels
}

func (g *generator) annotations() fields {
	annotations := fields{}
	for range 1 + g.IntN(2) {
		switch g.IntN(6) {
		case 0, 1:
			annotations["kubesphere.io/creator"] = g.user()
		case 2:
			annotations["iam.kubesphere.io/aggregation-roles"] = `["` + g.role() + `","` + g.role() + `"]`
		case 3:
			annotations["iam.kubesphere.io/globalrole"] = g.role()
		case 4:
			annotations["kubernetes.io/service-account.name"] = one(g, "default", "walk")
		default:
			annotations["iam.kubesphere.io/role"] = g.role()
		}
	}
	return annotations
}

func (g *generator) rules() []any {
	var rules []any
	for range 1 + g.IntN(2) {
		rule := fields{"apiGroups": []any{one(g, "*", "", "rbac.authorization.k8s.io", "iam.kubesphere.io", "certificates.k8s.io")},
			"resources": []any{one(g, "*", "*", "secrets", "pods", "pods/exec", "roles", "users", "nodes/proxy", "namespaces", "namespaces/finalize", "serviceaccounts/token", "globalrolebindings")},
			"verbs":     []any{one(g, "*", "*", "get", "list", "create", "escalate", "bind", "impersonate", "update")}}
		if g.chance(10) {
			rule = fields{"nonResourceURLs": []any{"*"}, "verbs": []any{"*"}}
		}
		rules = append(rules, rule)
	}
	return rules
}

func (g *generator) subjectsOf() []any {
	var subjects []any
	for range 1 + g.IntN(2) {
		switch g.IntN(5) {
		case 0:
			subjects = append(subjects, fields{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": one(g, "system:authenticated", "system:unauthenticated", "system:serviceaccounts", "walk-x1")})
		case 1:
			subjects = append(subjects, fields{"kind": "ServiceAccount", "name": one(g, "default", "walk"), "namespace": one(g, ownProjects...)})
		default:
			subjects = append(subjects, fields{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": g.user()})
		}
	}
	return subjects
}

func (g *generator) podSpec() fields {
	spec := fields{"containers": []any{fields{"name": "c", "image": "image"}}}
	switch g.IntN(5) {
	case 0:
		spec["volumes"] = []any{fields{"name": "v", "hostPath": fields{"path": "/"}}}
	case 1:
		spec["serviceAccountName"] = one(g, "default", "walk", "ks-apiserver")
	case 2:
		spec["hostNetwork"] = true
	}
	return spec
}

// content is what an object of a kind has beside its metadata.
func (g *generator) content(group, kind string) fields {
	iamOrRBAC := group == "rbac.authorization.k8s.io" || group == "iam.kubesphere.io"
	switch {
	case iamOrRBAC && strings.HasSuffix(kind, "RoleBinding"):
		refGroup := group
		if kind == "RoleBinding" && g.chance(30) {
			kind = "ClusterRoleBinding"
		}
		return fields{"roleRef": fields{"apiGroup": refGroup, "kind": strings.TrimSuffix(kind, "Binding"), "name": g.role()}, "subjects": g.subjectsOf()}
	case iamOrRBAC && strings.HasSuffix(kind, "Role"):
		return fields{"rules": g.rules()}
	case kind == "RoleBase":
		return fields{"role": fields{"rules": g.rules()}}
	case kind == "Namespace":
		return fields{"spec": fields{"finalizers": one[any](g, []any{}, []any{"kubernetes"})}}
	case kind == "Secret":
		return fields{"type": one(g, "Opaque", "kubernetes.io/service-account-token"), "stringData": fields{"a": "b"}}
	case kind == "ConfigMap":
		return fields{"data": fields{"kubesphere.yaml": "authentication: {}", "a": "b"}}
	case kind == "Pod":
		return fields{"spec": g.podSpec()}
	case kind == "Deployment", kind == "DaemonSet", kind == "StatefulSet", kind == "ReplicaSet":
		return fields{"spec": fields{"selector": fields{"matchLabels": fields{"app": "x"}}, "template": fields{"metadata": fields{"labels": fields{"app": "x"}}, "spec": g.podSpec()}}}
	case kind == "Service":
		return fields{"spec": fields{"ports": []any{fields{"port": 80}}, "externalIPs": []any{"10.0.0.1"}}}
	case kind == "ServiceAccount":
		return fields{"automountServiceAccountToken": true}
	case kind == "ResourceQuota":
		return fields{"spec": fields{"hard": fields{"pods": "100"}, "quota": fields{"hard": fields{"pods": "100"}}, "selector": fields{"kubesphere.io/workspace": g.workspace()}}}
	case kind == "CertificateSigningRequest":
		return fields{"spec": fields{"request": base64.StdEncoding.EncodeToString(certificateRequest(one(g, "system:masters", "system:nodes"))), "signerName": one(g, "kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"), "usages": []any{"client auth"}},
			"status": fields{"conditions": []any{fields{"type": "Approved", "status": "True", "reason": "x", "message": "x"}}}}
	case kind == "MutatingWebhookConfiguration", kind == "ValidatingWebhookConfiguration":
		return fields{"webhooks": []any{fields{"name": "walk.example.com", "sideEffects": "None", "admissionReviewVersions": []any{"v1"}, "failurePolicy": "Ignore", "clientConfig": fields{"url": "https://127.0.0.1:1/x"},
			"rules": []any{fields{"apiGroups": []any{"*"}, "apiVersions": []any{"*"}, "operations": []any{"CREATE"}, "resources": []any{"*"}}}}}}
	case kind == "CustomResourceDefinition":
		return fields{"spec": fields{"group": "walk.example.com", "scope": "Cluster", "names": fields{"plural": "walks", "singular": "walk", "kind": "Walk"},
			"versions": []any{fields{"name": "v1", "served": true, "storage": true, "schema": fields{"openAPIV3Schema": fields{"type": "object"}}}}}}
	case kind == "PriorityClass", kind == "StorageClass", kind == "RuntimeClass":
		return fields{"value": 1, "provisioner": "walk.example.com", "handler": "walk"}
	case kind == "Workspace", kind == "WorkspaceTemplate":
		spec := fields{"manager": g.user()}
		if kind == "WorkspaceTemplate" {
			spec = fields{"template": fields{"metadata": fields{"labels": g.labels()}, "spec": fields{"manager": g.user()}}, "placement": fields{"clusters": []any{fields{"name": "host"}}}}
		}
		return fields{"spec": spec}
	case kind == "User":
		return fields{"spec": fields{"email": "walk@example.com", "password": "Passw0rd-walk", "groups": []any{one(g, "walk-x1", "system:masters")}}, "status": fields{"state": one(g, "Active", "Disabled")}}
	case kind == "GroupBinding":
		return fields{"groupRef": fields{"kind": "Group", "name": g.name("groups"), "apiGroup": "iam.kubesphere.io"}, "users": []any{g.user()}}
	case kind == "TokenReview", kind == "SubjectAccessReview", kind == "SelfSubjectAccessReview":
		return fields{"spec": fields{"user": g.user(), "token": "x", "resourceAttributes": fields{"verb": "get", "resource": "secrets"}}}
	}
	return fields{"spec": fields{}}
}

// bodyFor makes a body for an operation of the server below a resource, of an object with a
// name.
func (g *generator) bodyFor(resource, name string) any {
	const iam, tenant = "iam.kubesphere.io", "tenant.kubesphere.io"
	switch resource {
	case "users":
		return g.object(iam, "v1alpha2", "User", "", name)
	case "workspaces", "workspacetemplates":
		return g.object(tenant, "v1alpha2", "WorkspaceTemplate", "", name)
	case "namespaces", "devops":
		return g.object("", "v1", "Namespace", "", name)
	case "globalroles":
		return g.object(iam, "v1alpha2", "GlobalRole", "", name)
	case "workspaceroles":
		return g.object(iam, "v1alpha2", "WorkspaceRole", "", name)
	case "clusterroles":
		return g.object("rbac.authorization.k8s.io", "v1", "ClusterRole", "", name)
	case "roles":
		return g.object("rbac.authorization.k8s.io", "v1", "Role", g.namespace(), name)
	case "members", "workspacemembers", "clustermembers":
		return one[any](g, []any{fields{"username": g.user(), "roleRef": g.role()}}, fields{"username": g.user(), "roleRef": g.role()})
	case "rolebindings":
		return []any{g.object("rbac.authorization.k8s.io", "v1", "RoleBinding", g.namespace(), g.name("bindings"))}
	case "workspacerolebindings":
		return []any{g.object(iam, "v1alpha2", "WorkspaceRoleBinding", "", g.name("bindings"))}
	case "groups":
		return g.object(iam, "v1alpha2", "Group", "", name)
	case "groupbindings":
		return []any{fields{"userName": g.user(), "groupName": g.name("groups")}}
	case "password":
		return fields{"currentPassword": "Passw0rd-x", "password": "Passw0rd-y"}
	case "tokens":
		return fields{"scopes": []any{one(g, "all", "read", "core/secrets:get")}}
	case "resourcequotas":
		return g.object("quota.kubesphere.io", "v1alpha2", "ResourceQuota", "", name)
	case "gateways":
		return g.object("gateway.kubesphere.io", "v1alpha1", "Gateway", g.namespace(), "kubesphere-router-"+g.namespace())
	case "accessreviews":
		return fields{"spec": fields{"user": g.user(), "resourceAttributes": fields{"verb": "get", "resource": "secrets", "namespace": g.namespace()}}}
	case "rulesreview", "rulesreviews":
		return fields{"spec": fields{"user": g.user(), "namespace": g.namespace()}}
	}
	return one[any](g, fields{"metadata": g.metadata(g.namespace(), "walk"), "spec": fields{"user": g.user()}}, []any{fields{"name": "walk", "namespace": g.namespace()}}, fields{"role": g.role(), "user": g.user(), "namespace": g.namespace()})
}
