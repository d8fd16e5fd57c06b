package escalation

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

type fields = map[string]any

const (
	iamPath    = "/kapis/iam.kubesphere.io/v1alpha2"
	tenantPath = "/kapis/tenant.kubesphere.io/v1alpha2"
)

// repair makes what the world consists of, or what a walk has deleted of it, and logs the
// subjects in whose sessions have ended. It reports whether there was something to make.
func (w *world) repair(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	w.repaired = false
	var last error
	for {
		if err := w.make(ctx); err == nil {
			return w.repaired, nil
		} else if ctx.Err() == nil {
			last = err
		}
		w.repaired = true
		// Reconcilers may still be at it.
		select {
		case <-ctx.Done():
			return true, fmt.Errorf("repairing the world: %w", last)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (w *world) make(ctx context.Context) error {
	var err error
	if w.admin == "" {
		if w.admin, err = w.login(ctx, "admin", w.target.AdminPassword); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{w.makeRoleOfTemplates, w.makeUsers, w.makeWorkspaces, w.makeRoles, w.makeMembers, w.makeContent, w.makeForeignBindings, w.makeTerminal, w.logSubjectsIn} {
		if err := step(ctx); err != nil {
			if errors.Is(err, errUnauthorized) {
				w.admin = "" // its session has ended
			}
			return err
		}
	}
	return nil
}

// ensure makes an object unless there is one.
func (w *world) ensure(ctx context.Context, collection, name string, object any) error {
	if err := w.call(ctx, http.MethodGet, collection+"/"+name, nil, nil); err == nil || errors.Is(err, errUnauthorized) {
		return err
	}
	w.repaired = true
	return w.call(ctx, http.MethodPost, collection, object, nil, http.StatusConflict)
}

// makeTerminal opens a terminal with kubectl: the first one makes the namespace of all of
// them, which is no user's doing.
func (w *world) makeTerminal(ctx context.Context) error {
	return w.call(ctx, http.MethodGet, "/kapis/resources.kubesphere.io/v1alpha2/users/admin/kubectl", nil, nil)
}

func (w *world) makeUsers(ctx context.Context) error {
	for _, s := range append([]*subject{{name: foreignManager, globalRole: unmanaged}}, w.subjects...) {
		user := fields{
			"apiVersion": "iam.kubesphere.io/v1alpha2", "kind": "User",
			"metadata": fields{"name": s.name, "annotations": fields{"iam.kubesphere.io/globalrole": s.globalRole}},
			"spec":     fields{"email": s.name + "@example.com", "password": passwordOf(s.name)},
		}
		if err := w.ensure(ctx, iamPath+"/users", s.name, user); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) makeWorkspaces(ctx context.Context) error {
	for workspace, manager := range map[string]string{ownWorkspace: "walk-admin", foreignWorkspace: foreignManager} {
		template := fields{
			"apiVersion": "tenant.kubesphere.io/v1alpha2", "kind": "WorkspaceTemplate", "metadata": fields{"name": workspace},
			"spec": fields{"template": fields{"spec": fields{"manager": manager}}, "placement": fields{}},
		}
		if err := w.ensure(ctx, tenantPath+"/workspaces", workspace, template); err != nil {
			return err
		}
	}
	for _, project := range allProjects() {
		workspace := ownWorkspace
		if project == foreignProject || project == lentProject {
			workspace = foreignWorkspace
		}
		if err := w.checkRemains(ctx, project); err != nil {
			return err
		}
		namespace := fields{"apiVersion": "v1", "kind": "Namespace", "metadata": fields{"name": project}}
		if err := w.ensure(ctx, tenantPath+"/workspaces/"+workspace+"/namespaces", project, namespace); err != nil {
			return err
		}
		// Users may delete the roles of their project. They come back when it is written.
		if err := w.call(ctx, http.MethodGet, iamPath+"/namespaces/"+project+"/roles/operator", nil, nil); err != nil {
			return errors.Join(err, w.call(ctx, http.MethodPut, tenantPath+"/workspaces/"+workspace+"/namespaces/"+project, namespace, nil))
		}
	}
	return nil
}

// checkRemains returns an error while a project is being deleted, and lets its content go.
func (w *world) checkRemains(ctx context.Context, project string) error {
	namespace, err := w.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Get(ctx, project, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil || namespace.GetDeletionTimestamp() == nil:
		return err
	}
	return errors.Join(fmt.Errorf("the project %s is being deleted", project), w.removeFinalizers(ctx, project))
}

// removeFinalizers removes finalizers from what is being deleted in a project: users may set
// any, which keep it there for ever.
func (w *world) removeFinalizers(ctx context.Context, project string) error {
	for n := range w.types {
		typ := &w.types[n]
		if !typ.namespaced || !typ.listable {
			continue
		}
		client := w.dynamic.Resource(typ.GroupVersionResource).Namespace(project)
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for k := range list.Items {
			if item := &list.Items[k]; item.GetDeletionTimestamp() != nil && len(item.GetFinalizers()) > 0 {
				_, err := client.Patch(ctx, item.GetName(), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
				if err != nil && !apierrors.IsNotFound(err) {
					return err
				}
			}
		}
	}
	return nil
}

func allProjects() []string { return append([]string{foreignProject, lentProject}, ownProjects...) }

// makeRoleOfTemplates makes a global role of templates.
func (w *world) makeRoleOfTemplates(ctx context.Context) error {
	return w.ensure(ctx, iamPath+"/globalroles", peopleRole, fields{"apiVersion": "iam.kubesphere.io/v1alpha2", "kind": "GlobalRole", "metadata": fields{"name": peopleRole, "annotations": fields{
		"iam.kubesphere.io/aggregation-roles": `["role-template-view-basic","role-template-view-users","role-template-manage-users"]`,
	}}})
}

// makeRoles makes a role of templates in the own project, and in the lent one a role of who
// works there and may label the namespace.
func (w *world) makeRoles(ctx context.Context) error {
	custom := fields{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": fields{"name": "walk-custom", "annotations": fields{
		"iam.kubesphere.io/aggregation-roles": `["role-template-view-basic","role-template-manage-app-workloads","role-template-manage-roles","role-template-manage-members"]`,
	}}}
	if err := w.ensure(ctx, iamPath+"/namespaces/"+ownProjects[0]+"/roles", "walk-custom", custom); err != nil {
		return err
	}
	lent := fields{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": fields{"name": "walk-lent"}, "rules": []any{
		fields{"apiGroups": []any{""}, "resources": []any{"namespaces"}, "verbs": []any{"get", "update", "patch"}},
		fields{"apiGroups": []any{"", "apps"}, "resources": []any{"pods", "configmaps", "deployments"}, "verbs": []any{"get", "list", "watch", "create", "update", "patch", "delete"}},
	}}
	return w.ensure(ctx, iamPath+"/namespaces/"+lentProject+"/roles", "walk-lent", lent)
}

func (w *world) makeMembers(ctx context.Context) error {
	member := func(path, name, role string) error {
		var found struct {
			Metadata struct{ Annotations map[string]string }
		}
		if err := w.call(ctx, http.MethodGet, path+"/"+name, nil, &found); err == nil && slices.Contains(slices.Collect(maps.Values(found.Metadata.Annotations)), role) {
			return nil
		}
		w.repaired = true
		body := fields{"username": name, "roleRef": role}
		if err := w.call(ctx, http.MethodPost, path, []fields{body}, nil, http.StatusConflict); err != nil {
			return err
		}
		return w.call(ctx, http.MethodPut, path+"/"+name, body, nil)
	}
	for _, s := range w.subjects {
		if s.workspaceRole != "" {
			if err := member(iamPath+"/workspaces/"+ownWorkspace+"/workspacemembers", s.name, s.workspaceRole); err != nil {
				return err
			}
		}
		if s.projectRole != "" {
			if err := member(iamPath+"/namespaces/"+s.project()+"/members", s.name, s.projectRole); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeContent makes some objects in all projects.
func (w *world) makeContent(ctx context.Context) error {
	for _, project := range allProjects() {
		pods := fields{"metadata": fields{"labels": fields{"app": "walk"}}, "spec": fields{"containers": []any{fields{"name": "c", "image": "image"}}}}
		for _, one := range []struct {
			resource schema.GroupVersionResource
			kind     string
			content  fields
		}{
			{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "ConfigMap", fields{"data": fields{"a": "b"}}},
			{schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, "Secret", fields{"stringData": fields{"a": "b"}}},
			{schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}, "ServiceAccount", fields{}},
			{schema.GroupVersionResource{Version: "v1", Resource: "services"}, "Service", fields{"spec": fields{"ports": []any{fields{"port": int64(80)}}, "selector": fields{"app": "walk"}}}},
			{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, "Deployment", fields{"spec": fields{"replicas": int64(1), "selector": fields{"matchLabels": fields{"app": "walk"}}, "template": pods}}},
			{schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}, "ResourceQuota", fields{"spec": fields{"hard": fields{"pods": "50"}}}},
		} {
			object := &unstructured.Unstructured{Object: one.content}
			object.SetAPIVersion(one.resource.GroupVersion().String())
			object.SetKind(one.kind)
			object.SetName("walk")
			if err := w.makeObject(ctx, one.resource, project, object); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeObject makes an object past the server, unless there is one.
func (w *world) makeObject(ctx context.Context, resource schema.GroupVersionResource, namespace string, object *unstructured.Unstructured) error {
	client := w.dynamic.Resource(resource).Namespace(namespace)
	_, err := client.Create(ctx, object, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	w.repaired = true
	return err
}

// makeForeignBindings gives a group roles on the platform, in the cluster and in the foreign
// workspace and project. Who takes its name has no part in these.
func (w *world) makeForeignBindings(ctx context.Context) error {
	for _, one := range []struct{ group, version, resource, kind, namespace, role string }{
		{"iam.kubesphere.io", "v1alpha2", "globalrolebindings", "GlobalRole", "", "platform-admin"},
		{"iam.kubesphere.io", "v1alpha2", "workspacerolebindings", "WorkspaceRole", "", foreignWorkspace + "-admin"},
		{"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRole", "", "cluster-admin"},
		{"rbac.authorization.k8s.io", "v1", "rolebindings", "Role", foreignProject, "admin"},
	} {
		object := &unstructured.Unstructured{Object: fields{
			"roleRef":  fields{"apiGroup": one.group, "kind": one.kind, "name": one.role},
			"subjects": []any{fields{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": foreignGroup}},
		}}
		object.SetAPIVersion(one.group + "/" + one.version)
		object.SetKind(one.kind + "Binding")
		object.SetName(foreignGroup)
		if one.kind == "WorkspaceRole" {
			object.SetLabels(map[string]string{"kubesphere.io/workspace": foreignWorkspace})
		}
		if err := w.makeObject(ctx, schema.GroupVersionResource{Group: one.group, Version: one.version, Resource: one.resource}, one.namespace, object); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) logSubjectsIn(ctx context.Context) error {
	for _, s := range w.subjects {
		if s.token != "" && !errors.Is(w.callAs(ctx, s.token, http.MethodGet, iamPath+"/users/"+s.name, nil, nil), errUnauthorized) {
			continue
		}
		token, err := w.login(ctx, s.name, passwordOf(s.name))
		if err != nil {
			// The walk may have disabled the user or changed the password.
			if failed := w.call(ctx, http.MethodDelete, iamPath+"/users/"+s.name, nil, nil, http.StatusNotFound); failed != nil {
				return failed
			}
			if failed := w.makeUsers(ctx); failed != nil {
				return failed
			}
			if failed := w.makeMembers(ctx); failed != nil {
				return failed
			}
			return err
		}
		s.token = token
	}
	return nil
}

// plantCanaries writes secret texts where no subject may read, and notes those that are
// there.
func (w *world) plantCanaries(ctx context.Context) error {
	secrets := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	for _, namespace := range []string{foreignProject, "kube-system", "kubesphere-system"} {
		object := &unstructured.Unstructured{Object: fields{"stringData": fields{"text": "canary-of-" + namespace}}}
		object.SetAPIVersion("v1")
		object.SetKind("Secret")
		object.SetName("walk-canary")
		if _, err := w.dynamic.Resource(secrets).Namespace(namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	list, err := w.dynamic.Resource(secrets).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for n := range list.Items {
		item := &list.Items[n]
		if isOwnProject(item.GetNamespace()) {
			continue
		}
		data, _, err := unstructured.NestedStringMap(item.Object, "data")
		if err != nil {
			return err
		}
		for key, encoded := range data {
			text, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return err
			}
			// Short values and public certificates stand elsewhere as well.
			if len(text) < 16 || strings.Contains(string(text), "BEGIN CERTIFICATE") {
				continue
			}
			place := item.GetNamespace() + "/" + item.GetName() + " " + key
			w.canaries[encoded] = place
			w.canaries[string(text)] = place
			if quoted, err := json.Marshal(string(text)); err == nil {
				w.canaries[strings.Trim(string(quoted), `"`)] = place
			}
		}
	}
	for _, hash := range []string{"$2a$", "$2b$", "$argon2id$"} {
		w.canaries[hash] = "the hash of a password"
	}
	return nil
}

func isOwnProject(namespace string) bool {
	return strings.HasPrefix(namespace, "walk-") && namespace != foreignProject
}
