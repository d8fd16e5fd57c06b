package reserved

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
)

// place is the part of the metadata a field is in.
type place int

const (
	label place = iota
	annotation
	finalizers
	ownerReferences
)

// Field is a part of the metadata that a reconciler acts on, with the right that
// changing it takes.
type Field struct {
	place place
	// key of the label or annotation; a prefix when it ends in '*'.
	key   string
	Right Right
	// value limits the field to changes from or to this value.
	value string
	// locks says that any write of an object with the label takes the right, its
	// deletion included.
	locks bool
	// added limits finalizers to those that are not there yet.
	added bool
}

// String names the field as users see it.
func (f Field) String() string {
	switch f.place {
	case label:
		return "the label " + f.key
	case annotation:
		return "the annotation " + f.key
	case finalizers:
		return "metadata.finalizers"
	case ownerReferences:
		return "metadata.ownerReferences"
	}
	return ""
}

// serverPrefix is that of the annotations this server keeps on its own objects.
const serverPrefix = "ks-apiserver.kubesphere.io/*"

// madeByServer is the mark of the objects this server makes and brings up to date.
var madeByServer = Field{place: label, key: LabelManagedBy, value: ManagedByServer, Right: Platform}

// broughtUpToDate says whether kube-apiserver restores its own role or binding when it
// starts.
var broughtUpToDate = Field{place: annotation, key: "rbac.authorization.kubernetes.io/autoupdate", Right: Cluster}

// lifetime are the fields by which an object holds up or redirects deletions.
func lifetime(right Right) []Field {
	return []Field{{place: finalizers, Right: right}, {place: ownerReferences, Right: right}}
}

// kubernetesLifetime is lifetime for the roles and bindings of Kubernetes. Who may delete one
// takes finalizers away, and who may be taken out of it does not hold its deletion up.
var kubernetesLifetime = []Field{{place: finalizers, Right: Cluster, added: true}, {place: ownerReferences, Right: Cluster}}

// roles are the fields of roles of all kinds.
var roles = []Field{
	// Roles that came with the platform are not brought in line with templates.
	{place: annotation, key: iamv1alpha2.AnnotationCreator, value: iamv1alpha2.CreatorSystem, Right: Platform},
	{place: annotation, key: serverPrefix, Right: Platform},
	// Roles made of a template follow its rules, and lose them with the label.
	{place: label, key: iamv1alpha2.LabelRoleTemplate, Right: Platform},
}

// protected is the mark of limits that those who are limited do not change.
var protected = Field{place: label, key: quotav1alpha2.LabelProtected, Right: Cluster, locks: true}

// serverMarks say that this server made an object, and what it keeps there.
var serverMarks = []Field{
	madeByServer,
	{place: annotation, key: serverPrefix, Right: Platform},
}

// memberships are the fields of bindings that name their owners.
var memberships = []Field{
	{place: label, key: iamv1alpha2.LabelWorkspace, Right: Platform},
	{place: label, key: iamv1alpha2.LabelUserReference, Right: Platform},
	{place: label, key: iamv1alpha2.LabelGroupReference, Right: Platform},
	{place: label, key: iamv1alpha2.LabelIdentityProvider, Right: Platform},
	madeByServer,
}

var (
	groupIAM    = iamv1alpha2.GroupName
	groupTenant = tenantv1alpha2.GroupName
	groupQuota  = quotav1alpha2.GroupName
)

// fields are the reserved fields by resource. Handlers below /kapis and writes
// that go to Kubernetes are checked against the same table.
var fields = map[schema.GroupResource][]Field{
	{Resource: "namespaces"}: append([]Field{
		{place: label, key: iamv1alpha2.LabelWorkspace, Right: Cluster},
		{place: label, key: iamv1alpha2.LabelDevOps, Right: Cluster},
		// Its absence lets the creator become the administrator.
		{place: label, key: tenantv1alpha2.LabelNamespace, Right: Cluster},
		{place: label, key: "kubesphere.io/managed", Right: Cluster},
		{place: label, key: "kubesphere.io/kubefed-host-namespace", Right: Cluster},
		// What pods may do on the node (CVE-2026-41052).
		{place: label, key: "pod-security.kubernetes.io/*", Right: Cluster},
		// Requests in such a namespace get devices that are in use elsewhere (KEP-5018).
		{place: label, key: "resource.kubernetes.io/admin-access", Right: Cluster},
		{place: label, key: "resource.k8s.io/admin-access", Right: Cluster}, // before Kubernetes 1.34
		// The nodes pods are placed on, and the taints they tolerate.
		{place: annotation, key: "scheduler.alpha.kubernetes.io/*", Right: Cluster},
		madeByServer,
		// Whose limits it counts for.
		{place: annotation, key: serverPrefix, Right: Cluster},
		{place: annotation, key: iamv1alpha2.AnnotationCreator, Right: OwnName},
	}, lifetime(Cluster)...),
	{Resource: "resourcequotas"}: {
		// The part of a workspace's quota.
		{place: label, key: quotav1alpha2.LabelQuota, Right: Cluster, locks: true},
		protected,
	},
	{Resource: "limitranges"}:                                      {protected},
	{Group: groupQuota, Resource: "resourcequotas"}:                {protected},
	{Group: "rbac.authorization.k8s.io", Resource: "roles"}:        slices.Concat(roles, kubernetesLifetime),
	{Group: "rbac.authorization.k8s.io", Resource: "rolebindings"}: kubernetesLifetime,
	// Labels by which cluster roles are aggregated are checked as the rules they give.
	{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}: append(slices.Concat(roles, kubernetesLifetime), madeByServer, broughtUpToDate),
	{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}: append([]Field{
		broughtUpToDate,
		// Its removal deletes the binding of an administrator.
		{place: label, key: iamv1alpha2.LabelGlobalRoleReference, Right: Cluster},
	}, kubernetesLifetime...),
	{Group: groupIAM, Resource: "globalroles"}:           append(append(slices.Clone(roles), madeByServer), lifetime(Platform)...),
	{Group: groupIAM, Resource: "workspaceroles"}:        append(append(slices.Clone(roles), madeByServer), lifetime(Platform)...),
	{Group: groupIAM, Resource: "rolebases"}:             append(slices.Clone(roles), lifetime(Platform)...),
	{Group: groupIAM, Resource: "globalrolebindings"}:    append(slices.Clone(memberships), lifetime(Platform)...),
	{Group: groupIAM, Resource: "workspacerolebindings"}: append(slices.Clone(memberships), lifetime(Platform)...),
	{Group: groupIAM, Resource: "groupbindings"}: append(append(slices.Clone(memberships),
		// Applications know the group by its name alone.
		Field{place: label, key: iamv1alpha2.LabelExternalMember, Right: Platform},
	), lifetime(Platform)...),
	{Group: groupIAM, Resource: "groups"}: append(append([]Field{
		{place: label, key: iamv1alpha2.LabelWorkspace, Right: Platform},
		{place: label, key: iamv1alpha2.LabelGroupParent, Right: Platform},
	}, serverMarks...), lifetime(Platform)...),
	{Group: groupIAM, Resource: "users"}: append(append([]Field{
		{place: label, key: iamv1alpha2.LabelIdentityProvider, Right: Platform},
		{place: label, key: iamv1alpha2.LabelOriginUID, Right: Platform},
		{place: annotation, key: iamv1alpha2.AnnotationIdentity + "*", Right: Platform},
		{place: annotation, key: iamv1alpha2.AnnotationUninitialized, Right: Platform},
		{place: annotation, key: iamv1alpha2.AnnotationLastPasswordChange, Right: Platform},
	}, serverMarks...), lifetime(Platform)...),
	// In the namespace of the gateways of all projects, which is the platform's.
	{Group: "gateway.kubesphere.io", Resource: "gateways"}: serverMarks,
	{Group: groupTenant, Resource: "workspaces"}: append(append([]Field{
		{place: label, key: iamv1alpha2.LabelWorkspace, Right: Platform},
	}, serverMarks...), lifetime(Platform)...),
	{Group: groupTenant, Resource: "workspacetemplates"}: append(append([]Field{
		{place: label, key: iamv1alpha2.LabelWorkspace, Right: Platform},
		{place: annotation, key: tenantv1alpha2.AnnotationDeletionPropagation, Right: Platform},
		// The number of workspaces of a creator is bounded.
		{place: annotation, key: iamv1alpha2.AnnotationCreator, Right: OwnName},
	}, serverMarks...), lifetime(Platform)...),
}

// Changed returns the reserved fields of a resource that differ between two
// states of an object; before is nil for a new one.
func (r *Register) Changed(resource schema.GroupResource, before, after metav1.Object) []Field {
	var changed []Field
	for _, field := range r.orDefault().fields[resource] {
		switch field.place {
		case label:
			changed = append(changed, field.changedKeys(labelsOf(before), after.GetLabels())...)
		case annotation:
			changed = append(changed, field.changedKeys(annotationsOf(before), after.GetAnnotations())...)
		case finalizers:
			if field.changesFinalizers(before, after) {
				changed = append(changed, field)
			}
		case ownerReferences:
			if before == nil && len(after.GetOwnerReferences()) > 0 || before != nil && !equality.Semantic.DeepEqual(before.GetOwnerReferences(), after.GetOwnerReferences()) {
				changed = append(changed, field)
			}
		}
	}
	return changed
}

func (f Field) changesFinalizers(before, after metav1.Object) bool {
	var present []string
	if before != nil {
		present = before.GetFinalizers()
	}
	if f.added {
		return slices.ContainsFunc(after.GetFinalizers(), func(name string) bool { return !slices.Contains(present, name) })
	}
	return !slices.Equal(present, after.GetFinalizers())
}

// Written is the metadata that a handler writes which keeps the finalizers and the
// owner references of present, nil for a new object, where wanted names none.
func Written(present, wanted metav1.Object) *metav1.ObjectMeta {
	written := &metav1.ObjectMeta{
		Name: wanted.GetName(), Labels: maps.Clone(wanted.GetLabels()), Annotations: maps.Clone(wanted.GetAnnotations()),
		Finalizers: wanted.GetFinalizers(), OwnerReferences: wanted.GetOwnerReferences(),
	}
	if present != nil && len(written.Finalizers) == 0 {
		written.Finalizers = present.GetFinalizers()
	}
	if present != nil && len(written.OwnerReferences) == 0 {
		written.OwnerReferences = present.GetOwnerReferences()
	}
	return written
}

// Keep gives the labels and annotations that are reserved for a resource and match
// one of the keys the values they have in present, nil for a new object. A key that
// ends in '*' is a prefix.
func Keep(resource schema.GroupResource, present metav1.Object, written *metav1.ObjectMeta, keys ...string) {
	for _, field := range fields[resource] {
		if !slices.Contains(keys, field.key) {
			continue
		}
		switch field.place {
		case label:
			written.Labels = field.keep(labelsOf(present), written.Labels)
		case annotation:
			written.Annotations = field.keep(annotationsOf(present), written.Annotations)
		case finalizers, ownerReferences:
		}
	}
}

// KeepOmitted is Keep for the labels and annotations that written leaves out.
func KeepOmitted(resource schema.GroupResource, present metav1.Object, written *metav1.ObjectMeta, keys ...string) {
	kept := written.DeepCopy()
	Keep(resource, present, kept, keys...)
	written.Labels, written.Annotations = added(written.Labels, kept.Labels), added(written.Annotations, kept.Annotations)
}

// added returns values with those of others whose keys they have no value for.
func added(values, others map[string]string) map[string]string {
	for key, value := range others {
		if values[key] == "" {
			if values == nil {
				values = make(map[string]string)
			}
			values[key] = value
		}
	}
	return values
}

// keep returns values with the keys of a field as they are in present.
func (f Field) keep(present, values map[string]string) map[string]string {
	maps.DeleteFunc(values, func(key, _ string) bool { return matchesPattern(f.key, key) })
	for key, value := range present {
		if matchesPattern(f.key, key) {
			if values == nil {
				values = make(map[string]string)
			}
			values[key] = value
		}
	}
	return values
}

// Unreserved returns the labels and annotations without those that are reserved for
// a resource.
func Unreserved(resource schema.GroupResource, labels, annotations map[string]string) (map[string]string, map[string]string) {
	labels, annotations = maps.Clone(labels), maps.Clone(annotations)
	for _, field := range fields[resource] {
		reserved := func(key, value string) bool {
			return matchesPattern(field.key, key) && (field.value == "" || field.value == value)
		}
		switch field.place {
		case label:
			maps.DeleteFunc(labels, reserved)
		case annotation:
			maps.DeleteFunc(annotations, reserved)
		case finalizers, ownerReferences:
		}
	}
	return labels, annotations
}

// changedKeys returns the field once for each key that differs.
func (f Field) changedKeys(before, after map[string]string) []Field {
	keys := make(map[string]bool)
	for _, values := range []map[string]string{before, after} {
		for key := range values {
			if matchesPattern(f.key, key) {
				keys[key] = true
			}
		}
	}
	var changed []Field
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		was, had := before[key]
		is, has := after[key]
		if had == has && was == is || f.value != "" && was != f.value && is != f.value {
			continue
		}
		one := f
		one.key = key
		changed = append(changed, one)
	}
	return changed
}

// Value is the value of a label or annotation in an object.
func (f Field) Value(object metav1.Object) string {
	if f.place == annotation {
		return annotationsOf(object)[f.key]
	}
	return labelsOf(object)[f.key]
}

func labelsOf(object metav1.Object) map[string]string {
	if object == nil {
		return nil
	}
	return object.GetLabels()
}

func annotationsOf(object metav1.Object) map[string]string {
	if object == nil {
		return nil
	}
	return object.GetAnnotations()
}
