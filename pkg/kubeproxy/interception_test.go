package kubeproxy

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

var platformNamespaces = []string{"kubesphere-controls-system", "kubesphere-system"}

// hiding are the rights of a user who does not administer the platform.
type hiding struct{ nothing }

func (hiding) HiddenNamespaces(context.Context, user.Info, authz.Action) ([]string, error) {
	return platformNamespaces, nil
}

func TestReachesPlatform(t *testing.T) {
	names := func(operator, values string) string {
		return `"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"` + operator + `","values":["` + strings.ReplaceAll(values, ",", `","`) + `"]}]}`
	}
	webhook := func(groups, selector string) string {
		if selector != "" {
			selector = "," + selector
		}
		return `{"webhooks":[{"rules":[{"apiGroups":["example.com"]}]},{"rules":[{"apiGroups":["` + strings.ReplaceAll(groups, ",", `","`) + `"]}]` + selector + `}]}`
	}
	p := &Proxy{rights: hiding{}}
	for _, test := range []struct {
		name, resource, object string
		want                   bool
	}{
		{"no webhooks", "mutatingwebhookconfigurations", `{}`, false},
		{"another type", "mutatingwebhookconfigurations", webhook("example.com", ""), false},
		{"all types", "validatingwebhookconfigurations", webhook("*", ""), true},
		{"all types of other namespaces", "mutatingwebhookconfigurations", webhook("*", names("NotIn", strings.Join(platformNamespaces, ","))), true},
		{"a type of the platform", "mutatingwebhookconfigurations", webhook("example.com,iam.kubesphere.io", ""), true},
		{"an add-on's of the platform", "mutatingwebhookconfigurations", webhook("devops.kubesphere.io", ""), true},
		{"rights, which belong to no namespace", "mutatingwebhookconfigurations", webhook("rbac.authorization.k8s.io", names("In", "default")), true},
		{"the core group", "mutatingwebhookconfigurations", webhook("", ""), true},
		{"the core group in other namespaces", "mutatingwebhookconfigurations", webhook("", names("NotIn", strings.Join(platformNamespaces, ","))), false},
		{"the core group in most namespaces", "mutatingwebhookconfigurations", webhook("", names("NotIn", "kubesphere-system")), true},
		{"the core group in one", "mutatingwebhookconfigurations", webhook("", names("In", "default")), false},
		{"the core group in one of the platform", "mutatingwebhookconfigurations", webhook("", names("In", "default,kubesphere-system")), true},
		{"by a label that can change", "mutatingwebhookconfigurations", webhook("apps", `"namespaceSelector":{"matchLabels":{"injection":"enabled"}}`), true},
		{"by the label of the name", "mutatingwebhookconfigurations", webhook("apps", `"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"default"}}`), false},
		{"an add-on of Kubernetes", "mutatingwebhookconfigurations", webhook("snapshot.storage.k8s.io", ""), true},
		{"a policy for nothing that it names", "validatingadmissionpolicies", `{"spec":{}}`, true},
		{"a policy for the platform", "mutatingadmissionpolicies", `{"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":["tenant.kubesphere.io"]}]}}}`, true},
		{"a policy for others", "validatingadmissionpolicies", `{"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":["example.com"]}]}}}`, false},
		{"a binding of what cannot be looked up", "validatingadmissionpolicybindings", `{"spec":{"policyName":"../x"}}`, true},
		{"a binding of no policy", "validatingadmissionpolicybindings", `{"spec":{}}`, true},
		{"a definition of the platform", "customresourcedefinitions", `{"spec":{"group":"iam.kubesphere.io"}}`, true},
		{"another definition", "customresourcedefinitions", `{"spec":{"group":"kubesphere.io.example.com"}}`, false},
		{"a service for the platform", "apiservices", `{"spec":{"group":"iam.kubesphere.io"}}`, true},
		{"a service for Kubernetes", "apiservices", `{"spec":{"group":"","version":"v1"}}`, true},
		{"metrics", "apiservices", `{"spec":{"group":"custom.metrics.k8s.io"}}`, false},
		{"what is no object of the kind", "mutatingwebhookconfigurations", `{"webhooks":{}}`, true},
	} {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON([]byte(`{"apiVersion":"v1","kind":"X",` + test.object[1:])); err != nil && test.object != `{}` {
			t.Fatal(test.name, err)
		}
		if test.object == `{}` {
			object.Object = map[string]any{}
		}
		resource := schema.GroupResource{Group: "g", Resource: test.resource}
		if err := p.permitInterceptor(t.Context(), &user.DefaultInfo{Name: "jane"}, resource, nil, object); (err != nil) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestPolicyParameters: policies read parameters with the rights of this server.
func TestPolicyParameters(t *testing.T) {
	const constraints = `"matchConstraints":{"resourceRules":[{"apiGroups":["example.com"]}]}`
	token := &user.DefaultInfo{Name: "admin", Extra: map[string][]string{authz.ExtraScopes: {"all"}}}
	for _, test := range []struct {
		name, resource, after string
		may                   bool // who is no administrator
	}{
		{"a policy without parameters", "validatingadmissionpolicies", `{"metadata":{"name":"a"},"spec":{` + constraints + `}}`, true},
		{"a policy of secrets", "validatingadmissionpolicies", `{"metadata":{"name":"a"},"spec":{"paramKind":{"apiVersion":"v1","kind":"Secret"},` + constraints + `}}`, false},
		{"a mutating policy of sessions", "mutatingadmissionpolicies", `{"metadata":{"name":"a"},"spec":{"paramKind":{"apiVersion":"iam.kubesphere.io/v1alpha2","kind":"Session"},` + constraints + `}}`, false},
		{"a binding to a secret", "validatingadmissionpolicybindings", `{"metadata":{"name":"a"},"spec":{"policyName":"p","paramRef":{"name":"s","namespace":"n"}}}`, false},
		{"a mutating binding to a selector", "mutatingadmissionpolicybindings", `{"metadata":{"name":"a"},"spec":{"policyName":"p","paramRef":{"selector":{}}}}`, false},
	} {
		for _, version := range []string{"v1", "v1beta1"} {
			info := parsed(t, "PATCH", "/apis/admissionregistration.k8s.io/"+version+"/"+test.resource+"/a")
			after := parse(t, test.after)
			for _, before := range []*unstructured.Unstructured{nil, parse(t, `{"metadata":{"name":"a"},"spec":{`+constraints+`,"policyName":""}}`)} {
				if before != nil && strings.HasSuffix(test.resource, "bindings") {
					before = after
				}
				if err := (&Proxy{rights: hiding{}}).permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, before, after); (err == nil) != test.may {
					t.Errorf("%s in %s: %v", test.name, version, err)
				}
				if err := (&Proxy{rights: &authz.RBAC{All: true}}).permit(t.Context(), &user.DefaultInfo{Name: "admin"}, info, before, after); err != nil {
					t.Errorf("%s in %s by an administrator: %v", test.name, version, err)
				}
				if err := (&Proxy{rights: unhidden{}}).permit(t.Context(), token, info, before, after); (err == nil) != test.may {
					t.Errorf("%s in %s where nothing is hidden: %v", test.name, version, err)
				}
			}
		}
	}
}

// unhidden are the rights of a user of a server that hides no namespaces.
type unhidden struct{ nothing }

func (unhidden) HiddenNamespaces(context.Context, user.Info, authz.Action) ([]string, error) {
	return nil, nil
}

// TestWithoutPlatform: Kubernetes is asked for lists without the platform's objects.
func TestWithoutPlatform(t *testing.T) {
	const hidden = "metadata.namespace!=kubesphere-controls-system,metadata.namespace!=kubesphere-system"
	p := &Proxy{rights: hiding{}}
	for target, want := range map[string]string{
		"/api/v1/secrets":                        hidden,
		"/api/v1/configmaps?watch=1":             hidden,
		"/api/v1/watch/secrets":                  hidden,
		"/api/v1/secrets?fieldSelector=type%3Da": "type=a," + hidden,
		"/api/v1/secrets?fieldSelector=metadata.namespace%3Dkubesphere-system": "metadata.namespace=kubesphere-system," + hidden,
		"/api/v1/namespaces/default/secrets?fieldSelector=a%3Db":               "a=b",
		"/api/v1/pods": "", "/api/v1/namespaces": "",
	} {
		r := httptest.NewRequest("GET", target, nil)
		got, err := p.withoutPlatform(r, parsed(t, "GET", target), &user.DefaultInfo{Name: "jane"})
		if err != nil {
			t.Fatal(err)
		}
		if values := got.URL.Query()["fieldSelector"]; strings.Join(values, "|") != want && (want != "" || len(values) > 0) {
			t.Errorf("%s: %q", target, values)
		}
	}
}

// TestGuardsDeletion: which deletions are looked into.
func TestGuardsDeletion(t *testing.T) {
	for target, want := range map[string]bool{
		"DELETE /api/v1/namespaces/n/resourcequotas/q": true, "DELETE /api/v1/namespaces/n/resourcequotas": true, "DELETE /api/v1/namespaces/n": false,
		"DELETE /api/v1/namespaces/n/limitranges/l": true, "DELETE /api/v1/namespaces/n/limitranges": true, "DELETE /apis/quota.kubesphere.io/v1alpha2/resourcequotas/q": true,
		"DELETE /apis/rbac.authorization.k8s.io/v1/namespaces/n/rolebindings/b": true, "DELETE /apis/rbac.authorization.k8s.io/v1/namespaces/n/roles": true,
		"DELETE /apis/iam.kubesphere.io/v1alpha2/groups/g": true, "DELETE /apis/iam.kubesphere.io/v1alpha2/groupbindings/b": true, "DELETE /apis/iam.kubesphere.io/v1alpha2/rolebases/b": true,
		"DELETE /apis/tenant.kubesphere.io/v1alpha2/workspacetemplates/w": true, "DELETE /apis/tenant.kubesphere.io/v1alpha1/workspaces": true,
		"DELETE /apis/iam.kubesphere.io/v1alpha2/globalrolebindings/b": true, "DELETE /apis/iam.kubesphere.io/v1alpha2/users/u": false,
		"DELETE /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/p": true, "DELETE /api/v1/namespaces/n/pods/p": false,
		"GET /apis/rbac.authorization.k8s.io/v1/clusterroles/r": false, "DELETE /kapis/rbac.authorization.k8s.io/v1/namespaces/n/roles/r": true,
	} {
		method, path, _ := strings.Cut(target, " ")
		if got := guardsDeletion(parsed(t, method, path)); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}

// TestDeletionOfOthersRights: deleting what gives rights takes these rights, and the
// platform's own workspace stays.
func TestDeletionOfOthersRights(t *testing.T) {
	for _, test := range []struct {
		method, path, object string
		byCluster            bool // by a user with all rights in the cluster only
	}{
		{"DELETE", "/apis/iam.kubesphere.io/v1alpha2/groups/g", `{"kind":"Group","metadata":{"name":"g"}}`, false},
		{"DELETE", "/apis/iam.kubesphere.io/v1alpha2/groupbindings/b", `{"kind":"GroupBinding","metadata":{"name":"b"},"users":["zoe"]}`, false},
		{"DELETE", "/apis/iam.kubesphere.io/v1alpha2/rolebases/b", `{"kind":"RoleBase","metadata":{"name":"b"}}`, false},
		{"DELETE", "/apis/certificates.k8s.io/v1beta1/clustertrustbundles/b", `{"kind":"ClusterTrustBundle","metadata":{"name":"b"}}`, true},
		{"DELETE", "/api/v1/namespaces/n/resourcequotas/q", `{"kind":"ResourceQuota","metadata":{"name":"q","labels":{"quota.kubesphere.io/resourcequota":"w"}}}`, true},
	} {
		info := parsed(t, test.method, test.path)
		resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
		for rights, want := range map[Rights]bool{clusterRights{}: test.byCluster, &authz.RBAC{All: true}: true} {
			err := (&Proxy{rights: rights}).permitDeletion(t.Context(), &user.DefaultInfo{Name: "jane"}, resource, parse(t, test.object))
			if (err == nil) != want {
				t.Errorf("%s by %T: %v", test.path, rights, err)
			}
		}
	}
	for path, want := range map[string]bool{
		"/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates/w": true, "/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates/system-workspace": false,
		"/apis/tenant.kubesphere.io/v1alpha1/workspaces/system-workspace": false, "/apis/tenant.kubesphere.io/v1alpha1/workspaces": false,
	} {
		_, err := (&Proxy{rights: &authz.RBAC{All: true}}).guardDeletion(httptest.NewRequest("DELETE", path, nil), parsed(t, "DELETE", path), &user.DefaultInfo{Name: "admin"})
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestDeletionOfReservedRoles: roles of the platform are deleted by who may make
// them, those without rules as well.
func TestDeletionOfReservedRoles(t *testing.T) {
	for path, want := range map[string]bool{
		"/apis/iam.kubesphere.io/v1alpha2/globalroles/platform-regular": false, "/apis/iam.kubesphere.io/v1alpha2/globalroles/authenticated": false,
		"/apis/iam.kubesphere.io/v1alpha2/workspaceroles/role-template-view-basic": false, "/apis/iam.kubesphere.io/v1alpha2/globalroles/own": true,
		"/apis/rbac.authorization.k8s.io/v1/clusterroles/system:basic-user": false, "/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles/role-template-a": false,
		"/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles/own": true,
	} {
		info := parsed(t, "DELETE", path)
		resource, object := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}, parse(t, `{"metadata":{"name":"`+info.Name+`"}}`)
		for rights, want := range map[Rights]bool{roleless{}: want, &authz.RBAC{All: true}: true} {
			if err := (&Proxy{rights: rights}).permitDeletion(t.Context(), &user.DefaultInfo{Name: "jane"}, resource, object); (err == nil) != want {
				t.Errorf("%s by %T: %v", path, rights, err)
			}
		}
	}
}

// issuer are the rights of a user who may issue tokens of the service account "a",
// by name, in the namespace "n", and nothing else.
type issuer struct{ nothing }

func (issuer) Covers(_ context.Context, _ user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	held := rbacv1.PolicyRule{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{"a"}}
	if scope.Namespace == "n" && len(rules) == 1 && equality.Semantic.DeepEqual(rules[0], held) {
		return nil, nil
	}
	return rules, nil
}

// TestCredentialSecrets: a secret that is a credential of Kubernetes takes the right
// to issue it, and no personal access token writes one.
func TestCredentialSecrets(t *testing.T) {
	secret := func(kind, account string) *unstructured.Unstructured {
		return parse(t, `{"metadata":{"name":"s","namespace":"n","annotations":{"kubernetes.io/service-account.name":"`+account+`"}},"type":"`+kind+`"}`)
	}
	person := &user.DefaultInfo{Name: "jane"}
	limited := &user.DefaultInfo{Name: "admin", Extra: map[string][]string{authz.ExtraScopes: {"all"}}}
	const token, bootstrap = "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"
	administrator := &authz.RBAC{All: true}
	for _, test := range []struct {
		name          string
		who           user.Info
		rights        Rights
		before, after *unstructured.Unstructured
		may           bool
	}{
		{"another type", person, nothing{}, nil, secret("Opaque", "a"), true},
		{"another type by a token", limited, administrator, nil, secret("kubernetes.io/tls", "a"), true},
		{"a token", person, nothing{}, nil, secret(token, "a"), false},
		{"a token with the power", person, issuer{}, nil, secret(token, "a"), true},
		{"a token of another account", person, issuer{}, nil, secret(token, "b"), false},
		{"a token that becomes another account's", person, issuer{}, secret(token, "a"), secret(token, "b"), false},
		{"a token that stays", person, nothing{}, secret(token, "a"), secret(token, "a"), true},
		{"a token by an administrator", person, administrator, nil, secret(token, "a"), true},
		{"a token by a personal access token", limited, administrator, nil, secret(token, "a"), false},
		{"a token of nodes", person, issuer{}, nil, secret(bootstrap, ""), false},
		{"a token of nodes with the cluster", person, clusterRights{}, nil, secret(bootstrap, ""), true},
		{"a token of nodes by a personal access token", limited, administrator, nil, secret(bootstrap, ""), false},
	} {
		info := parsed(t, "POST", "/api/v1/namespaces/n/secrets")
		if err := (&Proxy{rights: test.rights}).permit(t.Context(), test.who, info, test.before, test.after); (err == nil) != test.may {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for target, want := range map[string]bool{"POST /secrets": true, "PUT /secrets/s": true, "PATCH /secrets/s": true, "GET /secrets/s": false, "DELETE /secrets/s": false} {
		method, path, _ := strings.Cut(target, " ")
		if guards(parsed(t, method, "/api/v1/namespaces/n"+path)) != want {
			t.Errorf("%s is looked into: %v", target, !want)
		}
	}
}

// TestExcludes: a selector without the label of the name excludes nothing.
func TestExcludes(t *testing.T) {
	if excludes(nil, platformNamespaces) || excludes(&metav1.LabelSelector{}, platformNamespaces) {
		t.Error("no selector excludes nothing")
	}
}
