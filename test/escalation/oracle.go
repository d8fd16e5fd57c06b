package escalation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// usersGive are the global roles that the walker's users may give: one manages users, and
// gives no role with more rights than its own.
var usersGive = map[string]bool{"platform-regular": true, peopleRole: true}

// ofRights are the types in a project by which rights and limits are given: in the lent
// project these are for others to write.
var ofRights = map[string]bool{"roles.rbac.authorization.k8s.io": true, "rolebindings.rbac.authorization.k8s.io": true, "resourcequotas": true, "limitranges": true}

// state is a digest of each object by its key, without what changes by itself.
type state map[string]digest

type digest struct {
	sum [sha256.Size]byte
	// kept is of what only the platform and Kubernetes write in an object of users; zero for
	// none.
	kept [sha256.Size]byte
	// workspace is the one the object belongs to by its label, role that of a binding.
	workspace, role string
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
			result[key(typ, item)] = digestOf(typ, item)
		}
	}
	return result, nil
}

func digestOf(typ *resourceType, object *unstructured.Unstructured) digest {
	d := digest{sum: sumOf(object), workspace: object.GetLabels()["kubesphere.io/workspace"]}
	d.role, _, _ = unstructured.NestedString(object.Object, "roleRef", "name")
	if typ.GroupResource().String() != "namespaces" || !isOwnProject(object.GetName()) {
		return d
	}
	// Kubernetes itself takes the finalizers of one that is being deleted.
	if object.GetDeletionTimestamp() == nil {
		d.kept = hash([]any{object.Object["spec"], object.GetOwnerReferences(), keptLabels(object, "pod-security.kubernetes.io/")})
	}
	if object.GetName() == lentProject { // a user may label it
		d.sum = hash([]any{d.kept, object.GetFinalizers(), object.GetDeletionTimestamp(), foreignCreator(object), keptLabels(object, "kubesphere.io/workspace", "kubesphere.io/namespace", "kubesphere.io/managed")})
	}
	return d
}

// foreignCreator is who a namespace says has made it, "" for the administrator who has and
// for users who may write the namespace: these may say it of themselves.
func foreignCreator(object *unstructured.Unstructured) string {
	creator := object.GetAnnotations()["kubesphere.io/creator"]
	if creator == "admin" || creator == lentWriter {
		return ""
	}
	return creator
}

// keptLabels are the labels of an object with one of the prefixes.
func keptLabels(object *unstructured.Unstructured, prefixes ...string) map[string]string {
	labels := object.GetLabels()
	maps.DeleteFunc(labels, func(label, _ string) bool {
		return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(label, prefix) })
	})
	return labels
}

func sumOf(object *unstructured.Unstructured) [sha256.Size]byte {
	object = object.DeepCopy()
	delete(object.Object, "status")
	for _, field := range []string{"resourceVersion", "generation", "managedFields"} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	return hash(object.Object)
}

func hash(value any) [sha256.Size]byte {
	text, err := json.Marshal(value)
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
	case namespace == lentProject:
		return !ofRights[resource]
	case namespace != "":
		// Gateways of projects are kept in a namespace of the platform.
		return isOwnProject(namespace) || namespace == "kubesphere-terminals" || strings.HasPrefix(name, "kubesphere-router-walk-own")
	case resource == "namespaces":
		return isOwnProject(name) && name != lentProject
	case resource == "users.iam.kubesphere.io": // one of the walker's users manages them
		return name != "admin" && name != foreignManager
	case resource == "globalrolebindings.iam.kubesphere.io":
		return usersGive[of.role]
	case strings.HasPrefix(resource, "clusterrole"):
		return isOwnMirror(name)
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

// isOwnMirror reports whether a role or binding of the cluster stands at Kubernetes for
// roles of the platform that the walker's users give and take.
func isOwnMirror(name string) bool {
	role, isGlobal := strings.CutPrefix(name, "kubesphere:global:")
	return isGlobal && usersGive[role]
}

func isOwnWorkspace(name string) bool {
	return strings.HasPrefix(name, "walk-") && name != foreignWorkspace
}

// changes returns what differs between two states in objects of others.
func changes(before, after state) []string {
	var found []string
	var unknown [sha256.Size]byte
	for key, was := range before {
		is, there := after[key]
		if isOwn(key, was) {
			if there && is.kept != was.kept && is.kept != unknown && was.kept != unknown {
				found = append(found, "changed what no user may: "+key)
			}
			continue
		}
		switch {
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

// orphans returns the objects in namespaces that are gone: who has rights there has them in
// the next namespace of the name.
func orphans(s state) []string {
	var found []string
	for key := range s {
		_, place, _ := strings.Cut(key, " ")
		namespace, _, _ := strings.Cut(place, "/")
		if _, exists := s["namespaces /"+namespace]; namespace != "" && !exists {
			found = append(found, "left in a namespace that is gone: "+key)
		}
	}
	slices.Sort(found)
	return found
}

// leftBehind returns the orphans of a state that are still there. A namespace may go while
// the state is observed, after its objects.
func (w *world) leftBehind(ctx context.Context, s state) ([]string, error) {
	found := orphans(s)
	if len(found) == 0 {
		return nil, nil
	}
	now, err := w.observe(ctx)
	still := orphans(now)
	return slices.DeleteFunc(found, func(one string) bool { return !slices.Contains(still, one) }), err
}

// right is one that none of the walker's users and service accounts may have, but for users
// who manage its resource.
type right struct{ verb, group, resource, subresource, namespace, name string }

// powers are rights that no role of users gives, whatever it has a "*" for: not even in the
// own project. Kubernetes' own RBAC includes them, so that only the server is asked.
var powers = []right{
	{"update", "", "namespaces", "finalize", ownProjects[0], ownProjects[0]}, {"update", "", "namespaces", "finalize", ownProjects[1], ownProjects[1]}, {"update", "", "namespaces", "finalize", lentProject, lentProject},
	{"impersonate", "", "serviceaccounts", "", ownProjects[0], "default"}, {"impersonate", "", "users", "", "", foreignManager}, {"impersonate", "", "groups", "", "", foreignGroup},
	{"create", "", "serviceaccounts", "token", ownProjects[0], "default"}, {"create", "", "pods", "binding", ownProjects[0], "walk"}, {"update", "", "pods", "ephemeralcontainers", ownProjects[0], "walk"},
	{"escalate", "rbac.authorization.k8s.io", "roles", "", ownProjects[0], ""}, {"bind", "rbac.authorization.k8s.io", "roles", "", ownProjects[0], ""}, {"bind", "iam.kubesphere.io", "workspaceroles", "", "", ""},
	{"escalate", "iam.kubesphere.io", "globalroles", "", "", ""}, {"approve", "certificates.k8s.io", "signers", "", "", "kubernetes.io/kube-apiserver-client"},
}

var taboos = []right{
	{"create", "rbac.authorization.k8s.io", "rolebindings", "", lentProject, ""}, {"update", "rbac.authorization.k8s.io", "roles", "", lentProject, "walk-lent"}, {"delete", "", "namespaces", "", lentProject, lentProject},
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
	for _, taboo := range slices.Concat(taboos, powers) {
		for _, s := range w.subjects {
			if taboo.group == "iam.kubesphere.io" && taboo.resource == s.manages {
				continue
			}
			allowed, err := w.permits(ctx, s, taboo)
			if err != nil {
				return nil, err
			}
			if allowed {
				result[fmt.Sprintf("%s by the server: %+v", s.name, taboo)] = true
			}
		}
	}
	for _, taboo := range taboos {
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

// permits returns the server's decision about a right of a subject; false when its session
// has ended.
func (w *world) permits(ctx context.Context, s *subject, taboo right) (bool, error) {
	var got struct{ Status struct{ Allowed bool } }
	review := fields{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": fields{"resourceAttributes": taboo.attributes()}}
	err := w.callAs(ctx, s.token, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, &got)
	if errors.Is(err, errUnauthorized) {
		return false, nil
	}
	return got.Status.Allowed, err
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
