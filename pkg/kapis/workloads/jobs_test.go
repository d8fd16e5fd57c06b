package workloads

import (
	"context"
	"net/http/httptest"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/test/kubefake"
)

// TestClientGone: a client that goes when the old job is deleted does not take
// the new one with it.
func TestClientGone(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	c := fake.NewClientBuilder().WithScheme(kubescheme.Scheme).WithObjects(&batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b", UID: "old", Labels: map[string]string{"mine": "1"}},
	}).WithInterceptorFuncs(kubefake.DisconnectOnDelete(leave)).Build()
	key := client.ObjectKey{Namespace: "a", Name: "b"}
	if err := (&Handler{Client: c}).replace(ctx, key, ""); err != nil {
		t.Error(err)
	}
	fresh := &batchv1.Job{}
	if err := c.Get(t.Context(), key, fresh); err != nil || fresh.UID == "old" || fresh.Labels["mine"] != "1" {
		t.Errorf("afterwards: %+v %v", fresh.ObjectMeta, err)
	}
}

// TestRerunParameters: what is done, and with which version of the job, is said once.
func TestRerunParameters(t *testing.T) {
	for _, query := range []string{"", "?action=stop", "?action=rerun&action=stop", "?action=stop&action=rerun", "?action=rerun&resourceVersion=1&resourceVersion=2"} {
		err := (&Handler{}).rerun(httptest.NewRecorder(), httptest.NewRequest("POST", "/"+query, nil))
		if !apierrors.IsBadRequest(err) {
			t.Errorf("%q: %v", query, err)
		}
	}
}

// TestRerunOfAJobThatRuns: Kubernetes writes the status of a job at any moment. That is a
// conflict only for clients that say which version they mean.
func TestRerunOfAJobThatRuns(t *testing.T) {
	for version, conflicts := range map[string]bool{"": false, "999": true} {
		written := 0
		c := fake.NewClientBuilder().WithScheme(kubescheme.Scheme).WithObjects(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b", UID: "old"}}).
			WithInterceptorFuncs(interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, object client.Object, _ ...client.DeleteOption) error {
				if written++; written < 3 {
					return apierrors.NewConflict(batchv1.Resource("jobs"), object.GetName(), errChanged)
				}
				return c.Delete(ctx, object)
			}}).Build()
		err := (&Handler{Client: c}).replace(t.Context(), client.ObjectKey{Namespace: "a", Name: "b"}, version)
		if apierrors.IsConflict(err) != conflicts || !conflicts && err != nil {
			t.Errorf("version %q: %v", version, err)
		}
	}
}
