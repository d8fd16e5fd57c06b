//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// TestTakenNames: a member of one workspace took names that another, or the administrator,
// needed.
func TestTakenNames(t *testing.T) {
	t.Parallel()
	first, second := newPerson(t, "tn-first", ""), newPerson(t, "tn-second", "platform-self-provisioner")
	admin := shared.as(t, "admin", adminPassword)
	newSpace(t, "tn-one", first)
	newSpace(t, "tn-two", second)
	answers(t, "GET", tenantPath+"/workspaces/tn-two", second.token, 200)
	answers(t, "GET", tenantPath+"/workspaces/tn-one", first.token, 200)
	quota := func(name, workspace string) fields {
		labels := fields{"kubesphere.io/workspace": workspace}
		return fields{
			"apiVersion": "quota.kubesphere.io/v1alpha2", "kind": "ResourceQuota", "metadata": fields{"name": name, "labels": labels},
			"spec": fields{"selector": labels, "quota": fields{"hard": fields{"pods": "1"}}},
		}
	}
	second.must(t, 403, "POST", tenantPath+"/workspaces/tn-two/resourcequotas", quota("tn-one", "tn-two"))
	second.must(t, 403, "POST", "/kapis/quota.kubesphere.io/v1alpha2/workspaces/tn-two/resourcequotas", quota("tn-one", "tn-two"))
	second.must(t, 200, "POST", tenantPath+"/workspaces/tn-two/resourcequotas", quota("tn-two", "tn-two"))
	first.must(t, 200, "POST", tenantPath+"/workspaces/tn-one/resourcequotas", quota("tn-one", "tn-one"))

	second.must(t, 200, "POST", iamPath+"/workspaces/tn-two/workspaceroles", fields{"metadata": fields{"name": "tn-finance-admin"}})
	if r := admin.must(t, 409, "POST", tenantPath+"/workspaces", newWorkspace("tn-finance", "admin")); !strings.Contains(string(r.body), "workspace tn-two") {
		t.Errorf("an administrator is told %s", r.body)
	}
	if r := second.must(t, 409, "POST", tenantPath+"/workspaces", newWorkspace("tn-finance", second.name)); strings.Contains(string(r.body), "tn-two") {
		t.Errorf("another user is told %s", r.body)
	}
	admin.must(t, 200, "DELETE", iamPath+"/workspaces/tn-two/workspaceroles/tn-finance-admin", nil)
	admin.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace("tn-finance", "admin"))
	t.Cleanup(func() { dropped(t, tenantPath+"/workspaces/tn-finance") })
}
