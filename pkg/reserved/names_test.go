package reserved

import "testing"

func TestName(t *testing.T) {
	for _, test := range []struct {
		kind Kind
		name string
		want Right
	}{
		{Namespace, "default", Cluster}, {Namespace, "kube-system", Cluster}, {Namespace, "kube-flannel", Cluster},
		{Namespace, "kubesphere-terminals", Platform}, {Namespace, "kubesphere-system", Platform}, {Namespace, "kubesphere", Platform},
		{Namespace, "kubernetes-dashboard", Free}, {Namespace, "kube", Free}, {Namespace, "my-kube-system", Free}, {Namespace, "defaults", Free},
		{Workspace, "system-workspace", ServerOnly}, {Workspace, "platform", ServerOnly}, {Workspace, "kubesphere-x", Platform}, {Workspace, "team", Free},
		{User, "system:anonymous", ServerOnly}, {User, "System:Masters", ServerOnly}, {User, "kubesphere:global:x", ServerOnly}, {User, "system", ServerOnly},
		{User, "ks-apiserver", ServerOnly}, {User, "admin", Platform}, {User, "kube-admin", Platform}, {User, "project-admin", Free}, {User, "administrator", Free},
		{Group, "system:masters", ServerOnly}, {Group, "kubesphere:authorized", ServerOnly}, {Group, "pre-registration", ServerOnly}, {Group, "root", ServerOnly}, {Group, "ops", Free},
		{GlobalRole, "platform-admin", Platform}, {GlobalRole, "role-template-x", Platform}, {GlobalRole, "hr", Free},
		{WorkspaceRole, "role-template-x", Platform}, {WorkspaceRole, "w-admin", Free},
		{ClusterRole, "kubesphere:rules:x", Platform}, {ClusterRole, "system:node", Cluster}, {ClusterRole, "mine", Free},
		{Role, "role-template-x", Cluster}, {Role, "operator", Free}, {"Other", "default", Free},
	} {
		got, owner := Default().Name(test.kind, test.name)
		if got != test.want || (owner == "") != (test.want == Free) || (*Register)(nil).IsReserved(test.kind, test.name) != (test.want != Free) {
			t.Errorf("%s %q: %v of %q, want %v", test.kind, test.name, got, owner, test.want)
		}
	}
}
