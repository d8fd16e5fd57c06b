package kubeproxy

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

const groupCertificates = "certificates.k8s.io"

// certificateRequests are the requests to issue certificates.
var certificateRequests = schema.GroupResource{Group: groupCertificates, Resource: "certificatesigningrequests"}

// secretTypeBootstrapToken is the type of the secrets nodes join a cluster with.
const secretTypeBootstrapToken corev1.SecretType = "bootstrap.kubernetes.io/token"

// permitSecret returns nil when a user may write a secret. One of a service
// account's token is the token that serviceaccounts/token issues and takes the
// same power; one that nodes join with takes everything in the cluster.
func (p *Proxy) permitSecret(ctx context.Context, who user.Info, before, after *unstructured.Unstructured) error {
	resource := corev1.Resource("secrets")
	kind, _, _ := unstructured.NestedString(after.Object, "type")
	switch corev1.SecretType(kind) {
	case corev1.SecretTypeServiceAccountToken, secretTypeBootstrapToken:
	default:
		return nil
	}
	if authz.IsLimited(who) {
		return status.Forbidden(resource, after.GetName(), "a personal access token is no way to further credentials")
	}
	if corev1.SecretType(kind) == secretTypeBootstrapToken {
		held, err := authz.HoldsAll(ctx, p.rights, who, authz.Scope{Cluster: authz.ThisCluster})
		if err != nil || held {
			return err
		}
		return status.Forbidden(resource, after.GetName(), "user %q needs all rights in the cluster to write a token that nodes join it with", who.GetName())
	}
	account := after.GetAnnotations()[corev1.ServiceAccountNameKey]
	if before != nil && before.GetAnnotations()[corev1.ServiceAccountNameKey] == account {
		return nil // it is of the account it was of
	}
	held, err := p.holds(ctx, who, authz.Scope{Namespace: after.GetNamespace()}, rbacv1.PolicyRule{
		Verbs: []string{"create"}, APIGroups: []string{corev1.GroupName}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{account},
	})
	if err != nil || held {
		return err
	}
	return status.Forbidden(resource, after.GetName(), "user %q cannot create serviceaccounts/token of %q in namespace %q, which a secret of its token takes",
		who.GetName(), account, after.GetNamespace())
}

// permitSigner returns nil when a user may act for the signer of an object, as
// Kubernetes asks: approve and sign certificates, attest to trust, and have the
// certificates of nodes.
func (p *Proxy) permitSigner(ctx context.Context, who user.Info, info *request.Info, before, after *unstructured.Unstructured) error {
	verb := "attest"
	switch {
	case info.Resource == "clustertrustbundles":
	case info.Subresource == "" && before == nil:
		return p.permitNodeCertificate(ctx, who, after)
	case info.Subresource == "approval":
		verb = "approve"
	case info.Subresource == "status":
		verb = "sign"
	default:
		return nil
	}
	for _, object := range []*unstructured.Unstructured{before, after} {
		if object == nil {
			continue
		}
		signer, _, _ := unstructured.NestedString(object.Object, "spec", "signerName")
		if signer == "" {
			continue // trust of no signer is decided by the right to write it
		}
		allowed, err := p.mayActFor(ctx, who, verb, signer)
		if err != nil {
			return err
		}
		if !allowed {
			return status.Forbidden(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}, object.GetName(), "user %q may not %s for the signer %q", who.GetName(), verb, signer)
		}
	}
	return nil
}

// mayActFor reports whether a user has a verb by name for a signer or for all of
// its domain.
func (p *Proxy) mayActFor(ctx context.Context, who user.Info, verb, signer string) (bool, error) {
	domain, _, _ := strings.Cut(signer, "/")
	for _, name := range []string{signer, domain + "/*"} {
		decision, _, err := p.rights.Authorize(ctx, &authz.Attributes{
			Scope: authz.Scope{Cluster: authz.ThisCluster},
			AttributesRecord: authorizer.AttributesRecord{
				User: who, Verb: verb, APIGroup: groupCertificates, Resource: "signers", Name: name, ResourceRequest: true,
			},
		})
		if err != nil || decision == authorizer.DecisionAllow {
			return err == nil, err
		}
	}
	return false, nil
}

// nodeSigners are the signers of certificates of nodes. Controllers approve requests
// for them by asking whether the requester may have one, of groups that include the
// authorized group here.
var nodeSigners = map[string]bool{
	certificatesv1.KubeAPIServerClientKubeletSignerName: true,
	certificatesv1.KubeletServingSignerName:             true,
}

// permitNodeCertificate returns nil when a user may request the certificate of a
// certificate signing request: one of a node takes the power to request those of all
// nodes or, for the node itself, of its own.
func (p *Proxy) permitNodeCertificate(ctx context.Context, who user.Info, object *unstructured.Unstructured) error {
	signer, _, _ := unstructured.NestedString(object.Object, "spec", "signerName")
	if !nodeSigners[signer] {
		return nil
	}
	powers := []string{authz.SubresourceNodeClient}
	if requestedName(object) == who.GetName() {
		powers = append(powers, authz.SubresourceSelfNodeClient)
	}
	for _, power := range powers {
		if held, err := p.hasPower(ctx, who, authz.Scope{Cluster: authz.ThisCluster}, certificateRequests, "create", power, ""); err != nil || held {
			return err
		}
	}
	return status.Forbidden(certificateRequests, object.GetName(),
		"user %q cannot create certificatesigningrequests/%s, which a request to the signer %q takes", who.GetName(), authz.SubresourceNodeClient, signer)
}

// requestedName is the common name that a certificate signing request asks for, "" when
// the request cannot be read.
func requestedName(object *unstructured.Unstructured) string {
	text, _, _ := unstructured.NestedString(object.Object, "spec", "request")
	encoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(encoded)
	if block == nil {
		return ""
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return ""
	}
	return parsed.Subject.CommonName
}

// hasPower reports whether a user may do something to a subresource in a scope.
func (p *Proxy) hasPower(ctx context.Context, who user.Info, scope authz.Scope, resource schema.GroupResource, verb, subresource, name string) (bool, error) {
	decision, _, err := p.rights.Authorize(ctx, &authz.Attributes{Scope: scope, AttributesRecord: authorizer.AttributesRecord{
		User: who, Verb: verb, APIGroup: resource.Group, Resource: resource.Resource, Subresource: subresource,
		Namespace: scope.Namespace, Name: name, ResourceRequest: true,
	}})
	return err == nil && decision == authorizer.DecisionAllow, err
}
