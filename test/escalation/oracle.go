package escalation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Types that Kubernetes and the server write by themselves, whoever does what.
var volatile = map[string]bool{
	"events": true, "events.events.k8s.io": true, "leases.coordination.k8s.io": true, "endpoints": true, "endpointslices.discovery.k8s.io": true,
	"sessions.iam.kubesphere.io": true, "loginrecords.iam.kubesphere.io": true, "componentstatuses": true, "ipaddresses.networking.k8s.io": true,
	"controllerrevisions.apps": true, "replicasets.apps": true, "pods": true, "authorizationcodes.iam.kubesphere.io": true,
}

// Cluster-scoped types of which users without rights on the platform make objects.
var usersMake = map[string]bool{
	"namespaces": true, "workspaces.tenant.kubesphere.io": true, "workspacetemplates.tenant.kubesphere.io": true, "workspaceroles.iam.kubesphere.io": true,
	"workspacerolebindings.iam.kubesphere.io": true, "groups.iam.kubesphere.io": true, "groupbindings.iam.kubesphere.io": true, "resourcequotas.quota.kubesphere.io": true,
	"personalaccesstokens.iam.kubesphere.io": true, "consents.iam.kubesphere.io": true, "deviceauthorizations.iam.kubesphere.io": true,
}

// state is a digest of each object by its key, without what changes by itself.
type state map[string]digest

type digest struct {
	sum [sha256.Size]byte
	// workspace is the one the object belongs to by its label.
	workspace string
}

// key names an object: its type, namespace and name.
func key(typ *resourceType, object *unstructured.Unstructured) string {
	return typ.GroupResource().String() + " " + object.GetNamespace() + "/" + object.GetName()
}

// observe returns the state of all objects.
func (w *world) observe(ctx context.Context) (state, error) {
	result := make(state)
	for n := range w.types {
		typ := &w.types[n]
		if !typ.listable || volatile[typ.GroupResource().String()] {
			continue
		}
		list, err := w.dynamic.Resource(typ.GroupVersionResource).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", typ, err)
		}
		for k := range list.Items {
			item := &list.Items[k]
			result[key(typ, item)] = digest{sum: sumOf(item), workspace: item.GetLabels()["kubesphere.io/workspace"]}
		}
	}
	return result, nil
}

func sumOf(object *unstructured.Unstructured) [sha256.Size]byte {
	object = object.DeepCopy()
	delete(object.Object, "status")
	for _, field := range []string{"resourceVersion", "generation", "managedFields"} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	text, err := json.Marshal(object.Object)
	if err != nil {
		panic(err) // it came as JSON
	}
	return sha256.Sum256(text)
}

// isOwn reports whether an object of a key belongs to the walker's users: it is in one of
// their projects, or is a part of a workspace that they own or made.
func isOwn(key string, of digest) bool {
	resource, place, _ := strings.Cut(key, " ")
	namespace, name, _ := strings.Cut(place, "/")
	switch {
	case namespace != "":
		// Gateways of projects are kept in a namespace of the platform.
		return isOwnProject(namespace) || namespace == "kubesphere-terminals" || strings.HasPrefix(name, "kubesphere-router-walk-own")
	case resource == "namespaces":
		return isOwnProject(name)
	case resource == "users.iam.kubesphere.io":
		return strings.HasPrefix(name, "walk-") && name != foreignManager
	case !usersMake[resource]:
		return false
	case strings.HasPrefix(resource, "workspaces.") || strings.HasPrefix(resource, "workspacetemplates."):
		return isOwnWorkspace(name)
	}
	return of.workspace == "" || isOwnWorkspace(of.workspace)
}

// comesAndGoes reports whether an object stands for the rules of roles, by which it is
// named: it is there as long as a role of a workspace has these rules, and gives nothing
// without a binding. Its rules never change.
func comesAndGoes(key string) bool {
	return strings.HasPrefix(key, "clusterroles.rbac.authorization.k8s.io /kubesphere:rules:")
}

func isOwnWorkspace(name string) bool {
	return strings.HasPrefix(name, "walk-") && name != foreignWorkspace
}

// changes returns what differs between two states in objects of others.
func changes(before, after state) []string {
	var found []string
	for key, was := range before {
		if isOwn(key, was) {
			continue
		}
		switch is, there := after[key]; {
		case !there && comesAndGoes(key):
		case !there:
			found = append(found, "deleted: "+key)
		case is.sum != was.sum:
			found = append(found, "changed: "+key)
		}
	}
	for key, is := range after {
		if _, known := before[key]; !known && !isOwn(key, is) && !comesAndGoes(key) {
			found = append(found, "new: "+key)
		}
	}
	slices.Sort(found)
	return found
}

// right is one that none of the walker's users and service accounts may have.
type right struct{ verb, group, resource, subresource, namespace, name string }

var taboos = []right{
	{"get", "", "secrets", "", foreignProject, "walk"}, {"list", "", "secrets", "", foreignProject, ""}, {"update", "", "configmaps", "", foreignProject, "walk"}, {"create", "", "pods", "", foreignProject, ""},
	{"create", "rbac.authorization.k8s.io", "rolebindings", "", foreignProject, ""}, {"get", "", "secrets", "", "kubesphere-system", ""}, {"create", "", "pods", "", "kubesphere-system", ""},
	{"get", "", "secrets", "", "kube-system", ""}, {"create", "", "pods", "", "kube-system", ""}, {"list", "", "secrets", "", "", ""}, {"list", "", "nodes", "", "", ""},
	{"create", "", "nodes", "proxy", "", "node-0"}, {"update", "", "namespaces", "", "", foreignProject}, {"delete", "", "namespaces", "", "", foreignProject}, {"delete", "", "namespaces", "", "", "kube-system"},
	{"create", "rbac.authorization.k8s.io", "clusterroles", "", "", ""}, {"create", "rbac.authorization.k8s.io", "clusterrolebindings", "", "", ""},
	{"create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", "", ""}, {"create", "apiextensions.k8s.io", "customresourcedefinitions", "", "", ""},
	{"impersonate", "", "users", "", "", "admin"}, {"impersonate", "", "groups", "", "", "system:masters"}, {"update", "certificates.k8s.io", "certificatesigningrequests", "approval", "", ""},
	{"create", "iam.kubesphere.io", "globalrolebindings", "", "", ""}, {"create", "iam.kubesphere.io", "globalroles", "", "", ""}, {"update", "iam.kubesphere.io", "users", "", "", "admin"}, {"create", "iam.kubesphere.io", "users", "", "", ""},
}

func (r right) attributes() fields {
	return fields{"verb": r.verb, "group": r.group, "resource": r.resource, "subresource": r.subresource, "namespace": r.namespace, "name": r.name}
}

// held returns which taboos somebody has the right to: a user by the server's decision,
// users and service accounts by Kubernetes' own.
func (w *world) held(ctx context.Context) (map[string]bool, error) {
	result := make(map[string]bool)
	accounts, err := w.serviceAccounts(ctx)
	if err != nil {
		return nil, err
	}
	reviews := schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "subjectaccessreviews"}
	for _, taboo := range taboos {
		for _, s := range w.subjects {
			var got struct{ Status struct{ Allowed bool } }
			review := fields{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": fields{"resourceAttributes": taboo.attributes()}}
			err := w.callAs(ctx, s.token, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, &got)
			if errors.Is(err, errUnauthorized) {
				continue // its session has ended
			}
			if err != nil {
				return nil, err
			}
			if got.Status.Allowed {
				result[fmt.Sprintf("%s by the server: %+v", s.name, taboo)] = true
			}
		}
		for _, account := range accounts {
			spec := fields{"user": account.user, "groups": account.groups, "resourceAttributes": taboo.attributes()}
			object := &unstructured.Unstructured{Object: fields{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}}
			answer, err := w.dynamic.Resource(reviews).Create(ctx, object, metav1.CreateOptions{})
			if err != nil {
				return nil, err
			}
			if allowed, _, _ := unstructured.NestedBool(answer.Object, "status", "allowed"); allowed {
				result[fmt.Sprintf("%s by Kubernetes: %+v", account.user, taboo)] = true
			}
		}
	}
	return result, nil
}

type account struct {
	user   string
	groups []any
}

// serviceAccounts are those of the own projects, and the users as Kubernetes knows them.
func (w *world) serviceAccounts(ctx context.Context) ([]account, error) {
	list, err := w.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var accounts []account
	for n := range list.Items {
		if item := &list.Items[n]; isOwnProject(item.GetNamespace()) {
			accounts = append(accounts, account{"system:serviceaccount:" + item.GetNamespace() + ":" + item.GetName(), []any{"system:serviceaccounts", "system:serviceaccounts:" + item.GetNamespace(), "system:authenticated"}})
		}
	}
	accounts = accounts[:min(len(accounts), 10)]
	for _, s := range w.subjects {
		accounts = append(accounts, account{s.name, []any{"system:authenticated"}})
	}
	return accounts, nil
}

// seen returns where the canary secrets are that a text has.
func (w *world) seen(text []byte) []string {
	var found []string
	for canary, place := range w.canaries {
		if bytes.Contains(text, []byte(canary)) {
			found = append(found, place)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
