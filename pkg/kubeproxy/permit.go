package kubeproxy

import (
	"context"
	"encoding/json"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// permit returns nil when a user may give the rights that an object gives.
func (p *Proxy) permit(ctx context.Context, who user.Info, info *request.Info, before, after *unstructured.Unstructured) error {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if err := p.permitReserved(ctx, who, resource, before, after); err != nil {
		return err
	}
	if err := p.permitLifetime(ctx, who, info, before, after); err != nil {
		return err
	}
	if err := p.permitWithinProject(ctx, who, resource, before, after); err != nil {
		return err
	}
	if err := p.permitBackend(ctx, who, resource, before, after); err != nil {
		return err
	}
	switch info.Resource {
	case "roles", "clusterroles", "globalroles", "workspaceroles":
		return p.permitRole(ctx, who, resource, before, after)
	case "rolebindings", "clusterrolebindings", "globalrolebindings", "workspacerolebindings":
		if before != nil && unchanged(before, after, "subjects") && unchanged(before, after, "roleRef") && sameWorkspace(before, after) {
			return nil
		}
		return p.permitBinding(ctx, who, resource, before, after)
	case "rolebases":
		// Its roles are in every workspace or project. A narrower one takes rights away
		// there, so that it is written by who may delete it.
		if before != nil {
			break
		}
		base, _ := after.Object["role"].(map[string]any)
		rules, err := iam.Given(&unstructured.Unstructured{Object: base})
		if err != nil {
			return err
		}
		return p.rights.MayWriteRole(ctx, who, authz.Scope{}, resource, after.GetName(), rules)
	case "users":
		if _, limited := who.GetExtra()[authz.ExtraScopes]; limited && before != nil && !unchanged(before, after, "spec", "password") {
			return status.Forbidden(resource, after.GetName(), "a personal access token is no way to further credentials")
		}
		if unchanged(before, after, "spec", "groups") && unchanged(before, after, "spec", "password") && unchanged(before, after, "status") {
			return nil
		}
	case "groupbindings":
		if unchanged(before, after, "groupRef") && unchanged(before, after, "users") && before != nil {
			return nil
		}
	case "workspaces", "workspacetemplates":
		if before != nil && unchanged(before, after, "spec") {
			return nil
		}
	case "networkpolicies", "ciliumnetworkpolicies":
		return p.permitNetworkPolicy(ctx, who, info, before, after)
	case "namespacenetworkpolicies":
		return p.permitIsolationException(ctx, who, before, after)
	case "namespaces":
		if isolationChanges(before, after) && p.options.Isolation != nil {
			if err := isolation.CheckIsolate(ctx, p.rights, who, after.GetName(), resource, after.GetName()); err != nil {
				return err
			}
		}
		// spec.finalizers: a namespace without any is gone before its content,
		// which then belongs to the next namespace of the name.
		if before == nil || unchanged(before, after, "spec") {
			return nil
		}
	case "groups":
		// Groups of all workspaces share their names.
		if before != nil {
			return nil
		}
	case "resourcequotas":
		if resource.Group == groupQuota {
			return p.permitQuotaOf(ctx, info.Workspace, before, after)
		}
		return checkAmounts(after)
	case "secrets":
		return p.permitSecret(ctx, who, before, after)
	case "nodes", "services", "servicecidrs":
		return p.permitComponentFields(ctx, who, resource, before, after)
	case "certificatesigningrequests", "clustertrustbundles":
		return p.permitSigner(ctx, who, info, before, after)
	default:
		if interceptors[resource] {
			if err := p.permitParameters(ctx, who, resource, after); err != nil {
				return err
			}
			return p.permitInterceptor(ctx, who, resource, before, after)
		}
		return nil
	}
	// The password of a user, the members of a group and the manager of a workspace
	// may give any right; the APIs below /kapis check for less than all rights.
	scope := authz.Scope{}
	if info.APIGroup == "" {
		scope.Cluster = authz.ThisCluster
	}
	held, err := authz.HoldsAll(ctx, p.rights, who, scope)
	if err != nil || held {
		return err
	}
	return status.Forbidden(resource, after.GetName(), "user %q may do this at the API of the platform below /kapis only", who.GetName())
}

// permitQuotaOf is permitQuota, and refuses a member of the authorized workspace the name of
// another workspace for a new quota.
func (p *Proxy) permitQuotaOf(ctx context.Context, authorized string, before, after *unstructured.Unstructured) error {
	resource := schema.GroupResource{Group: groupQuota, Resource: "resourcequotas"}
	if err := permitQuota(resource, authorized, before, after); err != nil || before != nil || authorized == "" || p.options.CheckQuotaName == nil {
		return err
	}
	return p.options.CheckQuotaName(ctx, authorized, after.GetName())
}

// permitQuota refuses a quota that would limit other namespaces than those of the
// workspace it belongs to. authorized is the workspace the caller was authorized for,
// "" for the whole cluster.
func permitQuota(resource schema.GroupResource, authorized string, before, after *unstructured.Unstructured) error {
	quota, err := decodeQuota(after)
	if err != nil {
		return err
	}
	present, err := decodeQuota(before)
	if err != nil {
		present = nil // the object is stored: all of it counts as changed
	}
	if err := tenant.ValidateQuotaSize(present, quota); err != nil {
		return err
	}
	belongsTo := tenant.QuotaWorkspace(quota)
	if belongsTo == "" {
		return status.New(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "%s %q is invalid: spec.selector: must be the label %s of its workspace and nothing else", resource, after.GetName(), workspace)
	}
	if authorized == "" {
		return nil
	}
	if belongsTo != authorized {
		return status.Forbidden(resource, after.GetName(), "it would limit the workspace %s, not %s", belongsTo, authorized)
	}
	if before == nil {
		return nil
	}
	limited, err := quotaWorkspace(before)
	if err != nil {
		return err
	}
	if limited != authorized {
		return status.Forbidden(resource, after.GetName(), "it is not a quota of the workspace %s", authorized)
	}
	return nil
}

// checkAmounts refuses a quota of a namespace with amounts that kube-apiserver would work
// with for minutes.
func checkAmounts(object *unstructured.Unstructured) error {
	quota := &corev1.ResourceQuota{}
	if err := convertQuota(object, quota); err != nil {
		return err
	}
	return tenant.CheckAmounts("spec.hard", quota.Spec.Hard)
}

// quotaWorkspace is the workspace whose namespaces a quota limits, see
// tenant.QuotaWorkspace.
func quotaWorkspace(object *unstructured.Unstructured) (string, error) {
	quota, err := decodeQuota(object)
	if err != nil {
		return "", err
	}
	return tenant.QuotaWorkspace(quota), nil
}

// decodeQuota returns the quota of a workspace, nil for none.
func decodeQuota(object *unstructured.Unstructured) (*quotav1alpha2.ResourceQuota, error) {
	if object == nil {
		return nil, nil
	}
	quota := &quotav1alpha2.ResourceQuota{}
	return quota, convertQuota(object, quota)
}

func convertQuota(from *unstructured.Unstructured, into any) error {
	text, err := json.Marshal(from.Object)
	if err != nil {
		return err
	}
	if err := tenant.CheckAmountTexts(text); err != nil {
		return err
	}
	return convert(json.RawMessage(text), into)
}

// permitRole checks the rules of a role, and those it will get from its templates.
func (p *Proxy) permitRole(ctx context.Context, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	rules, err := iam.Given(after)
	if err != nil {
		return err
	}
	names, err := iam.Templates(after)
	if err != nil {
		return err
	}
	if before != nil {
		was, err := iam.Given(before)
		had, failed := iam.Templates(before)
		if err == nil && failed == nil && sameWorkspace(before, after) && equality.Semantic.DeepEqual(was, rules) && equality.Semantic.DeepEqual(had, names) && iam.SameAggregation(before, after) {
			return nil
		}
		// Holders of the role lose the rules that are left out.
		if err := p.rights.MayNarrow(ctx, who, scopeOf(before), resource, before.GetName(), was); err != nil {
			return err
		}
	}
	if len(names) > 0 && !iam.BuiltIn(after) {
		more, err := p.rights.Templates(ctx, after.GetKind(), names)
		if err != nil {
			return err
		}
		rules = append(rules, more...)
	}
	return p.rights.MayWriteRole(ctx, who, scopeOf(after), resource, after.GetName(), rules)
}

// scopeOf is where a role or binding applies.
func scopeOf(object *unstructured.Unstructured) authz.Scope {
	switch object.GetKind() {
	case "Role", "RoleBinding":
		return authz.Scope{Namespace: object.GetNamespace()}
	case "ClusterRole", "ClusterRoleBinding":
		return authz.Scope{Cluster: authz.ThisCluster}
	case "WorkspaceRole", "WorkspaceRoleBinding":
		// One without a workspace is of the platform: a template.
		return authz.Scope{Workspace: object.GetLabels()[workspace]}
	}
	return authz.Scope{}
}

func sameWorkspace(before, after *unstructured.Unstructured) bool {
	return before != nil && before.GetLabels()[workspace] == after.GetLabels()[workspace]
}

// unchanged reports whether a field is the same, or not set in a new object.
func unchanged(before, after *unstructured.Unstructured, path ...string) bool {
	is, _, _ := unstructured.NestedFieldNoCopy(after.Object, path...)
	if before == nil {
		return is == nil
	}
	was, _, _ := unstructured.NestedFieldNoCopy(before.Object, path...)
	return equality.Semantic.DeepEqual(was, is)
}

func convert(from, into any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	if err := strictjson.Unmarshal(text, into); err != nil {
		return status.BadRequest("the object cannot be read: %v", err)
	}
	return nil
}

// statusError is the error in an answer of Kubernetes.
func statusError(code int, body []byte) error {
	result := &apierrors.StatusError{}
	if err := json.Unmarshal(body, &result.ErrStatus); err != nil || result.ErrStatus.Code == 0 {
		return status.New(code, "", "%s", http.StatusText(code))
	}
	return result
}
