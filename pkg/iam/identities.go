package iam

import (
	"context"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Identities finds users by who they are at an identity provider.
type Identities interface {
	// Linked returns the names of the users who are a person of a provider. More
	// than one is a mistake, and nobody may log in as any of them.
	Linked(ctx context.Context, provider, subject string) ([]string, error)
}

// IdentitiesOf returns who a user is at identity providers, by their names. An
// annotation of KubeSphere 4 goes before the labels of KubeSphere 3.
func IdentitiesOf(user *iamv1alpha2.User) map[string]string {
	found := make(map[string]string)
	if provider, subject := user.Labels[iamv1alpha2.LabelIdentityProvider], user.Labels[iamv1alpha2.LabelOriginUID]; provider != "" && subject != "" {
		found[provider] = subject
	}
	for key, subject := range user.Annotations {
		if provider, is := strings.CutPrefix(key, iamv1alpha2.AnnotationIdentity); is && provider != "" && subject != "" {
			found[provider] = subject
		}
	}
	return found
}

// Identify makes a user who is about to be created a person of a provider. The
// labels are what versions of KubeSphere 3 look for, where the subject fits.
func Identify(user *iamv1alpha2.User, provider, subject string) {
	annotate(user, iamv1alpha2.AnnotationIdentity+provider, subject)
	if user.Labels == nil {
		user.Labels = make(map[string]string)
	}
	user.Labels[iamv1alpha2.LabelIdentityProvider] = provider
	delete(user.Labels, iamv1alpha2.LabelOriginUID)
	if len(validation.IsValidLabelValue(subject)) == 0 {
		user.Labels[iamv1alpha2.LabelOriginUID] = subject
	}
}

// forget takes a provider from a user.
func forget(user *iamv1alpha2.User, provider string) {
	delete(user.Annotations, iamv1alpha2.AnnotationIdentity+provider)
	if user.Labels[iamv1alpha2.LabelIdentityProvider] == provider {
		delete(user.Labels, iamv1alpha2.LabelIdentityProvider)
		delete(user.Labels, iamv1alpha2.LabelOriginUID)
	}
}

// keepIdentities makes the identities of a wanted user those of the present
// one: they change by being linked only, where they are proven.
func keepIdentities(present, wanted *iamv1alpha2.User) {
	for key := range wanted.Annotations {
		if strings.HasPrefix(key, iamv1alpha2.AnnotationIdentity) {
			delete(wanted.Annotations, key)
		}
	}
	for key, subject := range present.Annotations {
		if strings.HasPrefix(key, iamv1alpha2.AnnotationIdentity) {
			annotate(wanted, key, subject)
		}
	}
	for _, key := range []string{iamv1alpha2.LabelIdentityProvider, iamv1alpha2.LabelOriginUID} {
		delete(wanted.Labels, key)
		if value, has := present.Labels[key]; has {
			if wanted.Labels == nil {
				wanted.Labels = make(map[string]string)
			}
			wanted.Labels[key] = value
		}
	}
}

// external reports whether somebody logs in elsewhere.
func external(user *iamv1alpha2.User) bool {
	return user.Labels[iamv1alpha2.LabelIdentityProvider] != "" || len(IdentitiesOf(user)) > 0
}

// Linked implements Identities.
func (d *Directory) Linked(ctx context.Context, provider, subject string) ([]string, error) {
	view, err := d.Cache.View(ctx, d.Catalog.Type("users"))
	if err != nil {
		return nil, err
	}
	all, err := view.List(ctx, "", &query.Query{Limit: query.Unlimited, Page: 1, SortBy: "name", Ascending: true})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, item := range all.Items {
		if identified(item, provider) == subject && subject != "" {
			names = append(names, item.Name())
		}
	}
	return names, nil
}

// identified is IdentitiesOf for one provider and an item of the cache.
func identified(item *objects.Item, provider string) string {
	if !strings.Contains(item.JSON(), provider) { // most users are somebody else's
		return ""
	}
	subject := item.Field("metadata.annotations").Map()[iamv1alpha2.AnnotationIdentity+provider].String()
	if labels := item.Labels(); subject == "" && labels.Get(iamv1alpha2.LabelIdentityProvider) == provider {
		return labels.Get(iamv1alpha2.LabelOriginUID)
	}
	return subject
}

// identitiesFree refuses identities that are somebody else's.
func (u *Users) identitiesFree(ctx context.Context, user *iamv1alpha2.User) error {
	for provider, subject := range IdentitiesOf(user) {
		names, err := u.Identities.Linked(ctx, provider, subject)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(names, func(name string) bool { return name != user.Name }) {
			return taken(provider)
		}
	}
	return nil
}

func taken(provider string) error {
	return status.New(http.StatusConflict, metav1.StatusReasonConflict, "this person of the identity provider %s is another user", provider)
}

// Link makes a user a person of a provider, who must be nobody else. Whether
// he is that person is decided before. Who could not log in for want of a
// password can from now on.
func (u *Users) Link(ctx context.Context, name, provider, subject string) (*iamv1alpha2.User, error) {
	linked, before := &iamv1alpha2.User{}, ""
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := u.Client.Get(ctx, client.ObjectKey{Name: name}, linked); err != nil {
			return err
		}
		before = IdentitiesOf(linked)[provider]
		if before != "" && before != subject {
			return status.New(http.StatusConflict, metav1.StatusReasonConflict, "the user is another person of the identity provider %s, who has to be unlinked first", provider)
		}
		annotate(linked, iamv1alpha2.AnnotationIdentity+provider, subject)
		if err := u.identitiesFree(ctx, linked); err != nil {
			return err
		}
		if linked.Status.State == iamv1alpha2.UserDisabled && linked.Status.Reason == reasonNoPassword {
			activate(linked, u.Now())
		}
		return u.Client.Update(ctx, linked)
	})
	if err != nil || before == subject {
		return linked, err
	}
	// Another replica may have done the same for another user meanwhile. Both
	// see it now, as both have written before they look.
	if alone, err := u.alone(ctx, name, provider, subject); err != nil || !alone {
		if _, undo := u.unlink(ctx, name, provider); undo != nil {
			return nil, undo
		}
		if err == nil {
			err = taken(provider)
		}
		return nil, err
	}
	return linked, nil
}

// alone reports whether no other user is a person, as it is stored now.
func (u *Users) alone(ctx context.Context, name, provider, subject string) (bool, error) {
	users := &iamv1alpha2.UserList{}
	if err := u.Client.List(ctx, users); err != nil {
		return false, err
	}
	return !slices.ContainsFunc(users.Items, func(user iamv1alpha2.User) bool {
		return user.Name != name && IdentitiesOf(&user)[provider] == subject
	}), nil
}

// Unlink makes a user nobody of a provider. The last way to log in stays.
func (u *Users) Unlink(ctx context.Context, name, provider string) (*iamv1alpha2.User, error) {
	user := &iamv1alpha2.User{}
	if err := u.Client.Get(ctx, client.ObjectKey{Name: name}, user); err != nil {
		return nil, err
	}
	known := IdentitiesOf(user)
	switch {
	case known[provider] == "":
		return nil, apierrors.NewNotFound(iamv1alpha2.Resource("users/identities"), provider)
	case len(known) == 1 && user.Spec.EncryptedPassword == "":
		return nil, status.New(http.StatusConflict, metav1.StatusReasonConflict, "without the identity provider %s the user could not log in any more; a password has to be set first", provider)
	}
	return u.unlink(ctx, name, provider)
}

func (u *Users) unlink(ctx context.Context, name, provider string) (*iamv1alpha2.User, error) {
	user := &iamv1alpha2.User{}
	return user, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := u.Client.Get(ctx, client.ObjectKey{Name: name}, user); err != nil {
			return err
		}
		forget(user, provider)
		return u.Client.Update(ctx, user)
	})
}
