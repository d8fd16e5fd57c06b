package iam

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func cluster(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&iamv1alpha2.User{}, "metadata.name", func(o client.Object) []string { return []string{o.GetName()} }).Build()
}

// ended are the sessions that were ended, as USER or as USER-EXCEPT.
type ended []string

func (e *ended) EndOthers(_ context.Context, user, except, _ string) error {
	*e = append(*e, user+"-"+except)
	return nil
}

func (e *ended) Delete(_ context.Context, user string) error {
	*e = append(*e, user)
	return nil
}

// byEmail are users by their addresses.
type byEmail map[string][]string

func (b byEmail) WithEmail(_ context.Context, email string) ([]string, error) { return b[email], nil }

func newUsers(c client.Client, e *ended) *Users {
	return &Users{Client: c, Bindings: &Bindings{Client: c}, Sessions: e, Emails: byEmail{"taken@example.com": {"taken"}}, Passwords: Passwords{Policy: identity.NewPolicy(8, 72)}, Now: func() time.Time { return time.Unix(1767323045, 0) }}
}

func TestCreateUser(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*iamv1alpha2.User)
		code   int32 // 0 when it works
		state  iamv1alpha2.UserState
	}{
		{"plain", func(*iamv1alpha2.User) {}, 0, iamv1alpha2.UserActive},
		{"no name", func(u *iamv1alpha2.User) { u.Name = "" }, 422, ""},
		{"bad name", func(u *iamv1alpha2.User) { u.Name = "Bad_Name!" }, 422, ""}, // golden 204
		{"a name no label can hold", func(u *iamv1alpha2.User) { u.Name = strings.Repeat("a", 64) }, 422, ""},
		{"existing", func(u *iamv1alpha2.User) { u.Name = "taken" }, 409, ""},
		{"no address", func(u *iamv1alpha2.User) { u.Spec.Email = "" }, 0, iamv1alpha2.UserActive},
		{"a taken address in another case", func(u *iamv1alpha2.User) { u.Spec.Email = "taken@EXAMPLE.com" }, 409, ""},
		{"bad address", func(u *iamv1alpha2.User) { u.Spec.Email = "notanemail" }, 400, ""}, // golden 202
		{"address with a name", func(u *iamv1alpha2.User) { u.Spec.Email = "Jane <jane@example.com>" }, 400, ""},
		{"taken address", func(u *iamv1alpha2.User) { u.Spec.Email = "taken@example.com" }, 409, ""}, // golden 201
		{"short password", func(u *iamv1alpha2.User) { u.Spec.EncryptedPassword = "1234567" }, 422, ""},
		{"long password", func(u *iamv1alpha2.User) { u.Spec.EncryptedPassword = strings.Repeat("é", 37) }, 422, ""}, // golden 212
		{"no password", func(u *iamv1alpha2.User) { u.Spec.EncryptedPassword = "" }, 0, iamv1alpha2.UserDisabled},
		{"of an identity provider", func(u *iamv1alpha2.User) {
			u.Spec.EncryptedPassword, u.Labels = "", map[string]string{iamv1alpha2.LabelIdentityProvider: "ldap"}
		}, 0, iamv1alpha2.UserActive},
		{"with what is not the client's", func(u *iamv1alpha2.User) {
			u.Spec.Groups, u.Status.State, u.Finalizers = []string{"devs"}, iamv1alpha2.UserDisabled, []string{"example.com/never"}
			u.Annotations = map[string]string{iamv1alpha2.AnnotationGlobalRole: "platform-admin"}
		}, 0, iamv1alpha2.UserActive},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cluster(t, &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "taken"}})
			wanted := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Spec: iamv1alpha2.UserSpec{Email: "jane@example.com", EncryptedPassword: "P@88w0rd"}}
			test.change(wanted)
			password := wanted.Spec.EncryptedPassword
			_, err := newUsers(c, &ended{}).Create(t.Context(), wanted, "platform-regular")
			bindings := &iamv1alpha2.GlobalRoleBindingList{}
			if listErr := c.List(t.Context(), bindings); listErr != nil {
				t.Fatal(listErr)
			}
			if test.code != 0 {
				if err == nil || status.Of(err).Code != test.code || len(bindings.Items) > 0 {
					t.Fatalf("got %v and %d bindings, want %d", err, len(bindings.Items), test.code)
				}
				if password != "" && strings.Contains(err.Error(), password) {
					t.Errorf("the error tells the password: %v", err)
				}
				return
			}
			stored := &iamv1alpha2.User{}
			if err != nil || c.Get(t.Context(), client.ObjectKey{Name: "jane"}, stored) != nil {
				t.Fatal(err)
			}
			if password != "" && bcrypt.CompareHashAndPassword([]byte(stored.Spec.EncryptedPassword), []byte(password)) != nil {
				t.Error("the password is not the one")
			}
			if stored.Status.State != test.state || len(stored.Spec.Groups) > 0 || !slices.Equal(stored.Finalizers, []string{iamv1alpha2.FinalizerUser}) || stored.Annotations[iamv1alpha2.AnnotationGlobalRole] != "" {
				t.Errorf("stored %+v", stored)
			}
			if len(bindings.Items) != 1 || bindings.Items[0].Name != "jane-platform-regular" || bindings.Items[0].Labels[iamv1alpha2.LabelUserReference] != "jane" {
				t.Errorf("bound %+v", bindings.Items)
			}
		})
	}
}

func TestUpdateUser(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("P@88w0rd"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	stored := &iamv1alpha2.User{
		ObjectMeta: metav1.ObjectMeta{Name: "jane", Annotations: map[string]string{iamv1alpha2.AnnotationUninitialized: "true", iamv1alpha2.AnnotationLastPasswordChange: "then"}},
		Spec:       iamv1alpha2.UserSpec{Email: "jane@example.com", EncryptedPassword: string(hash), Groups: []string{"devs"}},
		Status:     iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive},
	}
	for _, test := range []struct {
		name    string
		profile bool
		change  func(*iamv1alpha2.User)
		code    int32
		check   func(*iamv1alpha2.User) bool
		ended   []string
	}{
		{"language", true, func(u *iamv1alpha2.User) { u.Spec.Lang = "zh" }, 0, func(u *iamv1alpha2.User) bool { return u.Spec.Lang == "zh" }, nil},
		{"groups", false, func(u *iamv1alpha2.User) { u.Spec.Groups = []string{"system:masters"} }, 0, func(u *iamv1alpha2.User) bool { return slices.Equal(u.Spec.Groups, []string{"devs"}) }, nil}, // golden 245
		{"password", false, func(u *iamv1alpha2.User) { u.Spec.EncryptedPassword = "another" }, 0, func(u *iamv1alpha2.User) bool { return u.Spec.EncryptedPassword == string(hash) }, nil},
		{"own state", true, func(u *iamv1alpha2.User) { u.Status.State = iamv1alpha2.UserDisabled }, 0, func(u *iamv1alpha2.User) bool { return u.Status.State == iamv1alpha2.UserActive }, nil},
		{"state", false, func(u *iamv1alpha2.User) { u.Status.State = iamv1alpha2.UserDisabled }, 0, func(u *iamv1alpha2.User) bool { return u.Status.State == iamv1alpha2.UserDisabled }, []string{"jane-"}},
		{"no state", false, func(u *iamv1alpha2.User) { u.Status.State = iamv1alpha2.UserAuthLimitExceeded }, 0, func(u *iamv1alpha2.User) bool { return u.Status.State == iamv1alpha2.UserActive }, nil},
		{"own labels", true, func(u *iamv1alpha2.User) {
			u.Labels = map[string]string{iamv1alpha2.LabelIdentityProvider: "mine"}
		}, 0, func(u *iamv1alpha2.User) bool { return len(u.Labels) == 0 }, nil},
		{"own annotations", true, func(u *iamv1alpha2.User) { u.Annotations = nil }, 0, func(u *iamv1alpha2.User) bool { return len(u.Annotations) == 2 }, nil},
		{"annotations", false, func(u *iamv1alpha2.User) { u.Annotations = map[string]string{"a": "b"} }, 0, func(u *iamv1alpha2.User) bool {
			return len(u.Annotations) == 2 && u.Annotations["a"] == "b" && u.Annotations[iamv1alpha2.AnnotationLastPasswordChange] == "then"
		}, nil},
		{"bad address", true, func(u *iamv1alpha2.User) { u.Spec.Email = "x" }, 400, nil, nil},
		{"taken address", true, func(u *iamv1alpha2.User) { u.Spec.Email = "taken@example.com" }, 409, nil, nil},
		{"nobody", true, func(u *iamv1alpha2.User) { u.Name = "nobody" }, 404, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, sessions := cluster(t, stored.DeepCopy()), ended{}
			wanted := stored.DeepCopy()
			test.change(wanted)
			_, err := newUsers(c, &sessions).Update(t.Context(), wanted, test.profile, trusted)
			if test.code != 0 {
				if err == nil || status.Of(err).Code != test.code {
					t.Errorf("got %v, want %d", err, test.code)
				}
				return
			}
			got := &iamv1alpha2.User{}
			if err != nil || c.Get(t.Context(), client.ObjectKey{Name: "jane"}, got) != nil {
				t.Fatal(err)
			}
			if !test.check(got) || !slices.Equal(sessions, test.ended) {
				t.Errorf("stored %+v, ended %v", got, sessions)
			}
		})
	}
}

func TestComplete(t *testing.T) {
	const argon = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$CWOrkoo7oJBQ/iyh7uJ0LO2aLEfrHwTWllSAxT0zRno"
	now := time.Unix(1767323045, 0)
	hash, err := bcrypt.GenerateFromPassword([]byte("P@88w0rd"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name               string
		password           string
		state, want        iamv1alpha2.UserState
		changed, password2 bool
	}{
		{"plain", "plain", "", iamv1alpha2.UserActive, true, true}, // ks#2477
		{"hashed", string(hash), "", iamv1alpha2.UserActive, true, false},
		{"complete", string(hash), iamv1alpha2.UserActive, iamv1alpha2.UserActive, true, false}, // the finalizer
		{"disabled", string(hash), iamv1alpha2.UserDisabled, iamv1alpha2.UserDisabled, true, false},
		{"hashed with argon2id", argon, "", iamv1alpha2.UserActive, true, false},
		// KubeSphere's controller is not there any more to let them in again.
		{"locked by KubeSphere 3.x", string(hash), iamv1alpha2.UserAuthLimitExceeded, iamv1alpha2.UserActive, true, false},
		{"without a password", "", "", iamv1alpha2.UserDisabled, true, false},
		{"too long", strings.Repeat("é", 37), "", iamv1alpha2.UserDisabled, true, true}, // golden 213
	} {
		t.Run(test.name, func(t *testing.T) {
			user := &iamv1alpha2.User{Spec: iamv1alpha2.UserSpec{EncryptedPassword: test.password}, Status: iamv1alpha2.UserStatus{State: test.state}}
			user.Annotations = map[string]string{lastApplied: test.password}
			changed, password, err := Complete(user, passwordhash.Hasher{}, now)
			if err != nil || changed != test.changed || password != test.password2 || user.Status.State != test.want {
				t.Errorf("got %v, %v, %v, %s", changed, password, err, user.Status.State)
			}
			if test.password2 && (user.Annotations[lastApplied] != "" || user.Spec.EncryptedPassword == test.password) {
				t.Error("the plain password is there")
			}
			if changed, _, err := Complete(user, passwordhash.Hasher{}, now); changed || err != nil {
				t.Errorf("the second time: %v, %v", changed, err)
			}
		})
	}
}

func TestBindings(t *testing.T) {
	subjects := func(names ...string) (result []rbacv1.Subject) {
		for _, name := range names {
			result = append(result, rbacv1.Subject{Kind: rbacv1.UserKind, Name: name})
		}
		return result
	}
	for _, test := range []struct {
		name  string
		place Place
		given []client.Object
		roles []string // of jane after she was given role "new"
		other []string // of joe
	}{
		{"first", Place{}, nil, []string{"new"}, nil},
		{"instead", Place{Namespace: "n"}, []client.Object{
			&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "x"}, Subjects: subjects("jane"), RoleRef: rbacv1.RoleRef{Name: "old"}},
			&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "m", Name: "x"}, Subjects: subjects("jane"), RoleRef: rbacv1.RoleRef{Name: "elsewhere"}},
		}, []string{"new"}, nil},
		{"shared", Place{Cluster: true}, []client.Object{
			&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Subjects: subjects("joe", "jane"), RoleRef: rbacv1.RoleRef{Name: "old"}},
		}, []string{"new"}, []string{"old"}},
		{"already", Place{Workspace: "w"}, []client.Object{
			&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "w"}}, Subjects: subjects("jane"), RoleRef: rbacv1.RoleRef{Name: "new"}},
			&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "y", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "v"}}, Subjects: subjects("jane"), RoleRef: rbacv1.RoleRef{Name: "elsewhere"}},
		}, []string{"new"}, nil},
		{"where another has the name", Place{}, []client.Object{
			&iamv1alpha2.GlobalRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "jane-new"}, Subjects: subjects("joe"), RoleRef: rbacv1.RoleRef{Name: "his"}},
		}, []string{"new"}, []string{"his"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &Bindings{Client: cluster(t, test.given...)}
			for range 2 { // the second time changes nothing
				if err := b.Set(t.Context(), test.place, "jane", "new", func([]rbacv1.RoleRef) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			for user, want := range map[string][]string{"jane": test.roles, "joe": test.other} {
				if got, err := b.Roles(t.Context(), test.place, user); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s has %v, %v, want %v", user, got, err, want)
				}
			}
			if err := b.RemoveEverywhere(t.Context(), "jane"); err != nil {
				t.Fatal(err)
			}
			for _, place := range []Place{{}, {Cluster: true}, {Workspace: "w"}, {Workspace: "v"}, {Namespace: "n"}, {Namespace: "m"}} {
				if got, err := b.Roles(t.Context(), place, "jane"); err != nil || len(got) > 0 {
					t.Errorf("left at %+v: %v, %v", place, got, err)
				}
			}
			if got, _ := b.Roles(t.Context(), test.place, "joe"); !slices.Equal(got, test.other) {
				t.Errorf("joe has %v, want %v", got, test.other)
			}
		})
	}
}

func TestMemberships(t *testing.T) {
	bound := func(groups ...string) (result []iamv1alpha2.GroupBinding) {
		for _, group := range groups {
			result = append(result, iamv1alpha2.GroupBinding{GroupRef: iamv1alpha2.GroupReference{Name: group}})
		}
		return result
	}
	find := func(name string) *iamv1alpha2.Group {
		switch name {
		case "gone", "of-provider":
			return nil
		case "new":
			return &iamv1alpha2.Group{}
		}
		return &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{iamv1alpha2.FinalizerGroup}}}
	}
	for _, test := range []struct {
		name  string
		has   []string
		bound []iamv1alpha2.GroupBinding
		want  []string
	}{
		{"nothing", nil, nil, nil},
		{"joined", nil, bound("devs"), []string{"devs"}},
		{"left", []string{"devs", "ops"}, bound("ops"), []string{"ops"}},
		{"of an identity provider", []string{"of-provider"}, bound("devs"), []string{"of-provider", "devs"}},
		{"bound to a group that is not there", nil, bound("gone"), nil},
		{"in a group that has an object now", []string{"new"}, bound("devs"), []string{"new", "devs"}},
		{"joined a new group", nil, bound("new"), []string{"new"}},
		{"twice", []string{"devs"}, bound("devs", "devs"), []string{"devs"}},
	} {
		if got := Memberships(test.has, find, test.bound); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
