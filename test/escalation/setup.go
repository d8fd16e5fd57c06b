package escalation

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

type fields = map[string]any

const (
	iamPath    = "/kapis/iam.kubesphere.io/v1alpha2"
	tenantPath = "/kapis/tenant.kubesphere.io/v1alpha2"
)

// repair makes what the world consists of, or what a walk has deleted of it, and logs all
// subjects in.
func (w *world) repair(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var err error
	if w.admin, err = w.login(ctx, "admin", w.target.AdminPassword); err != nil {
		return err
	}
	var last error
	for {
		if err := w.make(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		// Reconcilers may still be at it.
		select {
		case <-ctx.Done():
			return fmt.Errorf("repairing the world: %w", last)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (w *world) make(ctx context.Context) error {
	for _, step := range []func(context.Context) error{w.makeUsers, w.makeWorkspaces, w.makeRoles, w.makeMembers, w.makeContent, w.makeTerminal, w.logSubjectsIn} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// makeTerminal opens a terminal with kubectl: the first one makes the namespace of all of
// them, which is no user's doing.
func (w *world) makeTerminal(ctx context.Context) error {
	return w.call(ctx, http.MethodGet, "/kapis/resources.kubesphere.io/v1alpha2/users/admin/kubectl", nil, nil)
}

func (w *world) makeUsers(ctx context.Context) error {
	for _, s := range append([]*subject{{name: foreignManager, globalRole: "platform-regular"}}, w.subjects...) {
		user := fields{
			"apiVersion": "iam.kubesphere.io/v1alpha2", "kind": "User",
			"metadata": fields{"name": s.name, "annotations": fields{"iam.kubesphere.io/globalrole": s.globalRole}},
			"spec":     fields{"email": s.name + "@example.com", "password": passwordOf(s.name)},
		}
		if err := w.call(ctx, http.MethodPost, iamPath+"/users", user, nil, http.StatusConflict); err != nil {
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
		if err := w.call(ctx, http.MethodPost, tenantPath+"/workspaces", template, nil, http.StatusConflict); err != nil {
			return err
		}
	}
	for _, project := range append([]string{foreignProject}, ownProjects...) {
		workspace := ownWorkspace
		if project == foreignProject {
			workspace = foreignWorkspace
		}
		namespace := fields{"apiVersion": "v1", "kind": "Namespace", "metadata": fields{"name": project}}
		if err := w.call(ctx, http.MethodPost, tenantPath+"/workspaces/"+workspace+"/namespaces", namespace, nil, http.StatusConflict); err != nil {
			return err
		}
		if err := w.call(ctx, http.MethodGet, iamPath+"/namespaces/"+project+"/roles/operator", nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// makeRoles makes a role of templates.
func (w *world) makeRoles(ctx context.Context) error {
	role := fields{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": fields{"name": "walk-custom", "annotations": fields{
		"iam.kubesphere.io/aggregation-roles": `["role-template-view-basic","role-template-manage-app-workloads","role-template-manage-roles","role-template-manage-members"]`,
	}}}
	return w.call(ctx, http.MethodPost, iamPath+"/namespaces/"+ownProjects[0]+"/roles", role, nil, http.StatusConflict)
}

func (w *world) makeMembers(ctx context.Context) error {
	member := func(path, name, role string) error {
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
			if err := member(iamPath+"/namespaces/"+ownProjects[0]+"/members", s.name, s.projectRole); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeContent makes some objects in all projects.
func (w *world) makeContent(ctx context.Context) error {
	for _, project := range append([]string{foreignProject}, ownProjects...) {
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
			if _, err := w.dynamic.Resource(one.resource).Namespace(project).Create(ctx, object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
		}
	}
	return nil
}

func (w *world) logSubjectsIn(ctx context.Context) error {
	for _, s := range w.subjects {
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
