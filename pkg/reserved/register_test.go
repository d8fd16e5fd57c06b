package reserved

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestConfiguredNames: an installation adds names, and takes none away.
func TestConfiguredNames(t *testing.T) {
	register := New(Options{
		Namespaces: []string{"cert-manager", "cattle-*", "*-operators", "shells-2"}, CredentialNamespaces: []string{"shells-2", "gateways", ""},
		Workspaces: []string{"default", "infra-*"}, NamespaceLabels: []string{"admission.gatekeeper.sh/ignore"}, NamespaceAnnotations: []string{"policy.example.com/*"},
	})
	for _, test := range []struct {
		kind                Kind
		name                string
		configured, builtIn Right
	}{
		{Namespace, "cert-manager", Cluster, Free}, {Namespace, "cert-managers", Free, Free}, {Namespace, "cattle-system", Cluster, Free},
		{Namespace, "my-operators", Cluster, Free}, {Namespace, "operators", Free, Free}, {Namespace, "gateways", Platform, Free},
		{Namespace, "shells-2", Platform, Free}, {Namespace, "kube-system", Cluster, Cluster}, {Namespace, "kubesphere-system", Platform, Platform},
		{Namespace, "", Free, Free}, {Namespace, "project", Free, Free},
		{Workspace, "default", Platform, Free}, {Workspace, "infra-net", Platform, Free}, {Workspace, "platform", ServerOnly, ServerOnly}, {Workspace, "team", Free, Free},
		{User, "cert-manager", Free, Free},
	} {
		if got, _ := register.Name(test.kind, test.name); got != test.configured {
			t.Errorf("%s %q: %v, want %v", test.kind, test.name, got, test.configured)
		}
		if got, _ := Default().Name(test.kind, test.name); got != test.builtIn {
			t.Errorf("%s %q of every installation: %v, want %v", test.kind, test.name, got, test.builtIn)
		}
		if test.kind == Namespace && register.IsPlatformNamespace(test.name) != (test.configured != Free) {
			t.Errorf("namespace %q is the platform's: %v", test.name, test.configured == Free)
		}
	}
	if got := register.CredentialNamespaces(); !slices.Equal(got, []string{"gateways", "kubesphere-controls-system", "kubesphere-system", "shells-2"}) {
		t.Errorf("namespaces with credentials: %q", got)
	}
	for name, want := range map[string]bool{"gateways": true, "kubesphere-system": true, "cert-manager": false, "kube-system": false, "": false} {
		if register.HoldsCredentials(name) != want {
			t.Errorf("namespace %q has credentials: %v", name, !want)
		}
	}
	namespaces := schema.GroupResource{Resource: "namespaces"}
	changed := object(map[string]string{"admission.gatekeeper.sh/ignore": "yes", "a": "b"}, map[string]string{"policy.example.com/exempt": "yes"})
	if got := register.Changed(namespaces, nil, changed); len(got) != 2 || got[0].Right != Cluster || got[1].Right != Cluster {
		t.Errorf("fields of the installation: %v", got)
	}
	if got := Default().Changed(namespaces, nil, changed); len(got) != 0 {
		t.Errorf("fields of every installation: %v", got)
	}
}

// TestComponentNamespaces: no project has the name of a namespace whose services are
// shown as components.
func TestComponentNamespaces(t *testing.T) {
	for _, name := range ComponentNamespaces() {
		if !Default().IsPlatformNamespace(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
}

func TestValidate(t *testing.T) {
	for text, want := range map[string]bool{
		"istio-system": true, "cattle-*": true, "*-system": true, "a*": true, "*": false, "": false, "a*b": false, "*a*": false, "A": false, "a.b": false, "-a": false, "a_*": false,
	} {
		if err := ValidatePattern(text); (err == nil) != want {
			t.Errorf("pattern %q: %v", text, err)
		}
	}
	for text, want := range map[string]bool{
		"istio-injection": true, "admission.gatekeeper.sh/ignore": true, "policy.example.com/*": true, "istio*": true, "*": false, "": false, "a b": false, "/x": false, "*/x": false,
	} {
		if err := ValidateKey(text); (err == nil) != want {
			t.Errorf("key %q: %v", text, err)
		}
	}
}

// TestNameOf: a generated name is checked as it could become.
func TestNameOf(t *testing.T) {
	for _, test := range []struct {
		name, generate string
		kind           Kind
		want           bool
	}{
		{"", "kube-", Namespace, true}, {"", "root", Group, false}, {"root", "kube-", Group, true}, {"", "role-template-", Role, true}, {"", "", Role, false},
	} {
		if got := Default().IsReserved(test.kind, NameOf(test.name, test.generate)); got != test.want {
			t.Errorf("%s %q %q: %v", test.kind, test.name, test.generate, got)
		}
	}
}
