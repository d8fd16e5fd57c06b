package setup

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// Names of what the first start creates.
const (
	adminName = "admin"
	// AdminPasswordSecret keeps the generated password of user admin.
	AdminPasswordSecret = "ks-admin-password" //nolint:gosec // a name, not a password
	adminPasswordKey    = "password"
	clientName          = "kubesphere"
	// marker is the ConfigMap that says the first start is over, so that what
	// an operator deletes later stays deleted.
	marker = "ks-apiserver-setup"
)

// firstStart creates the OAuth clients and user admin, once in the life of a
// cluster.
func (s *Setup) firstStart(ctx context.Context) error {
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: kube.Namespace, Name: marker}, &corev1.ConfigMap{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	if err := s.oauthClients(ctx); err != nil {
		return err
	}
	if err := s.admin(ctx); err != nil {
		return err
	}
	done := &corev1.ConfigMap{ObjectMeta: ours(marker)}
	return s.create(ctx, done)
}

// kubectlClient is the client kubectl ks is. It has no secret: what is on
// people's machines is none.
const kubectlClient = "kubectl-ks"

// oauthClients creates the client the web console and the documentation use,
// and that of the command line. The secret of the first is no secret: it is in
// every copy of the console. What protects users are their passwords.
func (s *Setup) oauthClients(ctx context.Context) error {
	for _, wanted := range []oauthclient.Client{
		{Name: clientName, Secret: clientName, Trusted: true, GrantMethod: "auto"},
		{Name: kubectlClient, Trusted: true, GrantMethod: "prompt", RedirectURIs: []string{"http://127.0.0.1/callback"}},
	} {
		if slices.ContainsFunc(s.ConfiguredClients, func(c config.Client) bool { return c.Name == wanted.Name }) {
			continue
		}
		configuration, err := yaml.Marshal(wanted)
		if err != nil {
			return err
		}
		secret := &corev1.Secret{ObjectMeta: ours("oauthclient-" + wanted.Name), Type: oauthclient.SecretType, Data: map[string][]byte{oauthclient.SecretKey: configuration}}
		secret.Labels[oauthclient.Label] = oauthclient.LabelValue
		if err := s.create(ctx, secret); err != nil {
			return err
		}
	}
	return nil
}

// admin creates the first user when there are no users at all.
func (s *Setup) admin(ctx context.Context) error {
	users := &iamv1alpha2.UserList{}
	if err := s.Client.List(ctx, users, client.Limit(1)); err != nil || len(users.Items) > 0 {
		return err
	}
	password, err := s.adminPassword(ctx)
	if err != nil {
		return err
	}
	hash, err := s.Hasher.Hash(password)
	if err != nil {
		return fmt.Errorf("password of user admin: %w", err)
	}
	// First the binding, which gives nothing to nobody: a start that is
	// interrupted in between leaves no admin without rights behind.
	binding := &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: adminName, Labels: map[string]string{iamv1alpha2.LabelUserReference: adminName}},
		RoleRef:    rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "GlobalRole", Name: iamv1alpha2.GlobalRolePlatformAdmin},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: adminName}},
	}
	if err := s.create(ctx, binding); err != nil {
		return err
	}
	now := metav1.NewTime(s.Now())
	user := &iamv1alpha2.User{
		ObjectMeta: metav1.ObjectMeta{Name: adminName, Annotations: map[string]string{
			iamv1alpha2.AnnotationUninitialized:      "true",
			iamv1alpha2.AnnotationLastPasswordChange: now.UTC().Format("2006-01-02T15:04:05Z"),
		}},
		Spec:   iamv1alpha2.UserSpec{Email: "admin@kubesphere.io", EncryptedPassword: hash},
		Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive, LastTransitionTime: &now},
	}
	return s.create(ctx, user)
}

// adminPassword is the configured one, or one that is generated and kept in a
// Secret. Replicas that start together agree on who created the Secret first.
func (s *Setup) adminPassword(ctx context.Context) (string, error) {
	if s.AdminPassword != "" {
		return s.AdminPassword.Reveal(), nil
	}
	random := make([]byte, 18)
	if _, err := io.ReadFull(s.Random, random); err != nil {
		return "", err
	}
	secret := &corev1.Secret{ObjectMeta: ours(AdminPasswordSecret), Data: map[string][]byte{
		adminPasswordKey: []byte(base64.RawURLEncoding.EncodeToString(random)),
	}}
	if err := s.create(ctx, secret); err != nil {
		return "", err
	}
	if err := s.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return "", err
	}
	slog.InfoContext(ctx, "the password of user admin was generated, change it after the first login",
		"secret", kube.Namespace+"/"+AdminPasswordSecret, "key", adminPasswordKey)
	return string(secret.Data[adminPasswordKey]), nil
}

// create creates an object unless it is there.
func (s *Setup) create(ctx context.Context, object client.Object) error {
	err := s.Client.Create(ctx, object, client.FieldOwner(kube.FieldManager))
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", object.GetName(), err)
	}
	return nil
}

func ours(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: kube.Namespace, Name: name, Labels: map[string]string{reserved.LabelManagedBy: reserved.ManagedByServer}}
}
