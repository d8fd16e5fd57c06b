package tenant

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// movers may create and delete projects in all workspaces.
type movers struct{ administrators }

func (movers) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionAllow, "", nil
}

// TestProtectedQuotas: the administrator of a workspace changed and deleted the quota that
// bounds it, or let its projects go without.
func TestProtectedQuotas(t *testing.T) {
	const (
		plain     = `{"metadata":{"name":"w"},"spec":{"quota":{"hard":{"pods":"9"}}}}`
		protected = `{"metadata":{"name":"w","labels":{"quota.kubesphere.io/protected":"true"}},"spec":{"quota":{"hard":{"pods":"9"}}}}`
	)
	for _, test := range []struct {
		name         string
		present      map[string]string // labels; nil for no quota
		method, body string
		tenant       int
		kept         bool // protected after a write that is accepted
	}{
		{"an own one", nil, "POST", plain, 200, false},
		{"a protected one", nil, "POST", protected, 403, true},
		{"an own one, changed", map[string]string{"a": "b"}, "PUT", plain, 200, false},
		{"an own one, protected now", map[string]string{"a": "b"}, "PUT", protected, 403, true},
		{"a protected one, changed", map[string]string{quotav1alpha2.LabelProtected: "true"}, "PUT", protected, 403, true},
		{"a protected one, without its label", map[string]string{quotav1alpha2.LabelProtected: "true"}, "PUT", plain, 403, true},
		{"an own one, deleted", map[string]string{"a": "b"}, "DELETE", "", 200, false},
		{"a protected one, deleted", map[string]string{quotav1alpha2.LabelProtected: "true"}, "DELETE", "", 403, false},
		{"its projects let go of an own one", map[string]string{"a": "b"}, "ORPHAN", "", 200, false},
		{"its projects let go of a protected one", map[string]string{quotav1alpha2.LabelProtected: "true"}, "ORPHAN", "", 403, true},
		{"a project moved out of an own one", map[string]string{"a": "b"}, "MOVE", "", 200, false},
		{"a project moved out of a protected one", map[string]string{quotav1alpha2.LabelProtected: "true"}, "MOVE", "", 403, true},
	} {
		for name, code := range map[string]int{"jane": test.tenant, "admin": 200} {
			scheme, err := kube.Scheme()
			if err != nil {
				t.Fatal(err)
			}
			objects := []client.Object{
				&tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w"}},
				// Of another workspace.
				&quotav1alpha2.ResourceQuota{
					ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{quotav1alpha2.LabelProtected: "true"}},
					Spec:       quotav1alpha2.ResourceQuotaSpec{LabelSelector: map[string]string{"kubesphere.io/workspace": "x"}},
				},
			}
			if test.present != nil {
				objects = append(objects, &quotav1alpha2.ResourceQuota{
					ObjectMeta: metav1.ObjectMeta{Name: "w", Labels: test.present},
					Spec:       quotav1alpha2.ResourceQuotaSpec{LabelSelector: map[string]string{"kubesphere.io/workspace": "w"}},
				})
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&quotav1alpha2.ResourceQuota{}).Build()
			h := &Handler{Quotas: &tenant.Quotas{Client: c}, Rights: movers{}}
			r := httptest.NewRequest(http.MethodPost, "/workspaces/w/resourcequotas/w", strings.NewReader(test.body))
			r.Header.Set("Content-Type", "application/json")
			r.SetPathValue("workspace", "w")
			r.SetPathValue("resourcequota", "w")
			info, err := request.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			ctx := kuberequest.WithUser(request.WithInfo(t.Context(), info), &user.DefaultInfo{Name: name})
			recorder := httptest.NewRecorder()
			do := map[string]func(http.ResponseWriter, *http.Request) error{
				"POST": h.createQuota, "PUT": h.updateQuota, "DELETE": h.deleteQuota,
				"MOVE": func(_ http.ResponseWriter, r *http.Request) error {
					project := func(workspace string) *corev1.Namespace {
						return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{"kubesphere.io/workspace": workspace}}}
					}
					return h.checkNamespace(r, project("w"), project("w9"))
				},
				"ORPHAN": func(_ http.ResponseWriter, r *http.Request) error {
					return tenant.CheckLeave(r.Context(), c, h.Rights, caller(r), "w")
				},
			}[test.method]
			if err := do(recorder, r.WithContext(ctx)); err != nil {
				status.Write(recorder, r, err)
			}
			if recorder.Code != code {
				t.Errorf("%s by %s: got %d %s, want %d", test.name, name, recorder.Code, recorder.Body, code)
			}
			after := &quotav1alpha2.ResourceQuota{}
			err = c.Get(context.Background(), client.ObjectKey{Name: "w"}, after)
			_, kept := after.Labels[quotav1alpha2.LabelProtected]
			deleted := test.method == "DELETE" && code == 200
			if deleted != (err != nil) && test.present != nil || name == "admin" && kept != test.kept {
				t.Errorf("%s by %s: the quota has the labels %v, %v", test.name, name, after.Labels, err)
			}
		}
	}
}
