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
	// LabelNamespace repeats the name of a project.
	LabelNamespace = "kubesphere.io/namespace"
)
