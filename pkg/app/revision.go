package app

import (
	"context"

	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// revisionTypes are the types by which long-running requests are authorized: accounts,
// rights, and what ends with a login.
var revisionTypes = append(iam.Pinned(), "sessions", "personalaccesstokens")

// maxRevisionTypes is at least the number of revisionTypes.
const maxRevisionTypes = 16

// serviceAccountRevision is the revision of a service account: no two are equal.
type serviceAccountRevision struct{ call uint64 }

// revision identifies the state that stillAllowed decides by: the present snapshots. A
// snapshot is another one after each change of its type, and reading it is one load.
// Service accounts are in no snapshot, so that their requests are authorized each time.
func (a *app) revision(ctx context.Context) any {
	who, _ := kuberequest.UserFrom(ctx)
	if impersonated, ok := who.(*kube.Another); ok {
		who = impersonated.By
	}
	if authz.IsServiceAccount(who) {
		return serviceAccountRevision{a.revisions.Add(1)}
	}
	var state [maxRevisionTypes]*objects.Snapshot
	for n, resource := range revisionTypes {
		state[n], _ = a.cache.Present(a.catalog.Type(resource)) // nil for what is not read yet
	}
	return state
}
