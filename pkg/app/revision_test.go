package app

import (
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// TestRevision: a watch of a service account that was deleted went on for half a minute,
// since its deletion is no change of what the revision compares.
func TestRevision(t *testing.T) {
	a := &app{cache: &objects.Cache{}, catalog: objects.NewCatalog()}
	account := &user.DefaultInfo{Name: "system:serviceaccount:n:robot"}
	for name, test := range map[string]struct {
		who     user.Info
		changes bool
	}{
		"a user":                           {&user.DefaultInfo{Name: "jane"}, false},
		"nobody":                           {nil, false},
		"a service account":                {account, true},
		"a service account that acts as":   {&kube.Another{DefaultInfo: user.DefaultInfo{Name: "jane"}, By: account}, true},
		"a user acting as service account": {&kube.Another{DefaultInfo: *account, By: &user.DefaultInfo{Name: "jane"}}, false},
	} {
		ctx := t.Context()
		if test.who != nil {
			ctx = kuberequest.WithUser(ctx, test.who)
		}
		changes := (&request.Reauthorization{Revision: a.revision}).NewChanges(ctx)
		for range 3 {
			if got := changes.Found(ctx); got != test.changes {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}
