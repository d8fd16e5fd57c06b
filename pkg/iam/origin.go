package iam

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// NameByOrigin returns the name of the user who was registered for somebody of
// an identity provider, as it is stored now: he may just have been.
func (d *Directory) NameByOrigin(ctx context.Context, provider, subject string) (string, bool, error) {
	if label(provider) && label(subject) {
		users := &iamv1alpha2.UserList{}
		origin := client.MatchingLabels{iamv1alpha2.LabelIdentityProvider: provider, iamv1alpha2.LabelOriginUID: subject}
		if err := d.Client.List(ctx, users, origin, client.Limit(2)); err != nil || len(users.Items) > 1 {
			return "", false, err
		}
		if len(users.Items) == 1 {
			return users.Items[0].Name, true, nil
		}
	}
	// What does not fit a label is an annotation, which nothing selects by.
	if d.Cache == nil {
		return "", false, nil
	}
	names, err := d.Linked(ctx, provider, subject)
	if err != nil || len(names) != 1 {
		return "", false, err
	}
	return names[0], true, nil
}

func label(value string) bool { return value != "" && len(validation.IsValidLabelValue(value)) == 0 }
