package session

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestConsentsOfUser: of the consents of a user the latest are kept.
func TestConsentsOfUser(t *testing.T) {
	w := newWorld(t, nil)
	w.MaxConsents = 3
	jane := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane", UID: "1"}}
	john := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "john", UID: "2"}}
	if err := w.Consent(t.Context(), john, "client 0", nil); err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		w.now = w.now.Add(time.Minute)
		if err := w.Consent(t.Context(), jane, fmt.Sprint("client ", n), nil); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 6 {
		if agreed, err := w.Consented(t.Context(), jane, fmt.Sprint("client ", n), nil); err != nil || agreed != (n >= 3) {
			t.Errorf("client %d: %v, %v", n, agreed, err)
		}
	}
	if agreed, err := w.Consented(t.Context(), john, "client 0", nil); err != nil || !agreed {
		t.Errorf("another user: %v, %v", agreed, err)
	}
}
