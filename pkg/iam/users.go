package iam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/keymutex"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Users creates, changes and deletes users together with everything that
// belongs to them. Who may do so is decided before.
type Users struct {
	Client   client.Client
	Bindings *Bindings
	Sessions Sessions
	Emails   Emails
	// Passwords are those users may choose.
	Passwords Passwords
	// Identities are the accounts of users at identity providers.
	Identities Identities
	Now        func() time.Time
}

// emailLocks make looking an address up and taking it one step, for the requests of this
// process: of one address, so that users who change theirs do not wait for each other.
// identityLock does the same for new users who are people of identity providers.
var (
	emailLocks   = keymutex.NewHashed(1024)
	identityLock sync.Mutex
)

// lockEmail returns a function that gives an address free for others.
func lockEmail(email string) (unlock func()) {
	if email == "" {
		return func() {}
	}
	key := iamv1alpha2.NormalizeEmail(email)
	emailLocks.LockKey(key)
	return func() { _ = emailLocks.UnlockKey(key) } // it never fails
}

// Sessions ends logins.
type Sessions interface {
	// EndOthers revokes the sessions of a user but one.
	EndOthers(ctx context.Context, user, except, reason string) error
	// Delete forgets all sessions of a user, which ends them.
	Delete(ctx context.Context, user string) error
}

// Emails finds users by address.
type Emails interface {
	WithEmail(ctx context.Context, email string) ([]string, error)
}

// Create creates a user who can log in at once, with a global role unless role
// is empty. The binding comes first, as one to a user who does not exist gives
// nothing to anybody: an interruption leaves no user without the role. A name
// that has bindings on the platform, in the cluster or in namespaces of no workspace
// already is a *BoundError, and those in workspaces and projects are taken away: a new
// user does not get what others were meant to have.
func (u *Users) Create(ctx context.Context, wanted *iamv1alpha2.User, role string) (*iamv1alpha2.User, error) {
	return u.create(ctx, wanted, role, false)
}

// CreateBound is Create for a caller who has all rights the bindings of the name
// give, and confirms that the user has them from now on.
func (u *Users) CreateBound(ctx context.Context, wanted *iamv1alpha2.User, role string) (*iamv1alpha2.User, error) {
	return u.create(ctx, wanted, role, true)
}

func (u *Users) create(ctx context.Context, wanted *iamv1alpha2.User, role string, confirmed bool) (*iamv1alpha2.User, error) {
	created := &iamv1alpha2.User{
		ObjectMeta: metav1.ObjectMeta{Name: wanted.Name, Labels: wanted.Labels, Annotations: wanted.Annotations},
		Spec:       wanted.Spec,
	}
	delete(created.Annotations, iamv1alpha2.AnnotationGlobalRole)
	created.Spec.Groups = nil // memberships are written by group bindings
	if err := validateName(created.Name); err != nil {
		return nil, err
	}
	if err := validateEmail(created.Spec.Email); err != nil {
		return nil, err
	}
	now := u.Now()
	if plain := created.Spec.EncryptedPassword; plain != "" {
		hash, err := u.Passwords.hash(plain, created)
		if err != nil {
			return nil, err
		}
		store(created, hash, now)
	}
	activate(created, now)
	AddFinalizer(created, iamv1alpha2.FinalizerUser)

	defer lockEmail(created.Spec.Email)()
	if len(IdentitiesOf(created)) > 0 {
		identityLock.Lock()
		defer identityLock.Unlock()
	}
	if err := u.emailFree(ctx, created.Spec.Email, created.Name); err != nil {
		return nil, err
	}
	if err := u.identitiesFree(ctx, created); err != nil {
		return nil, err
	}
	err := u.Client.Get(ctx, client.ObjectKeyFromObject(created), &iamv1alpha2.User{})
	switch {
	case err == nil:
		return nil, apierrors.NewAlreadyExists(iamv1alpha2.Resource("users"), created.Name)
	case !apierrors.IsNotFound(err):
		return nil, err
	}
	// Somebody of that name may have been here before. What is left of his
	// rights and memberships is none of the new user's.
	if err := u.Bindings.RemoveLeft(ctx, created.Name); err != nil {
		return nil, err
	}
	if err := leave(ctx, u.Client, created.Name, client.MatchingLabels{iamv1alpha2.LabelUserReference: created.Name}); err != nil {
		return nil, err
	}
	if !confirmed {
		if err := u.Bindings.unbound(ctx, created.Name); err != nil {
			return nil, err
		}
	}
	if role != "" {
		if err := u.Bindings.Add(ctx, Place{}, created.Name, role); err != nil {
			return nil, err
		}
	}
	if err := u.Client.Create(ctx, created); err != nil {
		if role != "" && !apierrors.IsAlreadyExists(err) {
			err = errors.Join(err, u.Bindings.RemoveLeft(ctx, created.Name))
		}
		return nil, err
	}
	return created, nil
}

// SetPassword changes the password of a user and ends his sessions but one.
// Who did not have a password can log in from now on.
func (u *Users) SetPassword(ctx context.Context, name, password, keep string, himself bool) error {
	chosen := &iamv1alpha2.User{}
	if err := u.Client.Get(ctx, client.ObjectKey{Name: name}, chosen); err != nil {
		return err
	}
	hash, err := u.Passwords.hash(password, chosen)
	if err != nil {
		return err
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		user := &iamv1alpha2.User{}
		if err := u.Client.Get(ctx, client.ObjectKey{Name: name}, user); err != nil {
			return err
		}
		had := user.Spec.EncryptedPassword != ""
		store(user, hash, u.Now())
		if himself {
			delete(user.Annotations, iamv1alpha2.AnnotationUninitialized)
		}
		if !had {
			activate(user, u.Now())
		}
		return u.Client.Update(ctx, user)
	})
	if err != nil {
		return err
	}
	return u.Sessions.EndOthers(ctx, name, keep, "the password was changed")
}

// Delete deletes a user and all that belongs to him. The finalizer is what
// makes that happen after an interruption as well.
func (u *Users) Delete(ctx context.Context, name string) error {
	user := &iamv1alpha2.User{}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := u.Client.Get(ctx, client.ObjectKey{Name: name}, user); err != nil {
			return err
		}
		if user.DeletionTimestamp == nil && AddFinalizer(user, iamv1alpha2.FinalizerUser) {
			return u.Client.Update(ctx, user)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := u.Client.Delete(ctx, user, client.Preconditions{UID: &user.UID}); client.IgnoreNotFound(err) != nil {
		return err
	}
	return u.Finish(ctx, name)
}

// Finish removes what belongs to a user who is being deleted, then lets him
// go. It can be called again after any interruption.
func (u *Users) Finish(ctx context.Context, name string) error {
	records := client.MatchingLabels{iamv1alpha2.LabelUserReference: name}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"sessions", func() error { return u.Sessions.Delete(ctx, name) }},
		{"workspaces", func() error { return u.dismiss(ctx, name) }},
		{"roles", func() error { return u.Bindings.RemoveEverywhere(ctx, name) }},
		{"memberships", func() error { return leaveGroups(ctx, u.Client, name) }},
		{"access tokens", func() error {
			return u.Client.DeleteAllOf(ctx, &iamv1alpha2.PersonalAccessToken{}, client.MatchingLabels{iamv1alpha2.LabelUserReference: session.UserLabel(name)})
		}},
		{"login records", func() error { return u.Client.DeleteAllOf(ctx, &iamv1alpha2.LoginRecord{}, records) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("removing the %s of user %s: %w", step.what, name, err)
		}
	}
	return Release(ctx, u.Client, &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// dismiss takes the management of all workspaces from a user: a template that
// names the user would make the user an administrator again.
func (u *Users) dismiss(ctx context.Context, name string) error {
	templates := &tenantv1alpha2.WorkspaceTemplateList{}
	if err := u.Client.List(ctx, templates); err != nil {
		return err
	}
	for n := range templates.Items {
		if templates.Items[n].Spec.Template.Spec.Manager != name {
			continue
		}
		if err := DismissManager(ctx, u.Client, templates.Items[n].Name, name, func() error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// DismissManager takes the management of a workspace from a user, unless the
// workspace is gone or has another manager, or check returns an error. The reconciler may write the template at
// the same time, so that conflicts are retried on the present state.
func DismissManager(ctx context.Context, c client.Client, workspace, user string, check func() error) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		template := &tenantv1alpha2.WorkspaceTemplate{}
		err := c.Get(ctx, client.ObjectKey{Name: workspace}, template)
		if err != nil || template.Spec.Template.Spec.Manager != user {
			return client.IgnoreNotFound(err)
		}
		if err := check(); err != nil {
			return err
		}
		template.Spec.Template.Spec.Manager = ""
		return client.IgnoreNotFound(c.Update(ctx, template))
	})
}

func (u *Users) emailFree(ctx context.Context, email, name string) error {
	if email == "" {
		return nil
	}
	users, err := u.Emails.WithEmail(ctx, iamv1alpha2.NormalizeEmail(email))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(users, func(user string) bool { return user != name }) {
		return status.New(http.StatusConflict, metav1.StatusReasonConflict, "the e-mail address %s belongs to another user", email)
	}
	return nil
}

func validateName(name string) error {
	if name == "" {
		return status.Invalid("metadata.name", "a name is required")
	}
	problems := validation.IsDNS1123Subdomain(name)
	if len(problems) == 0 {
		problems = validation.IsValidLabelValue(name) // bindings carry it as a label
	}
	if len(problems) > 0 {
		return status.Invalid("metadata.name", "%s", problems[0])
	}
	return nil
}

// validateEmail accepts no address, since not every user has one.
func validateEmail(email string) error {
	if email == "" {
		return nil
	}
	address, err := mail.ParseAddress(email)
	if err != nil || address.Address != email || len(email) > 254 || strings.ContainsAny(email, "\x00\r\n") {
		return status.BadRequest("spec.email: %q is not a valid e-mail address", email)
	}
	return nil
}
