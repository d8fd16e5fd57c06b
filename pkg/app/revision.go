package app

import (
	"context"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// revisionTypes are the types by which long-running requests are authorized: accounts,
// rights, and what ends with a login.
var revisionTypes = append(iam.Pinned(), "sessions", "personalaccesstokens")

// maxRevisionTypes is at least the number of revisionTypes.
const maxRevisionTypes = 16

// revision identifies the state that stillAllowed decides by: the present snapshots. A
// snapshot is another one after each change of its type, and reading it is one load.
func (a *app) revision(context.Context) any {
	var state [maxRevisionTypes]*objects.Snapshot
	for n, resource := range revisionTypes {
		state[n], _ = a.cache.Present(a.catalog.Type(resource)) // nil for what is not read yet
	}
	return state
}
