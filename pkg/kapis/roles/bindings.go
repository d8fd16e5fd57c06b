package roles

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/strictjson"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// binding is a binding as a client writes it.
type binding struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	RoleRef  rbacv1.RoleRef    `json:"roleRef"`
	Subjects []rbacv1.Subject  `json:"subjects"`
}

// bindingsBody is what errors call the body of bind.
const bindingsBody = "the body, a binding or a list of them,"

// checkBindings bounds the bindings of a request and the subjects of each, and refuses
// a binding that is in the list twice.
func checkBindings(wanted []binding) error {
	if err := route.CheckEntries(len(wanted)); err != nil {
		return err
	}
	for n := range wanted {
		if err := route.CheckEntries(len(wanted[n].Subjects)); err != nil {
			return err
		}
	}
	return route.CheckDuplicates(wanted, func(b binding) string {
		key := b.Metadata.Name
		if key == "" {
			key = b.RoleRef.Name
			for _, subject := range b.Subjects {
				key += " " + subject.Kind + " " + subject.Namespace + "/" + subject.Name
			}
		}
		return key
	})
}

// bind creates one binding or a list of them.
func (h *Handler) bind(k kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := caller(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		var wanted []binding
		single := bytes.HasPrefix(bytes.TrimSpace(body), []byte("{"))
		if single {
			wanted = make([]binding, 1)
			err = route.Decode(bindingsBody, body, &wanted[0])
		} else {
			err = route.Decode(bindingsBody, body, &wanted)
		}
		if err != nil {
			return err
		}
		if err := checkBindings(wanted); err != nil {
			return err
		}
		at := placeOf(r)
		// All are checked before the first is written.
		objects, subjects := make([]*unstructured.Unstructured, 0, len(wanted)), 0
		for n := range wanted {
			if err := r.Context().Err(); err != nil {
				return err
			}
			if err := complete(&k, at, &wanted[n]); err != nil {
				return err
			}
			if err := authz.CheckSubjects(r.Context(), h.Rights, who, k.bindingGroupResource(), wanted[n].Metadata.Name, wanted[n].Subjects); err != nil {
				return err
			}
			mayBind := h.Rights.MayBindUsers
			if slices.ContainsFunc(wanted[n].Subjects, authz.IncludesServiceAccounts) {
				mayBind = h.Rights.MayBind
			}
			if err := mayBind(r.Context(), who, k.scope(at), wanted[n].RoleRef); err != nil {
				return err
			}
			object, err := k.binding(at, &wanted[n])
			if err != nil {
				return err
			}
			if err := h.checkBindingName(r.Context(), who, &k, reserved.NameOf(object.GetName(), object.GetGenerateName())); err != nil {
				return err
			}
			if err := authz.CheckSize(r.Context(), h.Rights, who, k.bindingGroupResource(), nil, object); err != nil {
				return err
			}
			// The labels that the server sets are not the client's choice.
			server := &metav1.ObjectMeta{Labels: serverLabels(at, &wanted[n])}
			if err := authz.CheckFields(r.Context(), h.Rights, who, k.bindingGroupResource(), server, object); err != nil {
				return err
			}
			if err := h.warnOfGroups(w, r, at, &wanted[n]); err != nil {
				return err
			}
			objects, subjects = append(objects, object), subjects+len(wanted[n].Subjects)
		}
		release, err := at.reserve(r.Context(), h.Limits, who, tenant.RoleBindingsPerWorkspace, tenant.RoleBindingsPerNamespace, len(objects))
		if err != nil {
			return err
		}
		defer release()
		releaseSubjects, err := h.Limits.ReserveSubjects(r.Context(), who, at.workspace, at.namespace, subjects)
		if err != nil {
			return err
		}
		defer releaseSubjects()
		if at.namespace == "" {
			given := make([]string, len(wanted))
			for n := range wanted {
				given[n] = wanted[n].RoleRef.Name
			}
			releaseRoles, err := h.Limits.ReserveRoles(r.Context(), who, at.workspace, given...)
			if err != nil {
				return err
			}
			defer releaseRoles()
		}
		created := make([]map[string]any, 0, len(wanted))
		for _, object := range objects {
			if err := r.Context().Err(); err != nil {
				return err
			}
			if err := h.Client.Create(r.Context(), object, client.FieldOwner(kube.FieldManager)); err != nil {
				return err
			}
			object.SetManagedFields(nil)
			created = append(created, object.Object)
		}
		if single {
			status.WriteJSON(w, http.StatusOK, created[0])
			return nil
		}
		status.WriteJSON(w, http.StatusOK, created)
		return nil
	}
}

// complete fills in the fields a binding leaves out and refuses one of another kind of role.
func complete(k *kind, at place, b *binding) error {
	if b.RoleRef.Kind == "" {
		b.RoleRef.Kind = k.Kind
	}
	if b.RoleRef.Kind != k.Kind && (at.namespace == "" || b.RoleRef.Kind != "ClusterRole") {
		return status.BadRequest("roleRef names a %s, not a %s", b.RoleRef.Kind, k.Kind)
	}
	b.RoleRef.APIGroup = k.Group
	if b.RoleRef.Name == "" || len(b.Subjects) == 0 {
		return status.BadRequest("a binding needs a role and subjects")
	}
	for n := range b.Subjects {
		if b.Subjects[n].APIGroup == "" && b.Subjects[n].Kind != rbacv1.ServiceAccountKind {
			b.Subjects[n].APIGroup = rbacv1.GroupName
		}
	}
	if b.Metadata.Name == "" && b.Metadata.GenerateName == "" {
		b.Metadata.GenerateName = b.Subjects[0].Name + "-" + b.RoleRef.Name + "-"
	}
	return nil
}

// warnOfGroups adds a warning for each group of a workspace that gets a role of the
// platform or the cluster.
func (h *Handler) warnOfGroups(w http.ResponseWriter, r *http.Request, at place, b *binding) error {
	if at.workspace != "" || at.namespace != "" {
		return nil
	}
	for _, subject := range b.Subjects {
		if subject.Kind != rbacv1.GroupKind {
			continue
		}
		workspace, err := iam.GroupWorkspace(r.Context(), h.Client, subject.Name)
		if err != nil {
			return err
		}
		if workspace != "" {
			route.WriteWarning(w, iam.GroupWarning, subject.Name, workspace, b.RoleRef.Name)
		}
	}
	return nil
}

// serverLabels returns the labels with the owners of a binding in a place.
func serverLabels(at place, b *binding) map[string]string {
	labels := make(map[string]string)
	switch first := b.Subjects[0]; first.Kind {
	case rbacv1.GroupKind:
		labels[iamv1alpha2.LabelGroupReference] = first.Name
	case rbacv1.UserKind:
		labels[iamv1alpha2.LabelUserReference] = first.Name
	}
	if at.workspace != "" {
		labels[iamv1alpha2.LabelWorkspace] = at.workspace
	}
	return labels
}

func (k *kind) bindingResource() string { return strings.TrimSuffix(k.resource, "s") + "bindings" }

func (k *kind) bindingGroupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.bindingResource()}
}

// binding is the object of a binding in a place.
func (k *kind) binding(at place, b *binding) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(map[string]any{"roleRef": b.RoleRef, "subjects": b.Subjects})
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, &object.Object); err != nil {
		return nil, err
	}
	object.SetGroupVersionKind(k.GroupVersion().WithKind(k.Kind + "Binding"))
	object.SetName(b.Metadata.Name)
	object.SetGenerateName(b.Metadata.GenerateName)
	object.SetNamespace(at.namespace)
	labels := make(map[string]string)
	maps.Copy(labels, b.Metadata.Labels)
	maps.Copy(labels, serverLabels(at, b))
	object.SetLabels(labels)
	object.SetAnnotations(b.Metadata.Annotations)
	return object, nil
}

// unbind deletes a binding.
func (h *Handler) unbind(k kind) func(http.ResponseWriter, *http.Request) error {
	return retryOnConflict(func(w http.ResponseWriter, r *http.Request) error {
		at, name := placeOf(r), r.PathValue("rolebinding")
		object, err := h.read(r.Context(), k.GroupVersion().WithKind(k.Kind+"Binding"), k.bindingGroupResource(), at, name)
		if err != nil {
			return err
		}
		if err := h.mayRevoke(r, &k, object); err != nil {
			return err
		}
		if err := iam.Revoke(r.Context(), h.Client, object); err != nil {
			return err
		}
		status.WriteJSON(w, http.StatusOK, Message{Message: "success"})
		return nil
	})
}

// checkBindingName returns an error when the name of a binding is reserved.
func (h *Handler) checkBindingName(ctx context.Context, who user.Info, k *kind, name string) error {
	return authz.CheckName(ctx, h.Rights, who, reserved.Kind(k.Kind+"Binding"), k.bindingGroupResource(), name)
}

// mayRevoke refuses to let the caller delete a binding with a reserved name, or one
// that gives other users more than the caller holds.
func (h *Handler) mayRevoke(r *http.Request, k *kind, object *unstructured.Unstructured) error {
	who, err := caller(r)
	if err != nil {
		return err
	}
	if err := h.checkBindingName(r.Context(), who, k, object.GetName()); err != nil {
		return err
	}
	var stored binding
	text, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	if err := strictjson.Unmarshal(text, &stored); err != nil {
		return err
	}
	return authz.CheckRevoke(r.Context(), h.Rights, who, k.scope(placeOf(r)), stored.RoleRef, stored.Subjects)
}

// listBindings serves the bindings of roles in a workspace: those of workspace
// roles, or those in all its namespaces.
func (h *Handler) listBindings(k kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		catalogued := h.Catalog.Type(k.bindingResource())
		_, q, err := parse(w, r, catalogued)
		if err != nil {
			return err
		}
		selection, workspace := objects.Selection{Query: &q}, r.PathValue("workspace")
		if catalogued.Namespaced {
			namespaces, err := h.namespacesOf(r, workspace)
			if err != nil {
				return err
			}
			selection.Only = objects.NewOnly(namespaces)
		} else {
			restrict(&q, "workspace", workspace)
		}
		page, err := h.Cache.ListPage(r.Context(), h.Catalog, catalogued, selection)
		if err != nil {
			return err
		}
		return listed(w, r, page.Page, &q)
	}
}

func (h *Handler) namespacesOf(r *http.Request, workspace string) ([]string, error) {
	view, err := h.Cache.View(r.Context(), h.Catalog.Type("namespaces"))
	if err != nil {
		return nil, err
	}
	var names []string
	view.All(func(item *objects.Item) bool {
		if item.Labels().Get(iamv1alpha2.LabelWorkspace) == workspace {
			names = append(names, item.Name())
		}
		return true
	})
	return names, nil
}

var _ Rights = (*authz.RBAC)(nil)
