package config

// Limits bound how many objects users may create through this server: each is an
// object in etcd. They do not hold for the administrators of the platform. 0 is no
// bound.
type Limits struct {
	// WorkspacesPerUser is how many workspaces a user may create, of those that are
	// there at the same time.
	WorkspacesPerUser int `json:"workspacesPerUser"`
	// NamespacesPerWorkspace and those that follow bound what is in a workspace.
	NamespacesPerWorkspace    int `json:"namespacesPerWorkspace"`
	GroupsPerWorkspace        int `json:"groupsPerWorkspace"`
	GroupBindingsPerWorkspace int `json:"groupBindingsPerWorkspace"`
	RolesPerWorkspace         int `json:"rolesPerWorkspace"`
	RoleBindingsPerWorkspace  int `json:"roleBindingsPerWorkspace"`
	QuotasPerWorkspace        int `json:"quotasPerWorkspace"`
	// ProjectQuotasPerWorkspace is how many quotas of a workspace there are, times its
	// projects: each has a part of each.
	ProjectQuotasPerWorkspace int `json:"projectQuotasPerWorkspace"`
	// GroupsPerMember is how many groups of one workspace a user is put into, and
	// GroupsPerUser how many in all workspaces of one creator, who is no administrator of the
	// platform: Kubernetes is told of each with each request.
	GroupsPerMember int `json:"groupsPerMember"`
	GroupsPerUser   int `json:"groupsPerUser"`
	// PoliciesPerNamespace is how many NamespaceNetworkPolicies a project has.
	PoliciesPerNamespace int `json:"policiesPerNamespace"`
	// RolesPerNamespace and RoleBindingsPerNamespace bound those of a project. Every replica
	// keeps them in memory.
	RolesPerNamespace        int `json:"rolesPerNamespace"`
	RoleBindingsPerNamespace int `json:"roleBindingsPerNamespace"`
	// SubjectsPerWorkspace is how many subjects all bindings of a workspace and its projects
	// have together. Every replica keeps what each of them may do.
	SubjectsPerWorkspace int `json:"subjectsPerWorkspace"`
	// RuleBytesPerWorkspace is how many bytes of JSON the rules of all roles of a workspace
	// and its projects have together, beyond the first 4 KiB of each role.
	RuleBytesPerWorkspace int `json:"ruleBytesPerWorkspace"`
	// ProjectRolesPerWorkspace is how many roles of a workspace somebody has, times its
	// projects. Kubernetes keeps a binding for each.
	ProjectRolesPerWorkspace int `json:"projectRolesPerWorkspace"`
	// ConsentsPerUser is how many consents to clients are kept of a user. A further
	// one replaces the oldest.
	ConsentsPerUser int `json:"consentsPerUser"`
}

// defaultLimits are far beyond what people need.
func defaultLimits() Limits {
	return Limits{
		WorkspacesPerUser: 20, NamespacesPerWorkspace: 500, GroupsPerWorkspace: 500, GroupBindingsPerWorkspace: 10000,
		GroupsPerMember: 50, GroupsPerUser: 1000,
		RolesPerWorkspace: 500, RoleBindingsPerWorkspace: 10000, QuotasPerWorkspace: 100, ProjectQuotasPerWorkspace: 2000, PoliciesPerNamespace: 100,
		RolesPerNamespace: 100, RoleBindingsPerNamespace: 2000, SubjectsPerWorkspace: 20000, RuleBytesPerWorkspace: 4 << 20, ProjectRolesPerWorkspace: 5000, ConsentsPerUser: 100,
	}
}

func (l *Limits) validate(wrong func(format string, args ...any)) {
	for _, limit := range []struct {
		key   string
		value int
	}{
		{"workspacesPerUser", l.WorkspacesPerUser}, {"namespacesPerWorkspace", l.NamespacesPerWorkspace},
		{"groupsPerWorkspace", l.GroupsPerWorkspace}, {"groupBindingsPerWorkspace", l.GroupBindingsPerWorkspace},
		{"rolesPerWorkspace", l.RolesPerWorkspace}, {"roleBindingsPerWorkspace", l.RoleBindingsPerWorkspace},
		{"groupsPerMember", l.GroupsPerMember}, {"groupsPerUser", l.GroupsPerUser},
		{"quotasPerWorkspace", l.QuotasPerWorkspace}, {"projectQuotasPerWorkspace", l.ProjectQuotasPerWorkspace}, {"policiesPerNamespace", l.PoliciesPerNamespace},
		{"rolesPerNamespace", l.RolesPerNamespace}, {"roleBindingsPerNamespace", l.RoleBindingsPerNamespace}, {"subjectsPerWorkspace", l.SubjectsPerWorkspace}, {"ruleBytesPerWorkspace", l.RuleBytesPerWorkspace},
		{"projectRolesPerWorkspace", l.ProjectRolesPerWorkspace},
		{"consentsPerUser", l.ConsentsPerUser},
	} {
		if limit.value < 0 {
			wrong("limits.%s must be 0 or more", limit.key)
		}
	}
}
