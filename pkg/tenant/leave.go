package tenant

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// CheckLeave returns a forbidden error when projects may not leave a workspace, moved by a
// user or kept while the user deletes the workspace: these would go on without a protected
// quota of the workspace, which takes the right to delete that.
func CheckLeave(ctx context.Context, reader client.Reader, rights authz.NameChecker, who user.Info, workspace string) error {
	protected := &quotav1alpha2.ResourceQuotaList{}
	if err := reader.List(ctx, protected, client.HasLabels{quotav1alpha2.LabelProtected}); err != nil {
		return err
	}
	for n := range protected.Items {
		quota := &protected.Items[n]
		if QuotaWorkspace(quota) != workspace {
			continue
		}
		if err := authz.CheckLock(ctx, rights, who, quotav1alpha2.Resource("resourcequotas"), quota); err != nil {
			return err
		}
	}
	return nil
}
