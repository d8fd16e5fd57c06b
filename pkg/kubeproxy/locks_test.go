package kubeproxy

import (
	"net/http"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// protectable are the objects that a label protects, without their metadata.
var protectable = []struct{ collection, kind, content string }{
	{"/api/v1/namespaces/n/resourcequotas", "ResourceQuota", `"spec":{"hard":{"count/configmaps":"5"}}`},
	{"/api/v1/namespaces/n/limitranges", "LimitRange", `"spec":{"limits":[{"type":"Container"}]}`},
	{"/apis/quota.kubesphere.io/v1alpha2/resourcequotas", "ResourceQuota", `"spec":{"selector":{"kubesphere.io/workspace":"w"},"quota":{"hard":{"pods":"5"}}}`},
	{"/kapis/quota.kubesphere.io/v1alpha2/workspaces/w/resourcequotas", "ResourceQuota", `"spec":{"selector":{"kubesphere.io/workspace":"w"},"quota":{"hard":{"pods":"5"}}}`},
}

const protectedLabel = `,"labels":{"quota.kubesphere.io/protected":""}`

// TestProtectedWrites: the administrator of a project changed the quota that bounds it.
func TestProtectedWrites(t *testing.T) {
	for _, one := range protectable {
		object := func(labels string) string { return `{"metadata":{"name":"bound"` + labels + `},` + one.content + `}` }
		for _, test := range []struct {
			name, before, after string
			anyone              bool
		}{
			{"an own one", "", object(""), true},
			{"an own one, changed", object(""), object(`,"labels":{"a":"b"}`), true},
			{"a protected one", "", object(protectedLabel), false},
			{"a protected one, changed", object(protectedLabel), object(`,"labels":{"quota.kubesphere.io/protected":"","a":"b"}`), false},
			{"the same", object(protectedLabel), object(protectedLabel), false},
			{"protected no more", object(protectedLabel), object(""), false},
			{"protected now", object(""), object(protectedLabel), false},
			{"with a value of the label", object(protectedLabel), object(`,"labels":{"quota.kubesphere.io/protected":"false"}`), false},
		} {
			info := parsed(t, http.MethodPut, one.collection+"/bound")
			if !guards(info) || !guards(parsed(t, http.MethodPatch, one.collection+"/bound/status")) || !guards(parsed(t, http.MethodPost, one.collection)) {
				t.Errorf("writes of %s are not looked at", one.collection)
			}
			for name, by := range map[string]struct {
				rights Rights
				may    bool
			}{"a user of the project": {roleless{}, test.anyone}, "an administrator of the cluster": {clusterRights{}, true}} {
				err := (&Proxy{rights: by.rights}).permit(t.Context(), &user.DefaultInfo{Name: "jane"}, info, parse(t, test.before), parse(t, test.after))
				if (err == nil) != by.may {
					t.Errorf("%s of %s by %s: %v", test.name, one.collection, name, err)
				}
			}
		}
	}
}

// TestProtectedDeletions: the administrator of a project deleted the quota that bounds it,
// by its name or with all others.
func TestProtectedDeletions(t *testing.T) {
	for _, one := range protectable {
		for _, test := range []struct {
			name, labels string
			rights       Rights
			code         int
		}{
			{"an own one", "", deleter{}, 200},
			{"a protected one", protectedLabel, deleter{}, 403},
			{"a protected one, by an administrator", protectedLabel, &authz.RBAC{All: true}, 200},
		} {
			kubernetes := &collection{kind: one.kind, objects: `{"metadata":{"name":"network-isolate"` + test.labels + `},` + one.content + `}`}
			f := newFront(t, kubernetes.serve)
			f.proxy.rights = test.rights
			if code, text := f.send(t, http.MethodDelete, one.collection+"/network-isolate", "", ""); code != test.code || len(kubernetes.deleted) != code/200%2 {
				t.Errorf("%s of %s: %d %s, deleted %v", test.name, one.collection, code, text, kubernetes.deleted)
			}
		}
		kubernetes := &collection{kind: one.kind}
		f := newFront(t, kubernetes.serve)
		f.proxy.rights = deleter{}
		if code, text := f.send(t, http.MethodDelete, one.collection, "", ""); code != 200 || !strings.HasSuffix(kubernetes.deleted[0].Get("labelSelector"), "!quota.kubesphere.io/protected") {
			t.Errorf("all of %s: %d %s, deleted %v", one.collection, code, text, kubernetes.deleted)
		}
	}
}
