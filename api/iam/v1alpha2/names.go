package v1alpha2

// Labels and annotations of the iam.kubesphere.io group. Their names are part
// of the wire contract with KubeSphere 3.3 and 3.4.
const (
	// LabelUserReference names the user a binding or record belongs to.
	LabelUserReference = "iam.kubesphere.io/user-ref"
	// LabelRoleTemplate marks a role that is a building block of others.
	LabelRoleTemplate = "iam.kubesphere.io/role-template"
	// LabelGroupReference names the group a binding or membership belongs to.
	LabelGroupReference = "iam.kubesphere.io/group-ref"
	// LabelGroupParent names the group a group is below.
	LabelGroupParent = "iam.kubesphere.io/group-parent"
	// LabelIdentityProvider names the identity provider a user comes from.
	LabelIdentityProvider = "iam.kubesphere.io/identify-provider"
	// LabelOriginUID is the user's name at its identity provider.
	LabelOriginUID = "iam.kubesphere.io/origin-uid"
	// AnnotationIdentity and the name of an identity provider are the annotation
	// KubeSphere 4 keeps the user's name there in, of several providers at once.
	AnnotationIdentity = "iam.kubesphere.io/identity-provider."
	// LabelDevOps names the DevOps project a namespace belongs to.
	LabelDevOps = "kubesphere.io/devopsproject"
	// LabelWorkspace names the workspace an object belongs to.
	LabelWorkspace = "kubesphere.io/workspace"

	// LabelExternalMember marks the membership of a user who had the name of a group before
	// there was a Group object.
	LabelExternalMember = "ks-apiserver.kubesphere.io/external-member"
	// AnnotationVerifiedEmail is the e-mail address of a user that an identity provider
	// said to be the user's.
	AnnotationVerifiedEmail = "ks-apiserver.kubesphere.io/verified-email"
	// AnnotationGlobalRole carries the name of a user's global role.
	AnnotationGlobalRole = "iam.kubesphere.io/globalrole"
	// AnnotationWorkspaceRole, AnnotationClusterRole and AnnotationRole carry the
	// name of the role a member has in a workspace, the cluster or a namespace.
	AnnotationWorkspaceRole = "iam.kubesphere.io/workspacerole"
	AnnotationClusterRole   = "iam.kubesphere.io/clusterrole"
	AnnotationRole          = "iam.kubesphere.io/role"
	// AnnotationAttempts says how many failed attempts a login record stands
	// for, if more than one.
	AnnotationAttempts = "iam.kubesphere.io/attempts"
	// AnnotationUninitialized marks a user who has to choose a password first.
	AnnotationUninitialized = "iam.kubesphere.io/uninitialized"
	// AnnotationLastPasswordChange is the RFC 3339 time of the last change.
	AnnotationLastPasswordChange = "iam.kubesphere.io/last-password-change-time"
	// AnnotationAggregationRoles is a JSON list of the role templates a role is made of.
	AnnotationAggregationRoles = "iam.kubesphere.io/aggregation-roles"
	// AnnotationCreator is the name of who created an object.
	AnnotationCreator = "kubesphere.io/creator"
	// CreatorSystem is the creator of what came with the platform.
	CreatorSystem = "system"
	// LabelGlobalRoleReference names the global role a cluster role binding
	// follows from.
	LabelGlobalRoleReference = "iam.kubesphere.io/globalrole-ref"
	// GroupParentNone is the parent of a group that has none, as the console of
	// KubeSphere 3.x writes it.
	GroupParentNone = "root"
)

// Names of the global roles every installation has.
const (
	GlobalRolePlatformAdmin           = "platform-admin"
	GlobalRolePlatformSelfProvisioner = "platform-self-provisioner"
	GlobalRolePlatformRegular         = "platform-regular"
	GlobalRoleAnonymous               = "anonymous"
	GlobalRoleAuthenticated           = "authenticated"
	GlobalRolePreRegistration         = "pre-registration"
)

// GroupPreRegistration is who has the global role of that name: somebody from
// an identity provider who has no account yet.
const GroupPreRegistration = "pre-registration"
