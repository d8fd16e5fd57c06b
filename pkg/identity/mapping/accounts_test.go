package mapping

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// directory reads a cluster without a cache.
type directory struct{ client.Client }

func (d directory) list(ctx context.Context, keep func(*iamv1alpha2.User) bool) ([]string, error) {
	users, names := &iamv1alpha2.UserList{}, []string(nil)
	if err := d.List(ctx, users); err != nil {
		return nil, err
	}
	for n := range users.Items {
		if keep(&users.Items[n]) {
			names = append(names, users.Items[n].Name)
		}
	}
	return names, nil
}

func (d directory) Linked(ctx context.Context, provider, subject string) ([]string, error) {
	return d.list(ctx, func(u *iamv1alpha2.User) bool { return iam.IdentitiesOf(u)[provider] == subject })
}

func (d directory) WithEmail(ctx context.Context, email string) ([]string, error) {
	return d.list(ctx, func(u *iamv1alpha2.User) bool { return u.Spec.Email == email })
}

func (d directory) Get(ctx context.Context, name string) (*iamv1alpha2.User, error) {
	user := &iamv1alpha2.User{}
	return user, d.Client.Get(ctx, client.ObjectKey{Name: name}, user)
}

type noSessions struct{}

func (noSessions) EndOthers(context.Context, string, string, string) error { return nil }
func (noSessions) Delete(context.Context, string) error                    { return nil }

func newAccounts(t *testing.T, objects ...client.Object) (*Accounts, client.Client) {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	bindings, d := &iam.Bindings{Client: c}, directory{c}
	return &Accounts{
		Directory: d, Groups: &iam.Groups{Client: c, Bindings: bindings},
		Users: &iam.Users{Client: c, Bindings: bindings, Sessions: noSessions{}, Emails: d, Identities: d, Now: time.Now},
	}, c
}

func user(name string, change func(*iamv1alpha2.User)) *iamv1alpha2.User {
	u := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: iamv1alpha2.UserSpec{Email: name + "@example.com"}, Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive}}
	if change != nil {
		change(u)
	}
	return u
}

// labelled is who KubeSphere 3 knows, annotated who KubeSphere 4 does.
func labelled(provider, subject string) func(*iamv1alpha2.User) {
	return func(u *iamv1alpha2.User) {
		u.Labels = map[string]string{iamv1alpha2.LabelIdentityProvider: provider, iamv1alpha2.LabelOriginUID: subject}
	}
}

func verified(email string) func(*iamv1alpha2.User) {
	return func(u *iamv1alpha2.User) {
		u.Spec.Email = email
		if u.Annotations == nil {
			u.Annotations = make(map[string]string)
		}
		u.Annotations[iamv1alpha2.AnnotationVerifiedEmail] = email
	}
}

func annotated(provider, subject string) func(*iamv1alpha2.User) {
	return func(u *iamv1alpha2.User) {
		u.Annotations = map[string]string{iamv1alpha2.AnnotationIdentity + provider: subject}
	}
}

func TestResolve(t *testing.T) {
	jane := identity.External{Subject: "4711", Username: "jane", Email: "jane@example.com", EmailVerified: true, DisplayName: "Jane Doe"}
	auto := identity.Mapping{Method: identity.MappingAuto, WithoutConfirmation: true}
	for _, test := range []struct {
		name    string
		mapping identity.Mapping
		change  func(*identity.External)
		objects []client.Object
		user    string
		extra   string // provider subject username email
		err     error
		users   int
	}{
		{name: "auto", mapping: auto, user: "jane", users: 1},
		{name: "auto, to be confirmed", mapping: identity.Mapping{Method: identity.MappingAuto}, extra: "them 4711 jane jane@example.com"},
		{name: "lookup", mapping: identity.Mapping{Method: identity.MappingLookup}, err: identity.ErrNotMapped},
		{name: "manual", mapping: identity.Mapping{Method: identity.MappingManual}, err: identity.ErrNotMapped},
		{name: "a method nobody knows", err: identity.ErrNotMapped},
		{name: "known to KubeSphere 3", mapping: identity.Mapping{Method: identity.MappingLookup}, objects: []client.Object{user("j", labelled("them", "4711"))}, user: "j", users: 1},
		{name: "known to KubeSphere 4", mapping: identity.Mapping{Method: identity.MappingLookup}, objects: []client.Object{user("j", annotated("them", "4711"))}, user: "j", users: 1},
		{name: "known to another provider", mapping: identity.Mapping{Method: identity.MappingLookup}, objects: []client.Object{user("j", labelled("others", "4711"))}, err: identity.ErrNotMapped, users: 1},
		{name: "an annotation goes before labels", mapping: identity.Mapping{Method: identity.MappingLookup}, objects: []client.Object{user("j", func(u *iamv1alpha2.User) {
			annotated("them", "1")(u)
			labelled("them", "4711")(u)
		})}, err: identity.ErrNotMapped, users: 1},
		// Whoever may log in as either may log in as the other: nobody does.
		{name: "known twice", mapping: auto, objects: []client.Object{user("j", labelled("them", "4711")), user("k", annotated("them", "4711"))}, err: identity.ErrNotMapped, users: 2},
		// The names and addresses of people are theirs to choose at the provider.
		{name: "the name of somebody else", mapping: auto, objects: []client.Object{user("jane", func(u *iamv1alpha2.User) { u.Spec.Email = "other@example.com" })}, err: identity.ErrNotMapped, users: 1},
		{name: "the name of the administrator", mapping: auto, change: func(e *identity.External) { e.Username = "Admin" }, objects: []client.Object{user("admin", nil)}, err: identity.ErrNotMapped, users: 1},
		{name: "the address of somebody else", mapping: auto, objects: []client.Object{user("other", func(u *iamv1alpha2.User) { u.Spec.Email = "jane@example.com" })}, err: identity.ErrNotMapped, users: 1},
		{name: "mixed, the address of somebody", mapping: identity.Mapping{Method: identity.MappingMixed}, objects: []client.Object{user("other", verified("jane@example.com"))}, user: "other", users: 1},
		// Users write any address, and would have the groups of whoever has it.
		{name: "mixed, an address that the user wrote", mapping: identity.Mapping{Method: identity.MappingMixed, WithoutConfirmation: true}, objects: []client.Object{user("other", func(u *iamv1alpha2.User) { u.Spec.Email = "jane@example.com" })}, err: identity.ErrNotMapped, users: 1},
		{name: "mixed, after another that was verified", mapping: identity.Mapping{Method: identity.MappingMixed}, objects: []client.Object{user("other", func(u *iamv1alpha2.User) {
			verified("other@example.com")(u)
			u.Spec.Email = "jane@example.com"
		})}, err: identity.ErrNotMapped, users: 1},
		{name: "mixed, an address the provider did not verify", mapping: identity.Mapping{Method: identity.MappingMixed, WithoutConfirmation: true}, change: func(e *identity.External) { e.EmailVerified = false },
			objects: []client.Object{user("other", verified("jane@example.com"))}, err: identity.ErrNotMapped, users: 1},
		{name: "mixed, the address of another person of the provider", mapping: identity.Mapping{Method: identity.MappingMixed}, objects: []client.Object{user("other", func(u *iamv1alpha2.User) {
			annotated("them", "1")(u)
			verified("jane@example.com")(u)
		})}, err: identity.ErrNotMapped, users: 1},
		{name: "mixed, no address", mapping: identity.Mapping{Method: identity.MappingMixed}, change: func(e *identity.External) { e.Email = "" }, extra: "them 4711 jane "},
		{name: "mixed, nobody's address", mapping: identity.Mapping{Method: identity.MappingMixed, WithoutConfirmation: true}, user: "jane", users: 1},
		{name: "no address", mapping: auto, change: func(e *identity.External) { e.Email = "" }, objects: []client.Object{user("x", func(u *iamv1alpha2.User) { u.Spec.Email = "" })}, user: "jane", users: 2},
		{name: "an address that is none", mapping: auto, change: func(e *identity.External) { e.Email = "Jane <jane@example.com>" }, user: "jane", users: 1},
		{name: "a name no object has", mapping: auto, change: func(e *identity.External) { e.Username = "jane_doe" }, user: Name("jane_doe", "", ""), users: 1},
		{name: "a subject no label has", mapping: auto, change: func(e *identity.External) { e.Subject = "auth0|" + strings.Repeat("x", 100) }, user: "jane", users: 1},
		{name: "disabled", mapping: auto, objects: []client.Object{user("j", func(u *iamv1alpha2.User) {
			labelled("them", "4711")(u)
			u.Status.State = iamv1alpha2.UserDisabled
		})}, err: identity.ErrIncorrect, users: 1},
		{name: "of no state", mapping: auto, objects: []client.Object{user("j", func(u *iamv1alpha2.User) {
			labelled("them", "4711")(u)
			u.Status.State = ""
		})}, err: identity.ErrIncorrect, users: 1},
		// Others guess at the local password of who does not need it.
		{name: "with too many failed logins", mapping: auto, objects: []client.Object{user("j", func(u *iamv1alpha2.User) {
			labelled("them", "4711")(u)
			u.Status.State = iamv1alpha2.UserAuthLimitExceeded
		})}, user: "j", users: 1},
		{name: "nobody", mapping: auto, change: func(e *identity.External) { e.Subject = "" }, err: identity.ErrIncorrect},
		{name: "somebody with a NUL", mapping: auto, change: func(e *identity.External) { e.Subject = "1\x002" }, err: identity.ErrIncorrect},
		{name: "somebody that is not UTF-8", mapping: auto, change: func(e *identity.External) { e.Username = "\xff" }, err: identity.ErrIncorrect},
		{name: "somebody huge", mapping: auto, change: func(e *identity.External) { e.Subject = strings.Repeat("x", 1<<20) }, err: identity.ErrIncorrect},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, c := newAccounts(t, test.objects...)
			who := jane
			if test.change != nil {
				test.change(&who)
			}
			provider := &identity.Provider{Name: "them", Mapping: test.mapping}
			for attempt := range 2 { // the second time it is the same account
				found, extra, err := a.Resolve(t.Context(), provider, who)
				if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) || (found != nil) != (test.user != "") || (extra != nil) != (test.extra != "") {
					t.Fatalf("%d: got %v, %v, %v", attempt, found, extra, err)
				}
				if found != nil && (found.Name != test.user || iam.IdentitiesOf(found)["them"] != who.Subject || len(found.Spec.Groups) > 0) {
					t.Errorf("%d: got %+v", attempt, found)
				}
				if extra != nil {
					if got := strings.Join([]string{extra["idp"][0], extra["uid"][0], extra["username"][0], extra["email"][0]}, " "); got != test.extra {
						t.Errorf("%d: got %q", attempt, got)
					}
				}
				users := &iamv1alpha2.UserList{}
				if err := c.List(t.Context(), users); err != nil || len(users.Items) != test.users {
					t.Fatalf("%d: there are %d users, %v", attempt, len(users.Items), err)
				}
			}
		})
	}
}

// TestGroupsFollow: the provider's groups come and go with each login, others stay.
func TestGroupsFollow(t *testing.T) {
	group := func(name string) client.Object {
		return &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{iamv1alpha2.LabelWorkspace: "ws"}}}
	}
	given := &iamv1alpha2.GroupBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "given", Labels: map[string]string{iamv1alpha2.LabelUserReference: "j", iamv1alpha2.LabelWorkspace: "ws"}},
		GroupRef:   iamv1alpha2.GroupReference{Kind: "Group", Name: "by-hand"}, Users: []string{"j"},
	}
	a, c := newAccounts(t, group("devs"), group("ops"), group("by-hand"), given, user("j", func(u *iamv1alpha2.User) {
		labelled("them", "4711")(u)
		u.Spec.Groups = []string{"by-hand", "of-others"}
	}))
	provider := &identity.Provider{Name: "them", Mapping: identity.Mapping{Method: identity.MappingLookup, Groups: map[string]string{
		"cn=devs": "devs", "cn=developers": "devs", "cn=ops": "ops", "cn=gone": "gone", "cn=masters": "system:masters", "cn=hand": "by-hand",
	}}}
	for _, step := range []struct {
		groups []string
		want   []string
	}{
		{nil, []string{"by-hand", "of-others"}},
		{[]string{"cn=devs", "cn=developers", "cn=gone", "cn=masters", "devs", "ops"}, []string{"by-hand", "devs", "of-others"}},
		{[]string{"cn=devs"}, []string{"by-hand", "devs", "of-others"}},
		{[]string{"cn=ops"}, []string{"by-hand", "of-others", "ops"}},
		{[]string{"cn=hand", "system:masters"}, []string{"by-hand", "of-others"}},
		// What somebody gave by hand is not the provider's to take.
		{nil, []string{"by-hand", "of-others"}},
	} {
		found, _, err := a.Resolve(t.Context(), provider, identity.External{Subject: "4711", Groups: step.groups})
		if err != nil {
			t.Fatal(err)
		}
		if slices.Sort(found.Spec.Groups); !slices.Equal(found.Spec.Groups, step.want) {
			t.Errorf("with %q: %q, want %q", step.groups, found.Spec.Groups, step.want)
		}
	}
	bindings := &iamv1alpha2.GroupBindingList{}
	if err := c.List(t.Context(), bindings); err != nil || len(bindings.Items) != 1 || bindings.Items[0].Name != "given" {
		t.Errorf("left are %+v, %v", bindings.Items, err)
	}
}
