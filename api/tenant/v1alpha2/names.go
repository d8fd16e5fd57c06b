package v1alpha2

// Names that are part of the wire contract with KubeSphere 3.3 and 3.4.
const (
	// SystemWorkspace holds the namespaces of Kubernetes and of the platform.
	SystemWorkspace = "system-workspace"
	// FinalizerWorkspaceTemplate keeps a workspace until what is in it is
	// deleted or let go.
	FinalizerWorkspaceTemplate = "finalizers.workspacetemplate.kubesphere.io"
	// AnnotationDeletionPropagation says what becomes of the namespaces of a
	// workspace that is deleted: Orphan lets them go.
	AnnotationDeletionPropagation = "kubesphere.io/deletion-propagation"
	// AnnotationFormerWorkspace of a namespace in no workspace is the UID of the one it was in,
	// which is deleted, and AnnotationFormerCreator who had created that one: what is left of
	// it goes on counting for both.
	AnnotationFormerWorkspace = "ks-apiserver.kubesphere.io/former-workspace"
	AnnotationFormerCreator   = "ks-apiserver.kubesphere.io/former-workspace-creator"
	// LabelNamespace repeats the name of a project.
	LabelNamespace = "kubesphere.io/namespace"
)
