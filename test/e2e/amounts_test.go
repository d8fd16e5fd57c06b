//go:build e2e

package e2e

import (
	"fmt"
	"testing"
)

// TestHugeAmounts: an amount with a large exponent in a quota kept a processor busy for ever,
// of this server or of kube-apiserver. It is refused at each door, however it is written.
func TestHugeAmounts(t *testing.T) {
	t.Parallel()
	manager := newPerson(t, "amounts-manager", "platform-regular")
	newSpace(t, "amounts-w", manager)
	manager.must(t, 200, "POST", tenantPath+"/workspaces/amounts-w/namespaces", newNamespace("amounts-p"))
	const (
		quotas = tenantPath + "/workspaces/amounts-w/resourcequotas"
		raw    = "/kapis/quota.kubesphere.io/v1alpha2/workspaces/amounts-w/resourcequotas"
		own    = "/api/v1/namespaces/amounts-p/resourcequotas"
	)
	answers(t, "GET", own, manager.token, 200)
	manager.must(t, 200, "POST", quotas, fields{"metadata": fields{"name": "amounts-w"}, "spec": fields{"quota": fields{"hard": fields{"configmaps": "1e3"}}}})
	manager.sends(t, 201, "POST", own, `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"mine"},"spec":{"hard":{"secrets":"1e3"}}}`)
	const merge = "application/merge-patch+json"
	for _, amount := range []string{`"1e1000000"`, `"1e100000000"`, `1e1000000`, `"1e-1000000"`, `"12345678901234567890e9999999"`, `"1e30"`} {
		ofWorkspace := fmt.Sprintf(`{"apiVersion":"quota.kubesphere.io/v1alpha2","kind":"ResourceQuota","metadata":{"name":"amounts-w"},"spec":{"selector":{"kubesphere.io/workspace":"amounts-w"},"quota":{"hard":{"configmaps":%s}}}}`, amount)
		ofProject := fmt.Sprintf(`{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"huge"},"spec":{"hard":{"configmaps":%s}}}`, amount)
		for _, test := range []struct{ method, path, body, media string }{
			{"POST", quotas, ofWorkspace, ""},
			{"PUT", quotas + "/amounts-w", ofWorkspace, ""},
			{"PUT", raw + "/amounts-w", ofWorkspace, ""},
			{"PATCH", raw + "/amounts-w", fmt.Sprintf(`{"spec":{"quota":{"hard":{"configmaps":%s}}}}`, amount), merge},
			{"POST", own, ofProject, ""},
			{"PATCH", own + "/mine", fmt.Sprintf(`{"spec":{"hard":{"secrets":%s}}}`, amount), merge},
		} {
			r := shared.send(t, test.method, test.path, manager.token, test.body, media(test.media)...)
			if r.code != 422 && r.code != 400 {
				t.Errorf("%s %s of %s: %d %.300s", test.method, test.path, amount, r.code, r.body)
			}
		}
	}
}
