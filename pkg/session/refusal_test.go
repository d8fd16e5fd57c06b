package session

import (
	"errors"
	"testing"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestRefusedRefresh: what is refused leaves the refresh token as it was, the present
// one and one in its grace time.
func TestRefusedRefresh(t *testing.T) {
	w := newWorld(t, nil)
	created, first := w.mustCreate(t, "admin")
	refusal := errors.New("not now")
	refuse := func(*iamv1alpha2.Session) error { return refusal }
	for _, token := range []string{first, first} { // the second time within the grace time
		before := w.get(t, created.Name)
		if session, next, err := w.Refresh(t.Context(), token, "kubesphere", refuse); !errors.Is(err, refusal) || session != nil || next != "" {
			t.Fatalf("got %v, %q, %v", session, next, err)
		}
		if after := w.get(t, created.Name); after.ResourceVersion != before.ResourceVersion {
			t.Errorf("the session changed: %+v", after.Spec)
		}
		if _, _, err := w.Refresh(t.Context(), token, "kubesphere", accepted); err != nil {
			t.Errorf("the token afterwards: %v", err)
		}
	}
}

// TestRefusedCode: what is refused leaves an authorization code as it was.
func TestRefusedCode(t *testing.T) {
	w := newWorld(t, nil)
	code, err := w.StartWithCode(t.Context(), Login{User: "admin", Client: "kubesphere"}, Binding{})
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("not now")
	if _, _, err := w.Exchange(t.Context(), code, "kubesphere", "", "", func(*iamv1alpha2.Session) error { return refusal }); !errors.Is(err, refusal) {
		t.Fatal(err)
	}
	if _, _, err := w.Exchange(t.Context(), code, "kubesphere", "", "", accepted); err != nil {
		t.Errorf("the code afterwards: %v", err)
	}
	if _, _, err := w.Exchange(t.Context(), code, "kubesphere", "", "", accepted); !errors.Is(err, ErrReused) {
		t.Errorf("the code once more: %v", err)
	}
}
