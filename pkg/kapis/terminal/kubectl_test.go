package terminal

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// accounts are users by name, with their state.
type accounts map[string]iamv1alpha2.UserState

func (a accounts) Account(_ context.Context, name string) (iam.Account, bool, error) {
	state, found := a[name]
	return iam.Account{Name: name, State: state}, found, nil
}

var now = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

// newKubectl is one over a cluster with objects, in which what is created runs
// at once.
func newKubectl(t *testing.T, objects ...client.Object) *Kubectl {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if pod, isPod := object.(*corev1.Pod); isPod {
				pod.Status.Phase = corev1.PodRunning
			}
			return c.Create(ctx, object, options...)
		},
	}).Build()
	return &Kubectl{
		Client: c, Namespace: "there", Server: "https://ks", Image: "kubectl", IdleTimeout: 15 * time.Minute, Now: func() time.Time { return now },
		Accounts: accounts{"active": iamv1alpha2.UserActive, "locked": iamv1alpha2.UserAuthLimitExceeded, "disabled": iamv1alpha2.UserDisabled},
	}
}

// podOf is the pod of a user, who used it some time ago.
func podOf(user string, ago time.Duration) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "there", Name: PodName(user), UID: types.UID("uid-" + user), Labels: map[string]string{labelName: nameKubectl},
			Annotations: map[string]string{annotationUser: user, annotationUsed: now.Add(-ago).Format(time.RFC3339)},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

func TestSweep(t *testing.T) {
	idle := podOf("idle", 16*time.Minute)
	idle.Annotations[annotationUser] = "active"
	other := podOf("other", time.Hour)
	other.Labels = nil
	shell := func(name string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: kube.Namespace, Name: name, Labels: map[string]string{labelName: nameNodeShell}}, Status: corev1.PodStatus{Phase: phase}}
	}
	k := newKubectl(t, idle, other, podOf("active", 14*time.Minute), podOf("locked", time.Second), podOf("disabled", time.Second),
		podOf("gone", 2*time.Minute), podOf("new", 30*time.Second), shell("open", corev1.PodRunning), shell("over", corev1.PodFailed))
	if err := k.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := &corev1.PodList{}
	if err := k.Client.List(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := range left.Items {
		names = append(names, left.Items[n].Name)
	}
	want := []string{PodName("active"), PodName("locked"), PodName("new"), PodName("other"), "open"}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("left are %v, want %v", names, want)
	}
}

func TestEnsure(t *testing.T) {
	owner := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "active", UID: "1"}}
	for _, test := range []struct {
		name   string
		pod    *corev1.Pod
		change func(*corev1.Pod)
		reused bool
		code   int32
	}{
		{"none", nil, nil, false, 0},
		{"one", podOf("active", time.Minute), func(*corev1.Pod) {}, true, 0},
		{"one that has ended", podOf("active", time.Minute), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, false, 0},
		{"somebody else's", podOf("active", time.Minute), func(p *corev1.Pod) { p.Annotations[annotationUser] = "locked" }, false, http.StatusConflict},
		{"not ours", podOf("active", time.Minute), func(p *corev1.Pod) { p.Annotations = nil }, false, http.StatusConflict},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := []client.Object{owner.DeepCopy()}
			if test.pod != nil {
				test.change(test.pod)
				objects = append(objects, test.pod)
			}
			pod, err := newKubectl(t, objects...).Ensure(t.Context(), "active")
			if test.code != 0 {
				if status.Of(err).Code != test.code {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if reused := pod.UID == "uid-active"; reused != test.reused || pod.Annotations[annotationUsed] != now.Format(time.RFC3339) {
				t.Errorf("got %+v", pod.ObjectMeta)
			}
			if !test.reused && (len(pod.OwnerReferences) != 1 || *pod.Spec.AutomountServiceAccountToken || !strings.HasPrefix(pod.Name, "kubectl-")) {
				t.Errorf("made %+v", pod)
			}
		})
	}
	if _, err := newKubectl(t).Ensure(t.Context(), "nobody"); status.Of(err).Code != http.StatusNotFound {
		t.Errorf("without a user: %v", err)
	}
}

func TestMayHave(t *testing.T) {
	k := &Kubectl{Server: "https://ks"}
	limited := map[string][]string{authz.ExtraScopes: {"all"}}
	for _, test := range []struct {
		kubectl *Kubectl
		who     user.DefaultInfo
		code    int32
	}{
		{k, user.DefaultInfo{Name: "a"}, 0}, {k, user.DefaultInfo{Name: "b"}, http.StatusForbidden}, {k, user.DefaultInfo{Name: "a", Extra: limited}, http.StatusForbidden},
		{&Kubectl{}, user.DefaultInfo{Name: "a"}, http.StatusServiceUnavailable},
	} {
		if err := test.kubectl.mayHave(&test.who, "a"); (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
			t.Errorf("%+v: %v", test.who, err)
		}
	}
}
