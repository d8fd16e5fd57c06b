package roles

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

func (h *Handler) get(k kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		object, err := h.read(r.Context(), k.GroupVersionKind, k.groupResource(), placeOf(r), r.PathValue(k.name))
		if apierrors.IsNotFound(err) && k.below != "" {
			// A template is found in every place it serves.
			if template, err := h.template(r.Context(), &k, placeOf(r), r.PathValue(k.name)); err == nil && template != "" {
				status.WriteJSON(w, http.StatusOK, json.RawMessage(template))
				return nil
			}
		}
		if err != nil {
			return err
		}
		return shown(w, object)
	}
}

func (h *Handler) create(k kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := caller(r)
		if err != nil {
			return err
		}
		object, err := decode(r, &k)
		if err != nil {
			return err
		}
		if object.GetName() == "" && object.GetGenerateName() == "" {
			return status.Invalid("metadata.name", "Required value: name or generateName is required")
		}
		// What holds up or redirects the deletion of a role is the server's.
		object.SetFinalizers(nil)
		object.SetOwnerReferences(nil)
		// Clients do not choose the creator of roles that came with the platform.
		if creator := object.GetAnnotations()[iamv1alpha2.AnnotationCreator]; creator == "" || creator == iamv1alpha2.CreatorSystem {
			annotate(object, iamv1alpha2.AnnotationCreator, who.GetName())
		}
		if err := h.admit(w, r, &k, object, nil); err != nil {
			return err
		}
		release, err := placeOf(r).reserve(r.Context(), h.Limits, who, tenant.RolesPerWorkspace, tenant.RolesPerNamespace, 1)
		if err != nil {
			return err
		}
		defer release()
		if err := h.Client.Create(r.Context(), object, client.FieldOwner(kube.FieldManager)); err != nil {
			return err
		}
		return shown(w, object)
	}
}

func (h *Handler) update(k kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		object, err := decode(r, &k)
		if err != nil {
			return err
		}
		if name := r.PathValue(k.name); object.GetName() != name {
			return status.BadRequest("the name of the object (%s) does not match the name on the URL (%s)", object.GetName(), name)
		}
		found, err := h.read(r.Context(), k.GroupVersionKind, k.groupResource(), placeOf(r), object.GetName())
		if err != nil {
			return err
		}
		return h.replace(w, r, &k, found, object)
	}
}

func (h *Handler) patch(k kind) func(http.ResponseWriter, *http.Request) error {
	return retryOnConflict(h.patchOnce(k))
}

// patchOnce applies a patch to the present state, and fails with a conflict if another
// state is written meanwhile.
func (h *Handler) patchOnce(k kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		found, err := h.read(r.Context(), k.GroupVersionKind, k.groupResource(), placeOf(r), r.PathValue(k.name))
		if err != nil {
			return err
		}
		before, err := found.MarshalJSON()
		if err != nil {
			return err
		}
		after, err := patched(r, before)
		if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(after); err != nil {
			return status.BadRequest("the patched object is none: %v", err)
		}
		if object.GetName() != found.GetName() || object.GroupVersionKind() != k.GroupVersionKind {
			return status.BadRequest("a patch cannot change the kind or name of an object")
		}
		return h.replace(w, r, &k, found, object)
	}
}

// replace writes a new state of a role over the one that was read.
func (h *Handler) replace(w http.ResponseWriter, r *http.Request, k *kind, found, object *unstructured.Unstructured) error {
	if err := kube.CheckVersion(k.groupResource(), found, object); err != nil {
		return err
	}
	object.SetResourceVersion(found.GetResourceVersion())
	object.SetFinalizers(found.GetFinalizers())
	object.SetOwnerReferences(found.GetOwnerReferences())
	if err := h.admit(w, r, k, object, found); err != nil {
		return err
	}
	if err := h.Client.Update(r.Context(), object, client.FieldOwner(kube.FieldManager)); err != nil {
		return err
	}
	return shown(w, object)
}

func (h *Handler) remove(k kind) func(http.ResponseWriter, *http.Request) error {
	return retryOnConflict(func(w http.ResponseWriter, r *http.Request) error {
		who, err := caller(r)
		if err != nil {
			return err
		}
		object, err := h.read(r.Context(), k.GroupVersionKind, k.groupResource(), placeOf(r), r.PathValue(k.name))
		if err != nil {
			return err
		}
		if err := authz.CheckRoleDeletion(r.Context(), h.Rights, who, reserved.Kind(k.Kind), k.scope(placeOf(r)), k.groupResource(), object, rulesOf(object)); err != nil {
			return err
		}
		// The one that was looked at, and not another of its name.
		if err := iam.Revoke(r.Context(), h.Client, object); err != nil {
			return err
		}
		status.WriteJSON(w, http.StatusOK, Message{Message: "success"})
		return nil
	})
}

// retryOnConflict calls a handler again when the object it read has changed meanwhile.
func retryOnConflict(handle func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return handle(w, r) })
	}
}

// admit puts a role where the path says, fills in the rules of its templates
// and checks that the caller may give them.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, k *kind, object, before *unstructured.Unstructured) error {
	who, err := caller(r)
	if err != nil {
		return err
	}
	at := placeOf(r)
	object.SetNamespace(at.namespace)
	object.SetManagedFields(nil)
	if at.workspace != "" {
		labels := object.GetLabels()
		if labels == nil {
			labels = make(map[string]string)
		}
		labels[iamv1alpha2.LabelWorkspace] = at.workspace
		object.SetLabels(labels)
	}
	var stored metav1.Object // stays nil for a new role
	if before != nil {
		stored = before
	}
	for _, state := range []*unstructured.Unstructured{before, object} {
		if state == nil {
			continue
		}
		state = withName(state)
		if err := authz.CheckReservedRole(r.Context(), h.Rights, who, reserved.Kind(k.Kind), k.groupResource(), state); err != nil {
			return err
		}
	}
	if err := authz.CheckFields(r.Context(), h.Rights, who, k.groupResource(), stored, object); err != nil {
		return err
	}
	missing, err := h.aggregate(r.Context(), k, at, object)
	if err != nil {
		return err
	}
	if err := listVerbs(k, object); err != nil {
		return err
	}
	if err := authz.CheckSize(r.Context(), h.Rights, who, k.groupResource(), before, object); err != nil {
		return err
	}
	if err := h.Limits.CheckRights(r.Context(), who, before, object); err != nil {
		return err
	}
	rules, err := iam.Given(object)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		// A template counts from when it is there, or when the role is written again, whatever
		// its rules are then.
		if before == nil || before.GetAnnotations()[iamv1alpha2.AnnotationAggregationRoles] != object.GetAnnotations()[iamv1alpha2.AnnotationAggregationRoles] {
			if err := h.Rights.MayWriteRole(r.Context(), who, k.scope(at), k.groupResource(), object.GetName(), authz.EverythingIn(k.scope(at))); err != nil {
				return err
			}
		}
		for _, name := range missing {
			warning := "there is no role template " + printable(name) + " yet"
			if k.Group == rbacv1.GroupName {
				warning += ": write the role again when there is"
			}
			w.Header().Add("Warning", fmt.Sprintf("299 - %q", warning))
		}
	}
	if before != nil {
		// As in Kubernetes, a role that stays as wide as it was may be renamed by
		// callers that could not have made it.
		if was, err := iam.Given(before); err == nil && equality.Semantic.DeepEqual(k.storedRules(was), rules) && iam.SameAggregation(before, object) {
			return nil
		}
		if err := h.mayNarrow(r, k, before); err != nil {
			return err
		}
	}
	return h.Rights.MayWriteRole(r.Context(), who, k.scope(at), k.groupResource(), object.GetName(), rules)
}

// withName returns a role with a name it could get, if Kubernetes completes the name.
func withName(role *unstructured.Unstructured) *unstructured.Unstructured {
	if role.GetName() != "" {
		return role
	}
	named := role.DeepCopy()
	named.SetName(reserved.NameOf("", role.GetGenerateName()))
	return named
}

// mayNarrow refuses to let the caller take rules from a role that the caller does
// not hold.
func (h *Handler) mayNarrow(r *http.Request, k *kind, role *unstructured.Unstructured) error {
	who, err := caller(r)
	if err != nil {
		return err
	}
	return h.Rights.MayNarrow(r.Context(), who, k.scope(placeOf(r)), k.groupResource(), role.GetName(), rulesOf(role))
}

// rulesOf returns the rules a role gives: none if they cannot be read.
func rulesOf(role *unstructured.Unstructured) []rbacv1.PolicyRule {
	rules, err := iam.Given(role)
	if err != nil {
		return nil
	}
	return rules
}

// printable is a name of a client's choice as it may be in a header.
func printable(name string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, name[:min(len(name), 253)])
}

// aggregate sets the rules of a role to those of its templates, and returns the
// names of templates that are not there.
func (h *Handler) aggregate(ctx context.Context, k *kind, at place, object *unstructured.Unstructured) (missing []string, err error) {
	names, err := iam.Templates(object)
	if err != nil || len(names) == 0 || iam.BuiltIn(object) {
		return nil, err
	}
	var problem error
	rules, missing := iam.Aggregate(names, func(name string) ([]rbacv1.PolicyRule, bool) {
		template, err := h.template(ctx, k, at, name)
		var role struct {
			Rules []rbacv1.PolicyRule `json:"rules"`
		}
		if err == nil && template != "" {
			err = strictjson.Unmarshal([]byte(template), &role)
		}
		problem = errors.Join(problem, err)
		return role.Rules, err == nil && template != ""
	})
	if problem != nil {
		return nil, problem
	}
	return missing, setRules(object, rules)
}

// listVerbs writes the verbs of the rules of a role of a namespace out: its holder may
// be a service account, to which kube-apiserver gives powers for a "*".
func listVerbs(k *kind, object *unstructured.Unstructured) error {
	rules, err := iam.Given(&unstructured.Unstructured{Object: map[string]any{"rules": object.Object["rules"]}})
	if err != nil {
		return err
	}
	explicit := k.storedRules(rules)
	if equality.Semantic.DeepEqual(explicit, rules) {
		return nil
	}
	return setRules(object, explicit)
}

// storedRules are rules as roles of the kind are stored with.
func (k *kind) storedRules(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	if k.Kind != "Role" {
		return rules
	}
	return iam.ExplicitVerbs(rules)
}

func setRules(object *unstructured.Unstructured, rules []rbacv1.PolicyRule) error {
	text, err := json.Marshal(rules)
	if err != nil {
		return err
	}
	var plain []any
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	object.Object["rules"] = plain
	return nil
}

// decode reads the role in the body of a request.
func decode(r *http.Request, k *kind) (*unstructured.Unstructured, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	if err := route.Decode("the body", body, &object.Object); err != nil {
		return nil, err
	}
	if object.Object == nil {
		return nil, status.BadRequest("the body must be an object, not null")
	}
	if given := object.GetKind(); given != "" && given != k.Kind {
		return nil, status.BadRequest("the body is a %s, not a %s", given, k.Kind)
	}
	object.SetGroupVersionKind(k.GroupVersionKind)
	return object, nil
}

// patched applies the patch in the body of a request.
func patched(r *http.Request, before []byte) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body)) // it may be applied again to what changed meanwhile
	return route.ApplyPatch(r.Header.Get("Content-Type"), before, body)
}

func annotate(object *unstructured.Unstructured, key, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = make(map[string]string)
	}
	annotations[key] = value
	object.SetAnnotations(annotations)
}
