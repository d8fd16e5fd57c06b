package kubeproxy

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

const (
	groupAdmission     = admissionv1.GroupName
	groupAggregation   = "apiregistration.k8s.io"
	groupDefinitions   = "apiextensions.k8s.io"
	reasonInterception = "to change what sees or changes requests for the platform's objects"
	reasonParameters   = "to let an admission policy read other objects as its parameters"
)

// interceptors are the resources whose objects see, change or serve requests for
// other resources. A role in the cluster does not reach the platform by them.
var interceptors = map[schema.GroupResource]bool{
	{Group: groupAdmission, Resource: "mutatingwebhookconfigurations"}:     true,
	{Group: groupAdmission, Resource: "validatingwebhookconfigurations"}:   true,
	{Group: groupAdmission, Resource: "mutatingadmissionpolicies"}:         true,
	{Group: groupAdmission, Resource: "mutatingadmissionpolicybindings"}:   true,
	{Group: groupAdmission, Resource: "validatingadmissionpolicies"}:       true,
	{Group: groupAdmission, Resource: "validatingadmissionpolicybindings"}: true,
	{Group: groupAggregation, Resource: "apiservices"}:                     true,
	{Group: groupDefinitions, Resource: "customresourcedefinitions"}:       true,
}

// permitParameters returns nil unless an admission policy or its binding reads
// other objects as parameters and the caller is no administrator. Kubernetes checks
// the right to read them for this server, not for the caller, and the messages of
// a policy show them to whoever it refuses.
func (p *Proxy) permitParameters(ctx context.Context, who user.Info, resource schema.GroupResource, after *unstructured.Unstructured) error {
	if resource.Group != groupAdmission {
		return nil
	}
	for _, field := range []string{"paramKind", "paramRef"} {
		if value, _, err := unstructured.NestedFieldNoCopy(after.Object, "spec", field); err != nil || value != nil {
			return p.requireAdministrator(ctx, who, resource, after.GetName(), reasonParameters)
		}
	}
	return nil
}

// permitInterceptor returns nil when a user may write or delete an interceptor in
// any of its states: an administrator of the platform, or anyone for one that has
// nothing to do with the platform's objects.
func (p *Proxy) permitInterceptor(ctx context.Context, who user.Info, resource schema.GroupResource, states ...*unstructured.Unstructured) error {
	platform, err := p.rights.HiddenNamespaces(ctx, who, authz.Action{Verb: "list", Resource: "secrets"})
	if err != nil || len(platform) == 0 {
		return err // an administrator
	}
	for _, state := range states {
		if state == nil {
			continue
		}
		reaches, err := p.reachesPlatform(ctx, resource, state, platform)
		if err != nil {
			return err
		}
		if reaches {
			return p.requireAdministrator(ctx, who, resource, state.GetName(), reasonInterception)
		}
	}
	return nil
}

// interceptor are the fields of an interceptor by which it selects requests.
type interceptor struct {
	Webhooks []struct {
		Rules             []admissionv1.RuleWithOperations `json:"rules"`
		NamespaceSelector *metav1.LabelSelector            `json:"namespaceSelector"`
	} `json:"webhooks"`
	Spec struct {
		// Of a policy.
		MatchConstraints *struct {
			ResourceRules     []admissionv1.NamedRuleWithOperations `json:"resourceRules"`
			NamespaceSelector *metav1.LabelSelector                 `json:"namespaceSelector"`
		} `json:"matchConstraints"`
		// Of a binding of a policy.
		PolicyName string `json:"policyName"`
		// Of a definition or an APIService.
		Group string `json:"group"`
	} `json:"spec"`
}

func (p *Proxy) reachesPlatform(ctx context.Context, resource schema.GroupResource, object *unstructured.Unstructured, platform []string) (bool, error) {
	var fields interceptor
	if err := convert(object.Object, &fields); err != nil {
		return false, err
	}
	switch resource.Resource {
	case "customresourcedefinitions":
		return authz.IsPlatformGroup(fields.Spec.Group), nil
	case "apiservices":
		return authz.IsPlatformGroup(fields.Spec.Group) || isKubernetesGroup(fields.Spec.Group), nil
	case "mutatingwebhookconfigurations", "validatingwebhookconfigurations":
		for _, webhook := range fields.Webhooks {
			for _, rule := range webhook.Rules {
				if selectsPlatform(rule.APIGroups, webhook.NamespaceSelector, platform) {
					return true, nil
				}
			}
		}
	case "mutatingadmissionpolicies", "validatingadmissionpolicies":
		constraints := fields.Spec.MatchConstraints
		if constraints == nil {
			return true, nil
		}
		for _, rule := range constraints.ResourceRules {
			if selectsPlatform(rule.APIGroups, constraints.NamespaceSelector, platform) {
				return true, nil
			}
		}
	case "mutatingadmissionpolicybindings", "validatingadmissionpolicybindings":
		return p.bindsPlatformPolicy(ctx, resource, object, fields.Spec.PolicyName, platform)
	}
	return false, nil
}

// bindsPlatformPolicy reports whether a binding is one of a policy that reaches
// the platform. A policy that does not exist is looked at when it is created.
func (p *Proxy) bindsPlatformPolicy(ctx context.Context, resource schema.GroupResource, binding *unstructured.Unstructured, policy string, platform []string) (bool, error) {
	if policy == "" || strings.Contains(policy, "/") {
		return true, nil
	}
	policies := strings.TrimSuffix(resource.Resource, "bindings")
	policies = strings.TrimSuffix(policies, "policy") + "policies"
	target := &url.URL{Path: "/apis/" + binding.GetAPIVersion() + "/" + policies + "/" + policy}
	found, err := p.ask(ctx, http.MethodGet, target, nil, http.Header{}, nil)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return p.reachesPlatform(ctx, schema.GroupResource{Group: resource.Group, Resource: policies}, found, platform)
}

// selectsPlatform reports whether requests for groups of resources include those
// for objects of the platform: of its types, of what decides about rights, and of
// Kubernetes' types in its namespaces.
func selectsPlatform(groups []string, selector *metav1.LabelSelector, platform []string) bool {
	return slices.ContainsFunc(groups, func(group string) bool {
		switch group {
		case "*", "rbac.authorization.k8s.io", groupAdmission, groupAggregation, groupDefinitions, "certificates.k8s.io", "authentication.k8s.io", "authorization.k8s.io":
			return true
		}
		return authz.IsPlatformGroup(group) || isKubernetesGroup(group) && !excludes(selector, platform)
	})
}

// isKubernetesGroup reports whether an API group is one Kubernetes serves itself.
// Those of metrics are served by add-ons, as their APIServices say.
func isKubernetesGroup(group string) bool {
	switch group {
	case "metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io":
		return false
	}
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}

// excludes reports whether a selector of namespaces leaves out some, by the label
// with their name, which Kubernetes sets.
func excludes(selector *metav1.LabelSelector, namespaces []string) bool {
	if selector == nil {
		return false
	}
	return !slices.ContainsFunc(namespaces, func(namespace string) bool {
		if name, has := selector.MatchLabels[corev1.LabelMetadataName]; has && name != namespace {
			return false
		}
		return !slices.ContainsFunc(selector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool {
			if e.Key != corev1.LabelMetadataName {
				return false
			}
			listed := slices.Contains(e.Values, namespace)
			return e.Operator == metav1.LabelSelectorOpNotIn && listed || e.Operator == metav1.LabelSelectorOpIn && !listed || e.Operator == metav1.LabelSelectorOpDoesNotExist
		})
	})
}
