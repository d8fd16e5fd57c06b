package reserved

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Namespaces of the platform that this server and KubeSphere keep credentials in.
const (
	// SystemNamespace is the namespace of this server and its credentials.
	SystemNamespace = "kubesphere-system"
	// ControlsNamespace is the namespace KubeSphere 3.x keeps kubeconfigs of users and
	// the gateways of projects in.
	ControlsNamespace = "kubesphere-controls-system"
)

// LabelManagedBy is the label of objects that name their manager, and ManagedByServer
// its value in the objects this server makes and may bring up to date.
const (
	LabelManagedBy  = "app.kubernetes.io/managed-by"
	ManagedByServer = "ks-apiserver"
)

// Options are the names and fields an installation adds to the register. In
// patterns a '*' at the beginning or the end stands for any text.
type Options struct {
	// Namespaces are patterns of further namespaces of the platform, such as those of
	// an ingress controller.
	Namespaces []string
	// CredentialNamespaces are names of further namespaces with credentials of the
	// platform. Empty ones are left out.
	CredentialNamespaces []string
	// Workspaces are patterns of names for administrators of the platform.
	Workspaces []string
	// NamespaceLabels and NamespaceAnnotations are keys that take all rights in the
	// cluster to change, such as the labels that exempt a namespace from a policy.
	// A '*' at the end stands for any text.
	NamespaceLabels, NamespaceAnnotations []string
}

// Register is the register of reserved names and fields. A nil Register has the
// names and fields of every installation. It does not change once it is made.
type Register struct {
	names       map[Kind][]name
	fields      map[schema.GroupResource][]Field
	credentials []string
}

// Default returns the register with the names and fields of every installation.
func Default() *Register { return builtIn }

var builtIn = New(Options{})

// New returns the register with the names and fields an installation adds.
func New(o Options) *Register {
	r := &Register{names: maps.Clone(names), fields: maps.Clone(fields)}
	r.credentials = slices.Concat([]string{SystemNamespace, ControlsNamespace}, o.CredentialNamespaces)
	slices.Sort(r.credentials)
	r.credentials = slices.DeleteFunc(slices.Compact(r.credentials), func(name string) bool { return name == "" })
	// The first pattern counts: credentials go before names of less.
	r.names[Namespace] = slices.Concat(patterns(r.credentials, Platform, ofPlatform), names[Namespace], patterns(o.Namespaces, Cluster, ofConfiguration))
	r.names[Workspace] = slices.Concat(names[Workspace], patterns(o.Workspaces, Platform, ofConfiguration))
	namespaces := schema.GroupResource{Resource: "namespaces"}
	r.fields[namespaces] = slices.Clone(fields[namespaces])
	for _, key := range o.NamespaceLabels {
		r.fields[namespaces] = append(r.fields[namespaces], Field{place: label, key: key, Right: Cluster})
	}
	for _, key := range o.NamespaceAnnotations {
		r.fields[namespaces] = append(r.fields[namespaces], Field{place: annotation, key: key, Right: Cluster})
	}
	return r
}

func patterns(texts []string, right Right, owner string) []name {
	all := make([]name, 0, len(texts))
	for _, text := range texts {
		all = append(all, name{text, right, owner})
	}
	return all
}

func (r *Register) orDefault() *Register {
	if r == nil {
		return builtIn
	}
	return r
}

// Name returns the right that giving an object of a kind the name takes, and the
// owner of the name: Free and "" for a name that is not reserved.
func (r *Register) Name(kind Kind, candidate string) (right Right, owner string) {
	candidate = strings.ToLower(candidate)
	for _, reserved := range r.orDefault().names[kind] {
		if matchesPattern(reserved.pattern, candidate) {
			return reserved.right, reserved.owner
		}
	}
	return Free, ""
}

// IsReserved reports whether a name is one users may not choose.
func (r *Register) IsReserved(kind Kind, candidate string) bool {
	right, _ := r.Name(kind, candidate)
	return right != Free
}

// IsPlatformNamespace reports whether a namespace belongs to Kubernetes, the platform
// or a component of the cluster: its name is reserved. Such a namespace is no
// project, is in no workspace but that of the platform, and its creator gets no role
// in it.
func (r *Register) IsPlatformNamespace(namespace string) bool {
	return r.IsReserved(Namespace, namespace)
}

// HoldsCredentials reports whether a namespace of the platform has credentials of the
// platform, which no role reaches but that of its administrators.
func (r *Register) HoldsCredentials(namespace string) bool {
	return slices.Contains(r.orDefault().credentials, namespace)
}

// CredentialNamespaces returns the namespaces with credentials of the platform, in
// the order of their names. Callers must not change the result.
func (r *Register) CredentialNamespaces() []string { return r.orDefault().credentials }

// ComponentNamespaces returns the namespaces of the platform whose services the
// console shows as components, in that order.
func ComponentNamespaces() []string {
	return []string{
		SystemNamespace, "kubesphere-logging-system", "kubesphere-monitoring-system", "openpitrix-system",
		"kube-system", "istio-system", "kubesphere-devops-system", "porter-system",
	}
}

// generatedSuffix has the length of the text that Kubernetes adds to
// metadata.generateName.
const generatedSuffix = "xxxxx"

// NameOf returns the name an object has or, for one whose name Kubernetes completes,
// a name it could get.
func NameOf(name, generateName string) string {
	if name == "" && generateName != "" {
		return generateName + generatedSuffix
	}
	return name
}
