package turns

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// TestTurns: no user takes the turns of others, also by impersonation.
func TestTurns(t *testing.T) {
	slots := New(3, 2, 20*time.Millisecond, "too many")
	mallory, jane := &user.DefaultInfo{Name: "mallory"}, &user.DefaultInfo{Name: "jane"}
	impersonated := &kube.Another{DefaultInfo: user.DefaultInfo{Name: "jane"}, By: mallory}
	var held []func()
	for _, test := range []struct {
		name string
		who  user.Info
		full bool
	}{
		{"the first", mallory, false},
		{"the share", impersonated, false},
		{"one too many", mallory, true},
		{"one too many by impersonation", impersonated, true},
		{"another user", jane, false},
		{"one too many in total", jane, true},
		{"a service account", &user.DefaultInfo{Name: "system:serviceaccount:n:a"}, true},
	} {
		release, err := slots.Take(t.Context(), test.who)
		if (err != nil) != test.full || err != nil && !apierrors.IsTooManyRequests(err) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil {
			held = append(held, release)
		}
	}
	of := func(namespace, name string) string {
		return Holder(&user.DefaultInfo{Name: "system:serviceaccount:" + namespace + ":" + name})
	}
	if of("n", "a") != of("m", "b") || of("kube-system", "a") != of("kube-system", "b") || of("kube-system", "a") == of("n", "a") || of("kube-system", "a") == of("kubesphere-system", "a") {
		t.Errorf("the service accounts have the shares of %s, %s and %s", of("n", "a"), of("m", "b"), of("kube-system", "a"))
	}
	for _, release := range held {
		release()
		release() // a second time changes nothing
	}
	if len(slots.slots) != 0 || len(slots.users) != 0 {
		t.Errorf("%d slots are held by %v", len(slots.slots), slots.users)
	}
}
