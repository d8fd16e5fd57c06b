package iam

import (
	"context"
	"maps"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// bySubject are users by PROVIDER/SUBJECT.
type bySubject map[string][]string

func (b bySubject) Linked(_ context.Context, provider, subject string) ([]string, error) {
	return b[provider+"/"+subject], nil
}

func TestLink(t *testing.T) {
	person := func(name, subject string) *iamv1alpha2.User {
		return &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{iamv1alpha2.AnnotationIdentity + "them": subject}}}
	}
	for _, test := range []struct {
		name    string
		user    iamv1alpha2.User
		others  []client.Object
		known   bySubject
		code    int32 // 0 when it works
		subject string
		state   iamv1alpha2.UserState
	}{
		{name: "first", user: iamv1alpha2.User{Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive}}, subject: "4711", state: iamv1alpha2.UserActive},
		{name: "again", user: *person("jane", "4711"), subject: "4711"},
		{name: "another person", user: *person("jane", "1"), code: 409, subject: "1"},
		{name: "somebody else's", known: bySubject{"them/4711": {"other"}}, code: 409},
		// The cache of this replica does not know yet what the other one wrote.
		{name: "somebody else's since a moment", others: []client.Object{person("other", "4711")}, code: 409},
		{name: "without a password", user: iamv1alpha2.User{Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserDisabled, Reason: reasonNoPassword}}, subject: "4711", state: iamv1alpha2.UserActive},
		{name: "disabled", user: iamv1alpha2.User{Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserDisabled}}, subject: "4711", state: iamv1alpha2.UserDisabled},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.user.Name = "jane"
			c := cluster(t, append(test.others, &test.user)...)
			users := newUsers(c, &ended{})
			users.Identities = test.known
			_, err := users.Link(t.Context(), "jane", "them", "4711")
			if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
				t.Fatalf("got %v, want %d", err, test.code)
			}
			stored := &iamv1alpha2.User{}
			if err := c.Get(t.Context(), client.ObjectKey{Name: "jane"}, stored); err != nil {
				t.Fatal(err)
			}
			if IdentitiesOf(stored)["them"] != test.subject || err == nil && stored.Status.State != test.state {
				t.Errorf("stored %+v", stored)
			}
		})
	}
}

func TestUnlink(t *testing.T) {
	for _, test := range []struct {
		name     string
		password string
		provider string
		change   func(*iamv1alpha2.User)
		code     int32
	}{
		{"one of two", "", "them", func(u *iamv1alpha2.User) { u.Annotations[iamv1alpha2.AnnotationIdentity+"others"] = "1" }, 0},
		{"the only one, with a password", "hash", "them", func(*iamv1alpha2.User) {}, 0},
		// He could not log in any more.
		{"the only one", "", "them", func(*iamv1alpha2.User) {}, 409},
		{"one that is none", "hash", "others", func(*iamv1alpha2.User) {}, 404},
		{"one of KubeSphere 3", "hash", "them", func(u *iamv1alpha2.User) {
			u.Annotations, u.Labels = nil, map[string]string{iamv1alpha2.LabelIdentityProvider: "them", iamv1alpha2.LabelOriginUID: "4711"}
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			user := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Spec: iamv1alpha2.UserSpec{EncryptedPassword: test.password}}
			Identify(user, "them", "4711")
			test.change(user)
			c := cluster(t, user)
			_, err := newUsers(c, &ended{}).Unlink(t.Context(), "jane", test.provider)
			if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
				t.Fatalf("got %v, want %d", err, test.code)
			}
			stored := &iamv1alpha2.User{}
			if err := c.Get(t.Context(), client.ObjectKey{Name: "jane"}, stored); err != nil {
				t.Fatal(err)
			}
			if _, has := IdentitiesOf(stored)["them"]; has != (test.code != 0) {
				t.Errorf("stored %+v", stored.ObjectMeta)
			}
		})
	}
}

// TestIdentitiesStay: who writes users does not write who they are elsewhere.
func TestIdentitiesStay(t *testing.T) {
	user := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Spec: iamv1alpha2.UserSpec{Email: "jane@example.com"}, Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive}}
	Identify(user, "them", "4711")
	c := cluster(t, user)
	for name, wanted := range map[string]metav1.ObjectMeta{
		"gone":    {},
		"another": {Labels: map[string]string{iamv1alpha2.LabelIdentityProvider: "them", iamv1alpha2.LabelOriginUID: "1"}, Annotations: map[string]string{iamv1alpha2.AnnotationIdentity + "them": "1"}},
		"more":    {Annotations: map[string]string{iamv1alpha2.AnnotationIdentity + "others": "1"}},
	} {
		wanted.Name = "jane"
		updated, err := newUsers(c, &ended{}).Update(t.Context(), &iamv1alpha2.User{ObjectMeta: wanted, Spec: user.Spec}, false, trusted)
		if err != nil || !maps.Equal(IdentitiesOf(updated), map[string]string{"them": "4711"}) || updated.Labels[iamv1alpha2.LabelOriginUID] != "4711" {
			t.Errorf("%s: got %+v, %v", name, updated, err)
		}
	}
}

// TestLinked reads both forms from the cache.
func TestLinked(t *testing.T) {
	d, _ := newDirectory(t, map[string][]string{"users": {
		`{"metadata":{"name":"a","resourceVersion":"1","labels":{"iam.kubesphere.io/identify-provider":"my.idp","iam.kubesphere.io/origin-uid":"4711"}}}`,
		`{"metadata":{"name":"b","resourceVersion":"1","annotations":{"iam.kubesphere.io/identity-provider.my.idp":"a|\"b\""}}}`,
		`{"metadata":{"name":"c","resourceVersion":"1","labels":{"iam.kubesphere.io/identify-provider":"my.idp","iam.kubesphere.io/origin-uid":"1"},"annotations":{"iam.kubesphere.io/identity-provider.my.idp":"2"}}}`,
		`{"metadata":{"name":"d","resourceVersion":"1","annotations":{"iam.kubesphere.io/identity-provider.other":"my.idp"}}}`,
		`{"metadata":{"name":"e","resourceVersion":"1"}}`,
	}})
	for _, test := range []struct{ provider, subject, want string }{
		{"my.idp", "4711", "a"}, {"my.idp", `a|"b"`, "b"}, {"my.idp", "1", ""}, {"my.idp", "2", "c"}, {"myXidp", "4711", ""}, {"other", "my.idp", "d"}, {"my.idp", "", ""},
	} {
		names, err := d.Linked(t.Context(), test.provider, test.subject)
		if got := append(names, ""); err != nil || got[0] != test.want || len(names) > 1 {
			t.Errorf("%s of %s: got %q, %v", test.subject, test.provider, names, err)
		}
	}
}
