package tenant

import (
	"context"
	"net/http/httptest"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestNewManager: a personal access token that creates workspaces made another user the
// administrator of one.
func TestNewManager(t *testing.T) {
	creates := []string{"tenant.kubesphere.io/workspaces:create", "tenant.kubesphere.io/workspacetemplates:create"}
	for name, test := range map[string]struct {
		scopes  []string // nil for a login
		manager string
		refused bool
	}{
		"a login names another":              {nil, "jane", false},
		"a token names no manager":           {creates, "", false},
		"a token names its owner":            {creates, "admin", false},
		"a token names another":              {creates, "jane", true},
		"a token that reads bindings":        {append(creates, "iam.kubesphere.io/workspacerolebindings:get,list"), "jane", true},
		"a token that deletes bindings":      {append(creates, "iam.kubesphere.io/workspacerolebindings:delete"), "jane", true},
		"a token that writes other bindings": {append(creates, "iam.kubesphere.io/globalrolebindings:*"), "jane", true},
		"a token that creates bindings":      {append(creates, "iam.kubesphere.io/workspacerolebindings:create"), "jane", false},
		"a token of all scopes":              {[]string{"all"}, "jane", false},
		"a token that reads":                 {[]string{"read"}, "jane", true},
	} {
		who := &user.DefaultInfo{Name: "admin"}
		if test.scopes != nil {
			who.Extra = map[string][]string{authz.ExtraScopes: test.scopes}
		}
		template := &tenantv1alpha2.WorkspaceTemplate{}
		template.Name, template.Spec.Template.Spec.Manager = "w", test.manager
		if err := checkNewManager(who, template); (err != nil) != test.refused || err != nil && status.Of(err).Code != 403 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (administrators) Administers(_ context.Context, who user.Info) (bool, error) {
	return who.GetName() == "admin", nil
}

// TestManagerIsSomebody: the manager of a workspace has the role of an administrator there,
// which a user who creates workspaces gave to visitors.
func TestManagerIsSomebody(t *testing.T) {
	h := &Handler{Rights: administrators{}}
	for manager, refused := range map[string]bool{"": false, "john": false, "system:anonymous": true, "system:unauthenticated": true} {
		for who, refused := range map[string]bool{"admin": false, "jane": refused} {
			template := &tenantv1alpha2.WorkspaceTemplate{}
			template.Name, template.Spec.Template.Spec.Manager = "w", manager
			r := httptest.NewRequest("POST", "/", nil)
			err := h.checkManager(r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: who})), template)
			if (err != nil) != refused || err != nil && status.Of(err).Code != 403 {
				t.Errorf("the manager %q by %s: %v", manager, who, err)
			}
		}
	}
}
