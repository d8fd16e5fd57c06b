package tenant

import (
	"context"
	"net/http"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// notOwned is the conflict about an object that has the name of one of ours and
// belongs to something else. It is no conflict of versions: trying again does
// not help.
func notOwned(resource schema.GroupResource, object client.Object, owner string) *apierrors.StatusError {
	name := object.GetName()
	if namespace := object.GetNamespace(); namespace != "" {
		name = namespace + "/" + name
	}
	return status.New(http.StatusConflict, metav1.StatusReasonAlreadyExists, "%s %q already exists and does not belong to %s", resource, name, owner)
}

// TakenError is the conflict about a new workspace, one of whose objects has the name of an
// object of another.
type TakenError struct {
	*apierrors.StatusError
	// Resource and Name are those of the object, and Workspace is whose it is, "" for none.
	Resource        schema.GroupResource
	Name, Workspace string
}

// Explained returns the error with the workspace and what helps, which is for administrators
// of the platform: others may not know of the workspace.
func (e *TakenError) Explained() error {
	owner := "no workspace"
	if e.Workspace != "" {
		owner = "workspace " + e.Workspace
	}
	return status.New(http.StatusConflict, metav1.StatusReasonAlreadyExists, "%s: it belongs to %s; delete it (kubectl delete %s %s) to use the name of the new workspace", e.Error(), owner, e.Resource, e.Name)
}

// taken is notOwned for an object in the way of a new workspace.
func taken(resource schema.GroupResource, object client.Object, workspace string) error {
	conflict := notOwned(resource, object, "workspace "+workspace)
	return &TakenError{StatusError: conflict, Resource: resource, Name: object.GetName(), Workspace: object.GetLabels()[iamv1alpha2.LabelWorkspace]}
}

var (
	workspaceRoles        = iamv1alpha2.Resource("workspaceroles")
	workspaceRoleBindings = iamv1alpha2.Resource("workspacerolebindings")
	projectRoles          = schema.GroupResource{Group: rbacv1.GroupName, Resource: "roles"}
)

// ownedByWorkspace reports whether a role or binding is of a workspace: by its
// label, and by its owners, which must not be another workspace. The UID of the
// owner may be an older one, since workspaces are restored from backups.
func ownedByWorkspace(object client.Object, workspace string) bool {
	return object.GetLabels()[iamv1alpha2.LabelWorkspace] == workspace &&
		!slices.ContainsFunc(object.GetOwnerReferences(), func(owner metav1.OwnerReference) bool {
			return (owner.Kind == "WorkspaceTemplate" || owner.Kind == "Workspace") && owner.Name != workspace
		})
}

// builtInProjectRole reports whether a role of a project was copied from a role
// of the platform, by this server or by KubeSphere: charts and users have roles of the
// same names, which must not get the rights of ours. Users cannot write the mark.
func builtInProjectRole(role *rbacv1.Role) bool {
	return role.Annotations[iamv1alpha2.AnnotationCreator] == iamv1alpha2.CreatorSystem
}

// nameFree returns a conflict when a new workspace would take over objects that carry
// its label, or names that are in use elsewhere.
func (w *Workspaces) nameFree(ctx context.Context, workspace string) error {
	names, err := w.Namespaces(ctx, workspace)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return status.New(http.StatusConflict, metav1.StatusReasonConflict, "there are namespaces labelled as of a workspace %s", workspace)
	}
	labelled := client.MatchingLabels{iamv1alpha2.LabelWorkspace: workspace}
	for _, kind := range []string{"WorkspaceRole", "WorkspaceRoleBinding", "Group", "GroupBinding"} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(iamv1alpha2.SchemeGroupVersion.WithKind(kind + "List"))
		if err := w.Client.List(ctx, list, labelled); err != nil {
			return err
		}
		for n := range list.Items {
			if list.Items[n].DeletionTimestamp == nil {
				return status.New(http.StatusConflict, metav1.StatusReasonConflict,
					"%s %q is labelled as of a workspace %s and would belong to the new one", kind, list.Items[n].Name, workspace)
			}
		}
	}
	roles, err := bases(ctx, w.Client, "WorkspaceRole")
	if err != nil {
		return err
	}
	for n := range roles {
		wanted := workspaceRole(&roles[n], metav1.OwnerReference{Name: workspace})
		found := &iamv1alpha2.WorkspaceRole{}
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(wanted), found); err == nil {
			return taken(workspaceRoles, found, workspace)
		} else if !apierrors.IsNotFound(err) {
			return err
		}
	}
	binding := &iamv1alpha2.WorkspaceRoleBinding{}
	if err := w.Client.Get(ctx, client.ObjectKey{Name: workspace + "-admin"}, binding); err == nil {
		return taken(workspaceRoleBindings, binding, workspace)
	} else if !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

// remains are the types whose objects give rights in a namespace or run there, and
// stay when a namespace is finalized by force.
var remains = []schema.GroupVersionKind{
	rbacv1.SchemeGroupVersion.WithKind("RoleBinding"), rbacv1.SchemeGroupVersion.WithKind("Role"),
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"), corev1.SchemeGroupVersion.WithKind("Secret"), corev1.SchemeGroupVersion.WithKind("Pod"),
	appsv1.SchemeGroupVersion.WithKind("Deployment"), appsv1.SchemeGroupVersion.WithKind("StatefulSet"), appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
	batchv1.SchemeGroupVersion.WithKind("CronJob"), batchv1.SchemeGroupVersion.WithKind("Job"),
}

// namespaceNameFree refuses the name of a namespace that exists, and one under which
// objects of an earlier namespace are still stored: users with roles there would have
// them in the new project.
func (p *Projects) namespaceNameFree(ctx context.Context, name string) error {
	if err := p.Client.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{}); err == nil {
		return apierrors.NewAlreadyExists(resourceNamespaces, name)
	} else if !apierrors.IsNotFound(err) {
		return err
	}
	return NamespaceRemains(ctx, p.Client, name)
}

// NamespaceRemains returns a conflict when objects of an earlier namespace of a name
// are still stored.
func NamespaceRemains(ctx context.Context, reader client.Reader, name string) error {
	ctx = kube.AsServer(ctx) // nobody has a right in a namespace that is not there
	for _, kind := range remains {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := reader.List(ctx, list, client.InNamespace(name), client.Limit(1)); err != nil {
			return err
		}
		if len(list.Items) > 0 {
			return status.New(http.StatusConflict, metav1.StatusReasonConflict,
				"%s %q is left of an earlier namespace %s and would belong to the new one: an administrator removes it by creating and deleting the namespace at kube-apiserver itself", kind.Kind, list.Items[0].Name, name)
		}
	}
	return nil
}
